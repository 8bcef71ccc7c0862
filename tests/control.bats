#!/usr/bin/env bats
# --status, --signal and --stop find the daemon itself, by the kernel's lock on the pidfile and a pidfd, and
# never another process that has its PID.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # inner shells; a test is a subshell; helper.bash assigns

load helper

# status_is STATUS WORDS [OPTION...]: --status exits and prints like this, with nothing on stderr.
status_is() {
	run "-$1" --separate-stderr daemonize --status -p "$T/app.pid" "${@:3}"
	expect "$output" "$2" && expect "$stderr" ""
}

# silent COMMAND...: succeeds, and says nothing.
silent() {
	run -0 --separate-stderr "$@"
	expect "$output$stderr" ""
}

# up [OPTION...]: starts the target with the pidfile.
up() {
	rm -f "$report"
	start -p "$T/app.pid" "$@"
}

# app LINE...: makes "app", a shell script that runs these lines, says on fd 5 that it is ready, and keeps running.
app() {
	printf '%s\n' '#!/bin/sh' "$@" 'echo >&5' 'exec 5>&-' 'while :; do sleep 0.02; done' >"$T/bin/app"
	chmod 755 "$T/bin/app"
}

# app_up: starts it with the pidfile; sets pid.
app_up() { daemonize --notify-fd 5 -p "$T/app.pid" app && pid=$(cat "$T/app.pid"); }

# bystander: starts a process that has nothing to do with daemonize; sets other.
bystander() {
	"$T/bin/target" dump "$T/pub/bystander" 3>&- &
	other=$!
	wait_until 10 test -e "$T/pub/bystander"
}

# holder VERB FILE: starts a process that holds a lock on the file, and has nothing else to do with it; sets other.
holder() {
	"$T/bin/target" "$1" "$2" "$T/pub/holder" 3>&- &
	other=$!
	wait_until 10 test -e "$T/pub/holder"
}

# A PID that no system assigns.
nobody_has=2147483646

# ended_by_kill PID: leaves a pidfile whose lock nobody holds.
ended_by_kill() { kill -KILL "$1" && wait_until 10 gone "$1"; }

# written FILE TEXT: as if by another program, a minute ago.
written() { echo "$2" >"$1" && touch -d '-1 minute' "$1"; }

lives() { expect "$(alive "$1" && echo "$1 lives")" "$1 lives"; }

there_is_no_pidfile() { [ ! -e "$T/app.pid" ]; }

# ---- --status ----

@test "--status exits 0 for a running daemon and prints its PID" {
	up
	status_is 0 "running (pid $pid)"
}

@test "--status exits 3 without a pidfile" { status_is 3 "not running"; }

@test "--status exits 1 if the daemon was killed" {
	up
	ended_by_kill "$pid"
	status_is 1 "not running, stale pidfile"
	expect "$(cat "$T/app.pid")" "$pid"
}

@test "--status exits 1 if the daemon exited by itself" {
	app 'trap exit TERM'
	app_up
	kill "$pid"
	wait_until 10 gone "$pid"
	status_is 1 "not running, stale pidfile"
}

@test "--status exits 1 for a pidfile that cannot name a daemon" {
	for text in '' 0 1 -5 x $nobody_has 99999999999999999999 $'\n\n'; do
		written "$T/app.pid" "$text"
		status_is 1 "not running, stale pidfile"
	done
}

@test "--status after a restart names the new PID" {
	up
	old=$pid
	ended_by_kill "$pid"
	up
	[ "$pid" != "$old" ]
	status_is 0 "running (pid $pid)"
}

# unknown PATTERN: --status cannot tell, and says why on stderr.
unknown() { fails 4 "daemonize: $1" "${@:2}" daemonize --status -p "$T/app.pid"; }

@test "--status exits 4 for what cannot be a pidfile" {
	ln -s "$report" "$T/app.pid"
	unknown "cannot use pidfile '$T/app.pid': it is a symbolic link"
	rm "$T/app.pid" && mkdir "$T/app.pid"
	unknown "cannot use pidfile '$T/app.pid': it is not a regular file"
	rmdir "$T/app.pid" && mkfifo "$T/app.pid"
	unknown "cannot use pidfile '$T/app.pid': it is not a regular file"
	rm "$T/app.pid" && echo 5 >"$T/app.pid" && ln "$T/app.pid" "$T/other"
	unknown "cannot use pidfile '$T/app.pid': it has another hard link"
}

@test "--status exits 4 for a pidfile below a file" {
	fails 4 "daemonize: cannot open pidfile 'bin/target/app.pid': Not a directory" \
		daemonize --status -p bin/target/app.pid
}

@test "--status exits 4 if it may not read the pidfile" {
	need_root
	up
	chmod 600 "$T/app.pid"
	unknown "cannot open pidfile '$T/app.pid': Permission denied" as_nobody
}

@test "--status changes nothing on disk" {
	up
	before=$(stat -c '%i %s %a %u %Y %Z' "$T/app.pid")
	status_is 0 "running (pid $pid)"
	ended_by_kill "$pid"
	status_is 1 "*"
	expect "$(stat -c '%i %s %a %u %Y %Z' "$T/app.pid")" "$before"
}

@test "user nobody can ask for the --status of root's daemon" {
	up
	run -0 --separate-stderr as_nobody daemonize --status -p "$T/app.pid"
	expect "$output$stderr" "running (pid $pid)"
	ended_by_kill "$pid"
	run -1 --separate-stderr as_nobody daemonize --status -p "$T/app.pid"
	expect "$output$stderr" "not running, stale pidfile"
}

@test "root can ask for the --status of nobody's daemon" {
	need_root
	as_nobody daemonize -p "$T/nobody/app.pid" target dump "$report"
	reported "$report"
	run -0 daemonize --status -p "$T/nobody/app.pid"
	expect "$output" "running (pid $pid)"
}

@test "--status of several pidfiles begins each line with its pidfile, and exits with the worst status" {
	up
	written "$T/stale.pid" $nobody_has
	run -3 --separate-stderr daemonize --status -p "$T/app.pid" -p "$T/stale.pid" -p "$T/none.pid"
	expect "$output" "$T/app.pid: running (pid $pid)
$T/stale.pid: not running, stale pidfile
$T/none.pid: not running"
	expect "$stderr" ""
	run -1 daemonize --status -p "$T/stale.pid" -p "$T/app.pid"
	run -0 daemonize --status -p "$T/app.pid" -p "$T/app.pid"
	mkdir "$T/dir.pid"
	run -4 --separate-stderr daemonize --status -p "$T/dir.pid" -p "$T/app.pid" -p "$T/none.pid"
	expect "$stderr" "daemonize: cannot use pidfile '$T/dir.pid': it is not a regular file"
	expect "$output" "$T/app.pid: running (pid $pid)
$T/none.pid: not running"
}

# bats test_tags=needs:native,needs:proc
@test "--status -v shows the user, the start time, the age and the command line" {
	up
	status_is 0 "running (pid $pid), user $(id -un), since $(date +%Y)-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9] ([0-9]* s), command: target dump $report" -v
	since=${output#*since } since=${since%% (*}
	age=$(($(date +%s) - $(date -d "$since" +%s)))
	[ $age -ge -1 ] && [ $age -le 60 ]
}

# bats test_tags=needs:native,needs:proc
@test "--status -v shows the user that root chose with -u, even to user nobody" {
	need_root
	up -u nobody
	status_is 0 "running (pid $pid), user nobody, since *, command: target dump $report" -v
	run -0 as_nobody daemonize --status -v -p "$T/app.pid"
	expect "$output" "running (pid $pid), user nobody, since *, command: target dump $report"
}

# bats test_tags=needs:native,needs:proc
@test "--status -v replaces control characters in the command line, and prints one line" {
	daemonize -p "$T/app.pid" target dump "$report" $'a\nb' $'\E[2J' '' last
	reported "$report"
	status_is 0 "running (pid $pid), *command: target dump $report a?b*last" -v
	expect "${#lines[@]}" 1
	[[ $output != *$'\E'* ]]
}

@test "--status and --stop accept the options of a start, so that a script can keep them in a variable" {
	options=(-p "$T/app.pid" -u "$(id -un)" -O "$T/app.log" -c "$T" -s 5 --ok-if-running)
	silent daemonize "${options[@]}" -s 0.1 target dump "$report"
	reported "$report"
	run -0 daemonize "${options[@]}" --status
	silent daemonize "${options[@]}" --stop
	run -3 daemonize --status "${options[@]}"
}

@test "--status fails when its output device is full" {
	[ -e /dev/full ] || skip "needs /dev/full"
	up
	run -4 sh -c 'daemonize --status -p "$1" >/dev/full' sh "$T/app.pid"
}

@test "--status replaces control characters in a pidfile's name" {
	run -3 daemonize --status -p $'a\e[31m' -p b
	expect "$output" $'a\\?\\[31m: not running\nb: not running'
}

@test "--status counts a daemon that is not ready yet as running" {
	"$T/bin/daemonize" --notify -p "$T/app.pid" target dump "$report" 2>/dev/null &
	launcher=$!
	reported "$report"
	status_is 0 "running (pid $pid)"
	kill -TERM $launcher
	wait $launcher || true
	status_is 3 "not running"
}

@test "--status is right about a daemon that has closed all its fds" {
	daemonize -p "$T/app.pid" target closeall "$report"
	reported "$report"
	status_is 0 "running (pid $pid)"
	ended_by_kill "$pid"
	status_is 1 "not running, stale pidfile"
}

# Without the lock there is only the PID in the file: of a process that lives, but may not be signalled.
@test "user nobody can ask for the --status of root's daemon that has closed all its fds" {
	need_root
	daemonize -p "$T/app.pid" target closeall "$report"
	reported "$report"
	run -0 --separate-stderr as_nobody daemonize --status -p "$T/app.pid"
	expect "$output$stderr" "running (pid $pid)"
}

@test "--status does not take a process named 'x) Z' for a zombie" {
	cp "$T/bin/target" "$T/bin/x) Z"
	'x) Z' dump "$report" 3>&- &
	reported "$report"
	echo "$pid" >"$T/app.pid"
	status_is 0 "running (pid $pid)"
}

@test "--status is right about a daemon that has opened and closed its own pidfile" {
	daemonize -p "$T/app.pid" target openclose "$T/app.pid" "$report"
	reported "$report"
	status_is 0 "running (pid $pid)"
}

@test "--stop terminates a daemon that is not ready yet, and its start fails" {
	"$T/bin/daemonize" --notify -p "$T/app.pid" target dump "$report" 2>"$T/stderr" &
	launcher=$!
	reported "$report"
	silent daemonize --stop -p "$T/app.pid"
	wait $launcher || status=$?
	expect "$status" 4
	expect "$(cat "$T/stderr")" "daemonize: target $(known 'was killed by signal 15 (TERM)') after *"
	nothing_runs
	there_is_no_pidfile
}

# ---- --signal ----

@test "--signal HUP reaches the daemon" {
	app 'trap "echo HUP >>$DAEMONIZE_TEST/pub/heard" HUP'
	app_up
	silent daemonize --signal HUP -p "$T/app.pid"
	wait_until 10 test -s "$T/pub/heard"
	expect "$(cat "$T/pub/heard")" HUP
	alive "$pid"
}

@test "--signal takes a name in any spelling, and a number" {
	app 'trap "echo x >>$DAEMONIZE_TEST/pub/heard" USR1'
	app_up
	heard=
	for name in USR1 SIGUSR1 usr1 sigusr1 "$(kill -l USR1)"; do
		silent daemonize --signal "$name" -p "$T/app.pid"
		heard+=x
		wait_until 10 heard "$heard"
	done
}
heard() { expect "$(tr -d '\n' <"$T/pub/heard")" "$1"; }

@test "--signal KILL kills the daemon, and its pidfile stays" {
	up
	silent daemonize --signal KILL -p "$T/app.pid"
	wait_until 10 gone "$pid"
	status_is 1 "not running, stale pidfile"
}

@test "--signal -v says what it did" {
	up
	run -0 --separate-stderr daemonize -v --signal CONT -p "$T/app.pid"
	expect "$output$stderr" "daemonize: sent signal 18 (CONT) to pid $pid"
}

@test "--signal exits 1 if the daemon is not running" {
	fails 1 "daemonize: *'$T/app.pid'*not running" daemonize --signal HUP -p "$T/app.pid"
	up
	ended_by_kill "$pid"
	fails 1 "daemonize: *'$T/app.pid'*not running" daemonize --signal HUP -p "$T/app.pid"
	[ -e "$T/app.pid" ]
}

@test "--signal reaches every daemon that runs, and exits 1 if one does not" {
	app 'trap "echo HUP >>$DAEMONIZE_TEST/pub/$ID" HUP'
	for id in a b; do
		daemonize --notify-fd 5 -E ID=$id -p "$T/$id.pid" app
	done
	fails 1 "daemonize: *'$T/none.pid'*not running" \
		daemonize --signal HUP -p "$T/a.pid" -p "$T/none.pid" -p "$T/b.pid"
	wait_until 10 test -s "$T/pub/a" -a -s "$T/pub/b"
}

@test "--signal with an invalid signal is a usage error" {
	for name in NOSUCH 0 -1 65 '' SIG RTMAX+1; do
		run -2 daemonize --signal "$name" -p "$T/app.pid"
	done
}

@test "--signal with a number that libc reserves for itself is a usage error" {
	[ "$(uname)" = Linux ] || skip "needs Linux"
	for number in 32 33; do
		run -2 daemonize --signal $number -p "$T/app.pid"
	done
}

@test "--signal by user nobody exits 1 for root's daemon" {
	need_root
	up
	fails 1 "daemonize: cannot signal pid $pid: Operation not permitted" \
		as_nobody daemonize --signal TERM -p "$T/app.pid"
	lives "$pid"
}

@test "--signal reaches a daemon that has closed all its fds by the PID in its pidfile" {
	daemonize -p "$T/app.pid" target closeall "$report"
	reported "$report"
	silent daemonize --signal KILL -p "$T/app.pid"
	wait_until 10 gone "$pid"
}

# ---- --stop ----

@test "--stop terminates the daemon, and removes its pidfile" {
	up
	silent daemonize --stop -p "$T/app.pid"
	gone "$pid"
	there_is_no_pidfile
	status_is 3 "not running"
}

@test "--stop sends TERM, and waits until the daemon has exited" {
	app 'trap "sleep 0.5; echo done >$DAEMONIZE_TEST/pub/done; exit" TERM'
	app_up
	silent daemonize --stop -p "$T/app.pid"
	gone "$pid"
	expect "$(cat "$T/pub/done")" "done"
	there_is_no_pidfile
}

@test "--stop -v says what it did" {
	up
	run -0 --separate-stderr daemonize -v --stop -p "$T/app.pid"
	expect "$output$stderr" "daemonize: sent signal 15 (TERM) to pid $pid*"
}

@test "--stop exits 0 if the daemon is not running" {
	silent daemonize --stop -p "$T/app.pid"
}

@test "--stop exits 0 if the daemon was killed, and removes its pidfile" {
	up
	ended_by_kill "$pid"
	silent daemonize --stop -p "$T/app.pid"
	there_is_no_pidfile
}

@test "--stop exits 0 for a pidfile that holds garbage" {
	written "$T/app.pid" garbage
	silent daemonize --stop -p "$T/app.pid"
}

@test "--stop exits 124 if the daemon ignores TERM, and changes nothing" {
	up --ignore-signal TERM
	fails 124 "daemonize: gave up waiting: still running (pid $pid) after [0-9].[0-9][0-9] s" \
		daemonize --stop -t 0.3 -p "$T/app.pid"
	lives "$pid"
	expect "$(cat "$T/app.pid")" "$pid"
	status_is 0 "running (pid $pid)"
}

@test "--stop does not send KILL without --kill-after" {
	app 'trap "echo TERM >$DAEMONIZE_TEST/pub/heard" TERM'
	app_up
	fails 124 "*" daemonize --stop -t 0.3 -p "$T/app.pid"
	expect "$(cat "$T/pub/heard")" TERM
	lives "$pid"
}

@test "--stop --kill-after kills a daemon that ignores TERM" {
	up --ignore-signal TERM
	silent daemonize --stop --kill-after 0.3 -p "$T/app.pid"
	gone "$pid"
	there_is_no_pidfile
}

@test "--stop --kill-after does not kill a daemon that exits in time" {
	app 'trap "sleep 0.5; echo done >$DAEMONIZE_TEST/pub/done; exit" TERM'
	app_up
	silent daemonize --stop --kill-after 20 -p "$T/app.pid"
	expect "$(cat "$T/pub/done")" "done"
}

@test "--stop --kill-after 0 kills at once" {
	up --ignore-signal TERM
	silent daemonize --stop --kill-after 0 -p "$T/app.pid"
	gone "$pid"
}

@test "--stop --kill-after kills a daemon that ignores TERM and is suspended by SIGSTOP" {
	up --ignore-signal TERM
	kill -STOP "$pid"
	silent daemonize --stop --kill-after 0.3 -p "$T/app.pid"
	gone "$pid"
}

is_stopped() { grep -q '^State:[[:space:]]*T' "/proc/$1/status"; }

@test "--stop terminates a daemon that is suspended by SIGSTOP" {
	app 'trap "echo TERM >$DAEMONIZE_TEST/pub/told; exit" TERM'
	app_up
	kill -STOP "$pid"
	wait_until 10 is_stopped "$pid"
	silent daemonize --stop -p "$T/app.pid"
	expect "$(cat "$T/pub/told")" TERM
	gone "$pid"
}

@test "--signal TERM does not resume a daemon that is suspended by SIGSTOP" {
	up
	kill -STOP "$pid"
	wait_until 10 is_stopped "$pid"
	silent daemonize --signal TERM -p "$T/app.pid"
	is_stopped "$pid"
	kill -CONT "$pid"
	wait_until 10 gone "$pid"
}

@test "--stop -t 0 does not wait" {
	up --ignore-signal TERM
	fails 124 "daemonize: gave up waiting: still running (pid $pid) after [0-9].[0-9][0-9] s" daemonize --stop -t 0 -p "$T/app.pid"
}

@test "--stop leaves the children of the daemon alone" {
	daemonize -p "$T/app.pid" target fork "$report"
	reported "$report"
	daemonize --stop -p "$T/app.pid"
	gone "$pid"
	lives "$(field child)"
	there_is_no_pidfile
}

@test "--stop terminates several daemons in parallel: each may wait for the others" {
	app 'trap ": >$DAEMONIZE_TEST/pub/told.\$\$
		while [ \$(ls $DAEMONIZE_TEST/pub | wc -l) -lt 3 ]; do sleep 0.02; done; exit" TERM'
	for id in a b c; do
		daemonize --notify-fd 5 -p "$T/$id.pid" app
	done
	silent daemonize --stop -t 30 -p "$T/a.pid" -p "$T/b.pid" -p "$T/c.pid"
	run -3 daemonize --status -p "$T/a.pid" -p "$T/b.pid" -p "$T/c.pid"
	nothing_runs
}

@test "--stop of several daemons terminates those it can, and exits with the worst status" {
	up
	daemonize --ignore-signal TERM -p "$T/deaf.pid" target dump "$T/pub/deaf"
	reported "$T/pub/deaf"
	written "$T/stale.pid" $nobody_has
	run -124 --separate-stderr daemonize --stop -t 0.5 -p "$T/stale.pid" -p "$T/none.pid" -p "$T/deaf.pid" \
		-p "$T/app.pid"
	expect "$stderr" "daemonize: *(pid $pid)*"
	expect "${#stderr_lines[@]}" 1
	there_is_no_pidfile
	[ ! -e "$T/stale.pid" ]
	expect "$(ours)" "$pid"
}

@test "--stop accepts the same pidfile twice" {
	up
	silent daemonize --stop -p "$T/app.pid" -p "$T/app.pid"
	there_is_no_pidfile
}

@test "--status and --stop take more pidfiles than the limit on fds allows" {
	files=()
	for number in {1..40}; do
		echo $nobody_has >"$number.pid"
		files+=(-p "$number.pid")
	done
	run -1 --separate-stderr sh -c 'ulimit -n 16 && exec "$@"' sh daemonize --status "${files[@]}"
	expect "$(grep -c ': not running, stale pidfile$' <<<"$output")$stderr" 40
	app 'trap "sleep 0.5; exit" TERM'
	app_up
	silent sh -c 'ulimit -n 16 && exec "$@"' sh daemonize --stop "${files[@]}" -p app.pid
	expect "$(ls ./*.pid)" ""
	nothing_runs
}

@test "--stop waits for each of several daemons, in whatever order they exit" {
	app 'trap "sleep 0.5; echo done >$DAEMONIZE_TEST/pub/done; exit" TERM'
	daemonize --notify-fd 5 -p slow.pid app
	up
	silent daemonize --stop -p slow.pid -p app.pid
	expect "$(cat pub/done)" "done"
	nothing_runs
}

@test "a daemon whose pidfile is given under two names is signalled once" {
	up
	run -0 daemonize -v --signal CONT -p app.pid -p ./app.pid -p "$T/app.pid"
	expect "$(grep -c 'sent signal' <<<"$output")" 1
	run -0 daemonize -v --stop -p app.pid -p ./app.pid
	expect "$(grep -c 'sent signal' <<<"$output")" 1
	there_is_no_pidfile
}

@test "--signal and --stop reach more daemons than the soft limit on fds allows" {
	files=()
	for number in {1..20}; do
		daemonize -p "$number.pid" sleep 600
		files+=(-p "$number.pid")
	done
	few=(sh -c 'ulimit -S -n 16 && exec "$@"' sh daemonize)
	silent "${few[@]}" --signal CONT "${files[@]}"
	silent "${few[@]}" --stop "${files[@]}"
	nothing_runs
}

@test "--stop touches neither a file nor a process unless the file's text is exactly a PID" {
	bystander
	for text in key=value '' '\n' "$other reasons" "$other reasons\n" " $nobody_has\n" "$nobody_has\n\n" \
		"$nobody_has\nmore\n" "-$nobody_has\n" "00000000000000000000$nobody_has\nmore"; do
		printf '%b' "$text" >file
		silent daemonize --stop --kill-after 0 -p file
		cmp <(printf '%b' "$text") file
	done
	lives "$other"
	for text in $nobody_has "$nobody_has\n"; do
		printf '%b' "$text" >file
		silent daemonize --stop -p file
		[ ! -e file ]
	done
}

@test "a file whose text merely begins with a process's PID does not name that process" {
	bystander
	echo "$other reasons" >"$T/app.pid"
	status_is 1 "not running, stale pidfile"
	fails 1 "*not running" daemonize --signal KILL -p "$T/app.pid"
	lives "$other"
}

@test "--status of several pidfiles prints the longest possible path in full" {
	long=$(printf 'a/%.0s' {1..2046})xx
	expect "${#long}" 4094
	run -3 daemonize --status -p "$long" -p app.pid
	expect "${lines[0]}" "$long: not running"
	expect "${lines[1]}" "app.pid: not running"
}

# bats test_tags=needs:watch,no-valgrind
@test "--stop watches: it does not poll" {
	need strace
	app 'trap "sleep 1; exit" TERM'
	app_up
	strace -qq -o "$T/trace" daemonize --stop -p "$T/app.pid"
	expect "$(grep -E 'nanosleep|alarm|timer' "$T/trace")" ""
	[ "$(grep -Ec '^(p?poll|kill|openat.*app.pid)' "$T/trace")" -lt 20 ]
}

@test "two stops at once both succeed" {
	app 'trap "sleep 0.3; exit" TERM'
	app_up
	"$T/bin/daemonize" --stop -p "$T/app.pid" &
	silent daemonize --stop -p "$T/app.pid"
	wait $!
	nothing_runs
	there_is_no_pidfile
}

@test "--stop by user nobody exits 1 for root's daemon, and changes nothing" {
	need_root
	up
	fails 1 "daemonize: cannot signal pid $pid: Operation not permitted" as_nobody daemonize --stop -p "$T/app.pid"
	lives "$pid"
	status_is 0 "running (pid $pid)"
}

@test "a user can --stop a daemon that root has started for that user" {
	need_root
	up -u nobody
	silent as_nobody daemonize --stop -p "$T/app.pid"
	gone "$pid"
}

@test "a user can --stop a daemon that root has started for that user, by its PID alone" {
	need_root
	daemonize -u nobody -p "$T/app.pid" target closeall "$T/pub/report"
	reported "$T/pub/report"
	silent as_nobody daemonize --stop -p "$T/app.pid"
	gone "$pid"
}

# bats test_tags=needs:proc
@test "root can --stop an ordinary user's daemon" {
	as_nobody daemonize -p "$T/nobody/app.pid" target dump "$report"
	reported "$report"
	silent daemonize --stop -p "$T/nobody/app.pid"
	gone "$pid"
	[ ! -e "$T/nobody/app.pid" ]
}

@test "an ordinary user can --stop its own daemon" {
	as_nobody daemonize -p "$T/nobody/app.pid" target dump "$report"
	reported "$report"
	silent as_nobody daemonize --stop -p "$T/nobody/app.pid"
	gone "$pid"
	[ ! -e "$T/nobody/app.pid" ]
}

@test "--stop finds a daemon that has closed all its fds by the PID in its pidfile" {
	daemonize -p "$T/app.pid" target closeall "$report"
	reported "$report"
	silent daemonize --stop -p "$T/app.pid"
	gone "$pid"
	there_is_no_pidfile
}

@test "--stop finds a daemon that has opened and closed its own pidfile by the PID in it" {
	daemonize -p "$T/app.pid" target openclose "$T/app.pid" "$report"
	reported "$report"
	silent daemonize --stop -p "$T/app.pid"
	gone "$pid"
	there_is_no_pidfile
}

@test "--stop exits 1 for a symbolic link, and leaves it alone" {
	ln -s "$report" "$T/app.pid"
	fails 1 "daemonize: cannot use pidfile '$T/app.pid': it is a symbolic link" daemonize --stop -p "$T/app.pid"
	[ -L "$T/app.pid" ]
}

# bats test_tags=needs:zombies
@test "a daemon that is the caller's child, and so a zombie until it is reaped, counts as stopped" {
	sh -c 'daemonize -f -p "$1" target dump "$2" 3>&- &
		while [ ! -e "$2" ]; do sleep 0.02; done
		exec daemonize --stop -t 20 -p "$1"' sh "$T/app.pid" "$report"
	there_is_no_pidfile
}

# bats test_tags=needs:zombies
@test "a zombie is not running" {
	sh -c 'daemonize -f -p "$1" target dump "$2" & exec sleep 60' sh "$T/app.pid" "$report" 3>&- &
	reported "$report"
	ended_by_kill "$pid"
	grep -q '^State:.*Z' "/proc/$pid/status"
	status_is 1 "not running, stale pidfile"
	fails 1 "*not running" daemonize --signal HUP -p "$T/app.pid"
	silent daemonize --stop -p "$T/app.pid"
}

@test "a daemon whose first thread has exited counts as running as long as another thread runs" {
	daemonize -p "$T/app.pid" target leaderless "$report"
	reported "$report"
	wait_until 10 grep -q '^State:.*Z' "/proc/$pid/status"
	status_is 0 "running (pid $pid)"
	fails 3 "daemonize: already running (pid $pid)" daemonize -p "$T/app.pid" target dump "$report"
	silent daemonize --stop -p "$T/app.pid"
	wait_until 10 test ! -e "/proc/$pid"
	there_is_no_pidfile
}

# ---- --stop --signal: by another signal ----

@test "--stop --signal sends that signal instead of TERM, and waits until the daemon has exited" {
	app 'trap "echo TERM >>$DAEMONIZE_TEST/pub/told; exit" TERM' \
		'trap "sleep 0.5; echo QUIT >>$DAEMONIZE_TEST/pub/told; exit" QUIT'
	for options in '--stop --signal QUIT' '--signal SIGQUIT --stop' '--signal HUP --stop --signal=3'; do
		app_up
		# shellcheck disable=SC2086 # words
		silent daemonize $options -p "$T/app.pid"
		gone "$pid"
		expect "$(cat "$T/pub/told")" QUIT
		there_is_no_pidfile
		rm "$T/pub/told"
	done
}

@test "--stop --signal -v says which signal it sent" {
	up
	run -0 --separate-stderr daemonize -v --stop --signal INT -p "$T/app.pid"
	expect "$output$stderr" "daemonize: sent signal 2 (INT) to pid $pid"
}

@test "--stop --signal exits 124 if the daemon ignores that signal, and --kill-after kills it" {
	up --ignore-signal USR1
	fails 124 "daemonize: gave up waiting: still running (pid $pid) after *" \
		daemonize --stop --signal USR1 -t 0.3 -p "$T/app.pid"
	lives "$pid"
	silent daemonize --stop --signal USR1 --kill-after 0.3 -p "$T/app.pid"
	gone "$pid"
	there_is_no_pidfile
}

@test "--stop --signal terminates a daemon that is suspended by SIGSTOP" {
	app 'trap "echo QUIT >$DAEMONIZE_TEST/pub/told; exit" QUIT'
	app_up
	kill -STOP "$pid"
	wait_until 10 is_stopped "$pid"
	silent daemonize --stop --signal QUIT -p "$T/app.pid"
	expect "$(cat "$T/pub/told")" QUIT
	gone "$pid"
}

@test "--stop --signal 0 sends nothing, not even CONT, and waits until the daemon has exited" {
	app 'trap "echo CONT >$DAEMONIZE_TEST/pub/told" CONT'
	app_up
	fails 124 "daemonize: gave up waiting: still running (pid $pid) after *" \
		daemonize -v --stop --signal 0 -t 0.3 -p "$T/app.pid"
	lives "$pid"
	[ ! -e "$T/pub/told" ]
	daemonize --stop --signal 0 -t inf -p "$T/app.pid" &
	kill -KILL "$pid"
	wait $!
	there_is_no_pidfile
	silent daemonize --stop --signal 0 -p "$T/app.pid"
}

@test "--stop --signal 0 --kill-after kills a daemon that has not exited in time" {
	up
	silent daemonize --stop --signal 0 --kill-after 0.3 -p "$T/app.pid"
	gone "$pid"
	there_is_no_pidfile
}

@test "--stop --signal with an invalid signal is a usage error, and so is --signal 0 without --stop" {
	up
	for name in NOSUCH -1 65; do
		wrong "unknown signal '$name'." --stop --signal "$name" -p "$T/app.pid"
	done
	wrong "signal 0 needs --stop, which then only waits." --signal 0 -p "$T/app.pid"
	lives "$pid"
}

# ---- More pidfiles ----

# up_as NAME...: starts each with its own pidfile, in run.
up_as() {
	mkdir run
	for name; do
		daemonize -p "run/$name.pid" target dump "$T/pub/$name"
		reported "$T/pub/$name"
	done
}

@test "arguments after the options of --status, --stop and --signal are more pidfiles" {
	up_as a b c
	run -0 --separate-stderr daemonize --status -p run/*.pid
	expect "$output$stderr" "run/a.pid: running (pid $(cat run/a.pid))
run/b.pid: running (pid $(cat run/b.pid))
run/c.pid: running (pid $(cat run/c.pid))"
	run -0 daemonize -v --signal CONT -p run/c.pid -p run/b.pid run/a.pid
	expect "$(grep -c 'sent signal' <<<"$output")" 3
	silent daemonize --stop -t 30 -p run/*.pid
	nothing_runs
	expect "$(ls run)" ""
}

@test "--status, --stop and --signal take their pidfiles without -p as well" {
	up_as a b
	run -0 daemonize --status run/a.pid
	expect "$output" "running (pid $(cat run/a.pid))"
	silent daemonize --signal CONT run/*.pid
	silent daemonize --stop -- run/*.pid
	nothing_runs
	expect "$(ls run)" ""
}

@test "an option after a pidfile is a usage error, unless it follows --" {
	up
	wrong "'-v' after a pidfile: options come first." --stop "$T/app.pid" -v
	wrong "'--kill-after' after a pidfile: options come first." --stop -p "$T/app.pid" other --kill-after 5
	wrong "'--' after a pidfile: options come first." --stop "$T/app.pid" -- other
	wrong "the name of a pidfile is an empty string." --stop "$T/app.pid" ''
	lives "$pid"
	cp "$T/app.pid" ./-v
	run -0 daemonize --status -- -v
	expect "$output" "running (pid $pid)"
}

@test "a start takes no pidfiles after its options, and a second -p is a usage error" {
	wrong "a daemon has one pidfile, not 'a.pid' and 'b.pid'." -p a.pid -p b.pid true
	run -127 daemonize -p a.pid b.pid
	expect "$(ls ./*.pid 2>/dev/null)" ""
}

# ---- What they never signal ----

# spared STATUS PATTERN: neither --stop nor --signal touches the bystander, and they say so.
spared() {
	fails "$1" "$2" daemonize --signal KILL -p "$T/app.pid"
	fails "$1" "$2" daemonize --stop --kill-after 0.1 -t 0.1 -p "$T/app.pid"
	lives "$other"
}

# bats test_tags=needs:proc
@test "a process that a dead daemon's pidfile has come to name is not signalled" {
	bystander
	up
	ended_by_kill "$pid"
	written "$T/app.pid" "$other"
	status_is 1 "not running, stale pidfile"
	fails 1 "*not running" daemonize --signal KILL -p "$T/app.pid"
	silent daemonize --stop --kill-after 0.1 -p "$T/app.pid"
	lives "$other"
	there_is_no_pidfile
}

# bats test_tags=needs:proc
@test "if a running daemon's pidfile names another process, only the daemon is signalled" {
	bystander
	up
	echo "$other" >"$T/app.pid"
	status_is 0 "running (pid $pid)"
	silent daemonize --stop -p "$T/app.pid"
	gone "$pid"
	lives "$other"
}

# bats test_tags=needs:proc
@test "garbage in the pidfile of a running daemon does not hide it" {
	up
	echo garbage >"$T/app.pid"
	status_is 0 "running (pid $pid)"
	silent daemonize --stop -p "$T/app.pid"
	gone "$pid"
}

@test "a pidfile that others can write is not trusted without its lock" {
	bystander
	for mode in 664 646 666; do
		echo "$other" >"$T/app.pid"
		chmod $mode "$T/app.pid"
		spared 1 "daemonize: cannot signal pid $other: '$T/app.pid' cannot be trusted*"
	done
}

@test "a pidfile of another user is not trusted without its lock" {
	need_root
	bystander
	echo "$other" >"$T/app.pid"
	chown nobody "$T/app.pid"
	spared 1 "daemonize: cannot signal pid $other: '$T/app.pid' cannot be trusted*"
}

@test "a pidfile with a time in the future is not trusted without its lock" {
	bystander
	for time in '+10 minutes' '2400-01-01'; do
		echo "$other" >"$T/app.pid"
		touch -d "$time" "$T/app.pid"
		spared 1 "daemonize: cannot signal pid $other: '$T/app.pid' cannot be trusted: its time is in the future"
		fails 3 "daemonize: already running (pid $other); if that is another process, remove '$T/app.pid': its time is in the future" \
			daemonize -p "$T/app.pid" true
	done
}

# bats test_tags=needs:proc
@test "a pidfile with a time in the future is trusted with its lock" {
	up
	touch -d '+10 minutes' "$T/app.pid"
	fails 3 "daemonize: already running (pid $pid)" daemonize -p "$T/app.pid" true
	silent daemonize --ok-if-running -p "$T/app.pid" true
	silent daemonize --stop -p "$T/app.pid"
	gone "$pid"
}

# Such a lock belongs to an open file, and so has no PID: fcntl_locking(2), "Open file description locks".
@test "--signal refuses if the lock belongs to an open file description, and so to no process" {
	need python3
	written "$T/app.pid" $nobody_has
	exec 7<app.pid
	python3 -c 'import fcntl, struct; fcntl.fcntl(7, 37, struct.pack("hhllixxxx", fcntl.F_RDLCK, 0, 0, 0, 0))' ||
		skip "needs locks of open files"
	status_is 0 "running (in another PID namespace)"
	fails 1 "daemonize: cannot signal the daemon of '$T/app.pid': it is in another PID namespace" \
		daemonize --signal CONT -p "$T/app.pid"
	exec 7<&-
	status_is 1 "not running, stale pidfile"
}

# bats test_tags=needs:native,needs:proc
@test "a process that the kernel calls a kernel thread does not count as a daemon" {
	need_root
	need unshare
	bystander
	awk '{ $9 = or($9, 0x200000); print }' "/proc/$other/stat" 2>/dev/null >stat ||
		perl -lane '$F[8] |= 0x200000; print "@F"' "/proc/$other/stat" >stat
	echo "$other" >"$T/app.pid"
	status_is 0 "running (pid $other)"
	seen_so() { unshare --mount -- sh -c 'mount --bind stat "/proc/$0/stat" && exec daemonize "$@"' "$other" "$@"; }
	unshare --mount -- mount --bind stat "/proc/$other/stat" || skip "needs to mount over a file of /proc"
	run -1 seen_so --status -p "$T/app.pid"
	expect "$output" "not running, stale pidfile"
	run -1 seen_so --signal KILL -p "$T/app.pid"
	lives "$other"
}

# bats test_tags=needs:proc
@test "a kernel thread does not count as a daemon" {
	kernel=$(grep -lE '^[0-9]+ \(.*\) . 2 0 0 0' /proc/[0-9]*/stat | head -n 1 | cut -d/ -f3)
	[ -n "$kernel" ] || skip "needs to see the kernel's threads"
	written "$T/app.pid" "$kernel"
	status_is 1 "not running, stale pidfile"
	fails 1 "*not running" daemonize --signal CONT -p "$T/app.pid"
	silent daemonize --stop -p "$T/app.pid"
	there_is_no_pidfile
}

@test "a process that takes the write lock of a dead daemon's pidfile is not signalled" {
	up
	ended_by_kill "$pid"
	holder lock "$T/app.pid"
	spared 1 "daemonize: cannot signal the daemon of '$T/app.pid': pid $other holds the lock but is not a daemonize daemon"
}

@test "a process that has the write lock and its own PID in the pidfile is not signalled" {
	holder lock "$T/app.pid"
	echo "$other" >"$T/app.pid"
	spared 1 "daemonize: cannot signal the daemon of '$T/app.pid': pid $other holds the lock but is not a daemonize daemon"
}

# as_stranger FUNCTION...: what this starts with "target" belongs to user nobody.
as_stranger() {
	mv "$T/bin/target" "$T/bin/real-target"
	printf '#!/bin/sh\nexec setpriv --reuid=nobody --regid=%s --clear-groups %s/bin/real-target "$@"\n' \
		"$(id -g nobody)" "$T" >"$T/bin/target"
	chmod 755 "$T/bin/target"
	"$@"
	mv "$T/bin/real-target" "$T/bin/target"
}

@test "another user's process that takes a read lock on a dead daemon's pidfile is not signalled" {
	need_root
	up
	ended_by_kill "$pid"
	as_stranger holder readlock "$T/app.pid"
	spared 1 "daemonize: cannot signal pid $other: '$T/app.pid' cannot be trusted*"
}

# bats test_tags=needs:proc
@test "another user's process that takes a read lock beside the daemon's is not signalled, but the daemon is" {
	need_root
	up
	as_stranger holder readlock "$T/app.pid"
	status_is 0 "running (pid $pid)"
	silent daemonize --signal CONT -p "$T/app.pid"
	silent daemonize --stop -t 20 -p "$T/app.pid"
	gone "$pid"
	lives "$other"
}

@test "a pidfile that another user owns and locks cannot get root's processes killed" {
	need_root
	bystander
	victim=$other
	echo "$victim" >"$T/nobody/app.pid"
	chown nobody "$T/nobody/app.pid"
	as_stranger holder lock "$T/nobody/app.pid"
	run -1 daemonize --stop --kill-after 0 -t 0.1 -p "$T/nobody/app.pid"
	kill -KILL "$other"
	wait "$other" || true
	rm "$T/pub/holder"
	as_stranger holder readlock "$T/nobody/app.pid"
	run -1 daemonize --stop --kill-after 0 -t 0.1 -p "$T/nobody/app.pid"
	lives "$victim"
}

# ---- Recycled PIDs, in a namespace where they can be made to order ----

# in_namespace LINE...: bash runs these lines as the first process of a PID namespace.
in_namespace() {
	need_root
	need unshare
	note in_namespace "$@"
	unshare --pid --fork --mount-proc --kill-child -- bash -euc "
		$(declare -f alive gone lacks expect wait_until field reported recycle at_call lives ended_by_kill written)
		T=$T report=$report
		$(printf '%s\n' "$@")" 3>&-
}

# recycle PID [COMMAND...]: the target, or a command that has it report to the same file, gets the PID of a dead
# process; sets other.
recycle() {
	local number=$1

	shift
	[ $# -gt 0 ] || set -- "$T/bin/target" dump "$T/pub/recycled"
	for _ in {1..100}; do # its number may be free a moment after it has left /proc
		echo $((number - 1)) >/proc/sys/kernel/ns_last_pid
		{ [ $BASHPID = "$number" ] && exec "$@"; } &
		other=$!
		[ "$other" != "$number" ] || break
		sleep 0.01
	done
	expect "$other" "$number"
	wait_until 10 test -e "$T/pub/recycled"
}

# at_call NUMBER: the only daemonize that runs is halted at the beginning of this system call.
at_call() { grep -q "^$1 " "/proc/$(pidof daemonize)/syscall"; }

# bats test_tags=needs:proc
@test "the process that got the PID of a killed daemon is not signalled" {
	in_namespace 'daemonize -p "$T/app.pid" target dump "$report"' 'reported "$report"' 'ended_by_kill $pid' \
		'written "$T/app.pid" $pid' 'recycle $pid' \
		'expect "$(daemonize --status -p "$T/app.pid" || echo $?)" $'\''not running, stale pidfile\n1'\' \
		'expect "$(daemonize --signal KILL -p "$T/app.pid" 2>&1 || echo $?)" "*not running
1"' \
		'daemonize --stop --kill-after 0 -p "$T/app.pid"' 'lives $other'
	there_is_no_pidfile
}

# bats test_tags=needs:proc
@test "the process that got the PID of a killed daemon that had lost its lock is not signalled" {
	in_namespace 'daemonize -p "$T/app.pid" target closeall "$report"' 'reported "$report"' 'ended_by_kill $pid' \
		'written "$T/app.pid" $pid' 'recycle $pid' 'daemonize --stop --kill-after 0 -p "$T/app.pid"' \
		'lives $other'
}

# bats test_tags=needs:proc
@test "a start succeeds although the dead daemon's PID was recycled" {
	in_namespace 'daemonize -p "$T/app.pid" target dump "$report"' 'reported "$report"' 'ended_by_kill $pid' \
		'written "$T/app.pid" $pid' 'recycle $pid' 'daemonize -p "$T/app.pid" target dump "$report.2"' \
		'lives $other' '[ "$(cat "$T/app.pid")" != $other ]' 'daemonize --stop -p "$T/app.pid"' 'lives $other'
}

# ---- A lock that names a process that does not hold it: a child has it, or another has got its PID ----

# not_its_daemon PID: --signal, --stop and --status say so, and a start is refused.
not_its_daemon() {
	for verb in '--signal KILL' '--stop --kill-after 0 -t 0'; do
		# shellcheck disable=SC2086 # words
		fails 1 "daemonize: cannot signal pid $1: '$T/app.pid' cannot be trusted: the process that took its lock does not hold it" \
			daemonize $verb -p "$T/app.pid"
	done
	fails 4 "daemonize: the daemon of '$T/app.pid' (pid $1) has exited, but a child of it holds its lock" \
		daemonize --status -p "$T/app.pid"
	for option in -r --ok-if-running; do
		fails 3 "daemonize: already running (a child of pid $1, which has exited, holds the lock of '$T/app.pid')" \
			daemonize $option -p "$T/app.pid" true
	done
}

# bats test_tags=needs:proc
@test "a process is neither signalled nor waited for if its child holds the lock that names it" {
	written "$T/app.pid" $nobody_has
	holder deedlock "$T/app.pid"
	not_its_daemon "$other"
	written "$T/app.pid" "$other"
	not_its_daemon "$other"
	echo $nobody_has >"$T/app.pid"
	timeout 30 "$T/bin/daemonize" -v -w inf -p "$T/app.pid" true 2>"$T/said" 3>&- &
	waiter=$!
	waits_again() { [ "$(grep -c waiting "$T/said")" -ge 2 ]; }
	wait_until 20 waits_again # so it does not wait for the one named
	kill -KILL "$(pgrep -P "$other")"
	wait $waiter
	lives "$other"
}

# As on a file system that does not answer. The first call may be opendir's, on the directory.
# bats test_tags=needs:proc,needs:native,no-valgrind
@test "the process that the lock names counts as the daemon if one of its fds cannot be examined" {
	need strace
	echo $nobody_has >"$T/app.pid"
	holder deedlock "$T/app.pid"
	for fault in '?newfstatat,?fstatat64,?statx:error=EACCES:when=2+' '?getdents64,?getdents:error=EIO'; do
		tells 0 "running (pid $other)" strace -qq -o /dev/null -P "/proc/$other/fd" -e "inject=$fault" \
			daemonize --status -p "$T/app.pid"
	done
	tells 4 "daemonize: the daemon of '$T/app.pid' (pid *) has exited, *" daemonize --status -p "$T/app.pid"
}

# The calls are pidfd_open (434) and pidfd_send_signal (424), on every architecture but Alpha.
# halted_at CALL NUMBER VERB...: halts it at this call; meanwhile the PID changes hands.
halted_at() {
	need_root
	need strace unshare
	run -0 in_namespace 'daemonize -p "$T/app.pid" target dump "$report"' 'reported "$report"' \
		'written "$T/app.pid" $pid' \
		"strace -qq -o /dev/null -e inject=$1:delay_enter=2000000 daemonize ${*:3} -p \"\$T/app.pid\" &
		strace=\$!
		wait_until 10 at_call $2" \
		'ended_by_kill $pid' 'recycle $pid' 'status=0; wait $strace || status=$?' 'echo "status $status"' \
		'lives $other'
}

# Its lock, which is not on the first fd that is examined, cannot be trusted; but a process that has exited
# holds none. The call is kill(2), whose number depends on the architecture.
# bats test_tags=needs:native,needs:proc,no-valgrind
@test "a daemon that exits before --stop finds that it cannot be trusted counts as stopped" {
	need_root
	need strace unshare
	run -0 in_namespace 'daemonize -k 10 -p "$T/app.pid" target dump "$report" 10</dev/null' 'reported "$report"' \
		'chmod 666 "$T/app.pid"' \
		'strace -qq -o "$T/trace" -e inject=getdents64:error=EACCES -e inject=kill:delay_enter=2000000 \
			daemonize --stop -p "$T/app.pid" &
		strace=$!' 'wait_until 10 at_call "\(37\|62\|129\)"' 'ended_by_kill $pid' \
		'status=0; wait $strace || status=$?' 'echo "status $status"'
	expect "$output" "status 0"
	grep -q EACCES trace
	there_is_no_pidfile
}

# The first process of a PID namespace cannot finish its exit while another is left: here a traced one, whose
# tracer does not wait for it.
# bats test_tags=needs:native,needs:proc,no-valgrind
@test "--ok-if-running does not count a daemon that is exiting as running" {
	need_root
	need strace unshare
	unshare --pid --fork sh -c 'target dump "$1" & wait' sh "$report" 3>&- &
	own $!
	wait_until 10 test -e "$report"
	first=$(pgrep -P $!)
	traced=$(pgrep -P "$first")
	strace -qq -o /dev/null -p "$traced" 3>&- &
	tracer=$!
	own $tracer
	wait_until 10 grep -q "^TracerPid:.*$tracer" "/proc/$traced/status"
	kill -STOP $tracer
	echo "$first" >app.pid
	kill -KILL "$first"
	daemonize --ok-if-running -p app.pid target dump "$T/pub/second" 3>&- &
	sleep 0.5
	kill -CONT $tracer
	reported "$T/pub/second"
}

# Its file is not locked; it is examined twice.
# bats test_tags=needs:native,needs:proc,no-valgrind
@test "--ok-if-running does not count a daemon that exits while it is examined as running" {
	need_root
	need strace unshare
	run -0 in_namespace 'daemonize -p "$T/app.pid" target closeall "$report"' 'reported "$report"' \
		'strace -qq -f -o /dev/null -e inject=kill:delay_enter=2000000:when=2 \
			daemonize --ok-if-running -p "$T/app.pid" true &
		strace=$!' 'wait_until 10 at_call "\(37\|62\|129\)"' 'ended_by_kill $pid' 'wait $strace' \
		'[ "$(cat "$T/app.pid")" != $pid ]' 'stale() { daemonize --status -p "$T/app.pid" | grep -q stale; }' \
		'wait_until 10 stale'
}

# bats test_tags=needs:native,needs:pidfd,needs:proc,no-valgrind
@test "--stop cannot hit a process that gets the PID after it was looked up, before it was pinned" {
	halted_at pidfd_open 434 --stop --kill-after 0
	expect "$output" "status 0"
	there_is_no_pidfile
}

# bats test_tags=needs:native,needs:pidfd,no-valgrind
@test "--stop cannot hit a process that gets the PID after it was pinned, before the signal" {
	halted_at pidfd_send_signal 424 --stop --kill-after 0
	expect "$output" "status 0"
	there_is_no_pidfile
}

# bats test_tags=needs:native,needs:pidfd,needs:proc,no-valgrind
@test "--signal cannot hit a process that gets the PID after it was looked up, before it was pinned" {
	halted_at pidfd_open 434 --signal KILL
	expect "$output" "*not running
status 1"
}

# bats test_tags=needs:native,needs:pidfd,no-valgrind
@test "--signal cannot hit a process that gets the PID after it was pinned, before the signal" {
	halted_at pidfd_send_signal 424 --signal KILL
	expect "$output" "*not running
status 1"
}

# bats test_tags=needs:native,needs:pidfd,needs:proc,no-valgrind
@test "-w does not wait for a process that gets the PID after it was looked up, before it was pinned" {
	need strace
	run -0 in_namespace 'daemonize -p "$T/app.pid" target dump "$report"' 'reported "$report"' \
		'written "$T/app.pid" $pid' \
		'strace -qq -o /dev/null -e inject=pidfd_open:delay_enter=2000000 \
			daemonize -w inf -p "$T/app.pid" target dump "$report.2" &
		strace=$!
		wait_until 10 at_call 434' \
		'ended_by_kill $pid' 'recycle $pid' 'wait $strace' 'lives $other'
}

# ends_family CALL WHEN NUMBER: a start gives up, and is halted at the WHENth of these calls, which is about the
# daemon's child; meanwhile the child's PID changes hands.
ends_family() {
	need_root
	need strace unshare
	printf '%s\n' '#!/bin/sh' 'trap "" TERM' 'setsid target dump "$DAEMONIZE_TEST/pub/report" &' 'wait' >bin/app
	chmod 755 bin/app
	run -0 in_namespace \
		"strace -qq -o /dev/null -e inject=$1:delay_enter=2000000:when=$2 daemonize --notify -t 1 app &
		strace=\$!" 'reported "$report"' "wait_until 10 at_call \"$3\"" \
		'ended_by_kill $pid' 'wait_until 10 test ! -e /proc/$pid' 'recycle $pid' \
		'status=0; wait $strace || status=$?' 'echo "status $status"' 'lives $other'
	expect "$output" "*gave up waiting*
status 124"
}

# bats test_tags=needs:native,needs:pidfd,needs:proc,needs:subreaper,no-valgrind
@test "the cleanup of a failed start cannot hit a process that gets one of its PIDs before it is pinned" {
	# The launcher has pinned the daemon, to wait for it and then to terminate it.
	ends_family pidfd_open 3 '434 $(printf 0x%x $pid)'
}

# bats test_tags=needs:native,needs:pidfd,needs:proc,needs:subreaper,no-valgrind
@test "the cleanup of a failed start cannot hit a process that gets one of its PIDs after it was pinned" {
	ends_family pidfd_send_signal 2 424
}

# The app has a child in a session of its own, which leaves no zombie although nobody waits for it.
reaping_app() {
	need python3
	printf '%s\n' '#!/usr/bin/env python3' 'import os, signal' 'signal.signal(signal.SIGCHLD, signal.SIG_IGN)' \
		'if os.fork() == 0:' ' os.setsid()' \
		' os.execvp("target", ["target", "dump", os.environ["DAEMONIZE_TEST"] + "/pub/report"])' \
		'signal.pause()' >bin/app
	chmod 755 bin/app
}

# ends_tree CALL WHEN NUMBER: the same with --stop --tree.
ends_tree() {
	need_root
	need strace unshare
	reaping_app
	run -0 in_namespace 'daemonize -p app.pid app' 'reported "$report"' \
		"strace -qq -o /dev/null -e inject=$1:delay_enter=2000000:when=$2 daemonize --stop --tree -p app.pid &
		strace=\$!" "wait_until 10 at_call \"$3\"" \
		'ended_by_kill $pid' 'wait_until 10 test ! -e /proc/$pid' 'recycle $pid' \
		'status=0; wait $strace || status=$?' 'echo "status $status"' 'lives $other'
	expect "$output" "status 0"
	there_is_no_pidfile
}

# First the daemon is pinned; then both processes are, for STOP, TERM and CONT.
# bats test_tags=needs:native,needs:pidfd,needs:proc,no-valgrind
@test "--stop --tree cannot hit a process that gets one of the tree's PIDs before it is pinned" {
	ends_tree pidfd_open 3 '434 $(printf 0x%x $pid)'
	rm -r pub/*
	ends_tree pidfd_open 5 '434 $(printf 0x%x $pid)'
}

# bats test_tags=needs:native,needs:pidfd,needs:proc,no-valgrind
@test "--stop --tree cannot hit a process that gets one of the tree's PIDs after it was pinned" {
	ends_tree pidfd_send_signal 3 424
	rm -r pub/*
	ends_tree pidfd_send_signal 5 424
}

# bats test_tags=needs:native,needs:pidfd,needs:proc,no-valgrind
@test "--stop --tree spares all processes of a new session that gets the ID of one that is gone" {
	need_root
	need strace unshare
	reaping_app
	printf '%s\n' '#!/bin/sh' 'target dump "$DAEMONIZE_TEST/pub/recycled" &' 'wait' >bin/stranger
	chmod 755 bin/stranger
	run -0 in_namespace 'daemonize -p app.pid app' 'reported "$report"' \
		"strace -qq -o /dev/null -e inject=pidfd_send_signal:delay_enter=2000000:when=3 daemonize --stop --tree \
			-p app.pid &
		strace=\$!" "wait_until 10 at_call 424" \
		'ended_by_kill $pid' 'wait_until 10 test ! -e /proc/$pid' \
		'recycle $pid setsid stranger' \
		'status=0; wait $strace || status=$?' 'echo "status $status"' 'lives $pid' \
		'lives $(field pid pub/recycled)'
	expect "$output" "status 0"
}

# The call is openat(2), or open(2) with musl; its number depends on the architecture.
# bats test_tags=needs:native,needs:proc,no-valgrind
@test "--stop --tree spares a stranger's child if a process of the tree gets the PID of the dead stranger" {
	need_root
	need strace unshare
	mkfifo "$T/pub/go"
	printf '%s\n' '#!/bin/sh' 'read line <"$DAEMONIZE_TEST/pub/go"' 'target dump "$DAEMONIZE_TEST/pub/heir" &' \
		'wait' >bin/app
	chmod 755 bin/app
	run -0 in_namespace 'stays_at_call() { for _ in {1..5}; do at_call "$1" || return; sleep 0.1; done; }' \
		'daemonize -p app.pid app' \
		'sh -c '\''echo $$ >"$1"; target dump "$2"; :'\'' sh "$T/pub/parent" "$report" &' \
		'reported "$report"' 'parent=$(cat "$T/pub/parent")' \
		'strace -qq -o /dev/null -P "/proc/$parent/stat" -e inject=?open,openat:delay_enter=8000000:when=3 \
			daemonize --stop --tree -p app.pid &
		strace=$!' 'wait_until 10 stays_at_call "\(2\|5\|56\|257\|286\|288\|295\|322\)"' 'ended_by_kill $parent' 'wait $parent || true' \
		'echo $((parent - 1)) >/proc/sys/kernel/ns_last_pid' 'echo >"$T/pub/go"' \
		'until [ -e "$T/pub/heir" ]; do :; done # forks none' \
		'expect "$(field pid "$T/pub/heir")" $parent' \
		'status=0; wait $strace || status=$?' 'echo "status $status"' 'lives $pid'
	expect "$output" "*status 0"
}

# ---- Other PID namespaces ----

@test "a daemon in another PID namespace counts as running, and is never signalled" {
	need_root
	need unshare
	bystander
	up
	inside() { unshare --pid --fork --mount-proc daemonize "$@"; }
	run -0 inside --status -p "$T/app.pid"
	expect "$output" "running (in another PID namespace)"
	fails 1 "daemonize: cannot signal the daemon of '$T/app.pid': it is in another PID namespace" \
		inside --stop -p "$T/app.pid"
	fails 1 "daemonize: cannot signal the daemon of '$T/app.pid': it is in another PID namespace" \
		inside --signal KILL -p "$T/app.pid"
	lives "$pid"
	expect "$(cat "$T/app.pid")" "$pid"
}

# bats test_tags=needs:native,needs:proc
@test "a daemon in a PID namespace below ours is stopped by the PID that it has in ours" {
	need_root
	need unshare
	bystander
	# Inside, the daemon has the PID that the bystander has here.
	unshare --pid --fork --mount-proc --kill-child bash -c 'echo $(($1 - 3)) >/proc/sys/kernel/ns_last_pid
		daemonize -p "$2" target dump "$3"; while [ ! -e "$2.end" ]; do sleep 0.02; done' \
		sh "$other" "$T/app.pid" "$report" 3>&- &
	own $!
	reported "$report"
	expect "$(cat "$T/app.pid")" "$pid"
	expect "$pid" "$other"
	run -0 daemonize --status -p "$T/app.pid"
	[ "$output" != "running (pid $other)" ]
	silent daemonize --stop -p "$T/app.pid"
	lives "$other"
	run -3 daemonize --status -p "$T/app.pid"
	: >"$T/app.pid.end"
	wait "${owned[0]}"
}

# ---- Without pidfds ----

@test "without pidfds everything works the same" {
	need strace
	without=(strace -qq -o /dev/null -e "inject=pidfd_open,pidfd_send_signal:error=ENOSYS" "$T/bin/daemonize")
	app 'trap "sleep 0.3; echo done >$DAEMONIZE_TEST/pub/done; exit" TERM' \
		'trap "echo HUP >$DAEMONIZE_TEST/pub/heard" HUP'
	app_up
	run -0 "${without[@]}" --status -p "$T/app.pid"
	expect "$output" "running (pid $pid)"
	silent "${without[@]}" --signal HUP -p "$T/app.pid"
	wait_until 10 test -s "$T/pub/heard"
	silent timeout 20 "${without[@]}" --stop -t 60 -p "$T/app.pid"
	expect "$(cat "$T/pub/done")" "done"
	gone "$pid"
	there_is_no_pidfile
	silent "${without[@]}" --stop -p "$T/app.pid"
	fails 1 "*not running" "${without[@]}" --signal HUP -p "$T/app.pid"
	up --ignore-signal TERM
	fails 124 "daemonize: gave up waiting: still running (pid $pid) after [0-9].[0-9][0-9] s" \
		"${without[@]}" --stop -t 0.3 -p "$T/app.pid"
	silent "${without[@]}" --stop --kill-after 0.3 -p "$T/app.pid"
	gone "$pid"
	there_is_no_pidfile
}

@test "with pidfd_open but without pidfd_send_signal everything works the same" {
	need strace
	without=(strace -qq -o /dev/null -e "inject=pidfd_send_signal:error=ENOSYS" "$T/bin/daemonize")
	up
	silent "${without[@]}" --signal CONT -p "$T/app.pid"
	silent "${without[@]}" --stop -p "$T/app.pid"
	gone "$pid"
	there_is_no_pidfile
}

@test "with a filter that returns EPERM for some or all pidfd calls everything works the same" {
	need strace
	for calls in pidfd_send_signal pidfd_open pidfd_open,pidfd_send_signal,close_range; do
		without=(strace -f -qq -o /dev/null -e "inject=$calls:error=EPERM" "$T/bin/daemonize")
		up
		silent "${without[@]}" --signal CONT -p "$T/app.pid"
		silent "${without[@]}" --stop -p "$T/app.pid"
		gone "$pid"
		there_is_no_pidfile
		run -4 "${without[@]}" -s 20 -p "$T/app.pid" target exit 7
		run -124 "${without[@]}" --notify -t 0.3 -p "$T/app.pid" sh -c 'sleep 600 & wait'
		wait_until 10 there_is_no_pidfile
		expect "$(ours)" ""
	done
}

@test "with a filter that returns EPERM, --stop still fails where it has no permission" {
	need_root
	need strace
	up
	fails 1 "daemonize: cannot signal pid $pid: Operation not permitted" as_nobody \
		strace -qq -o /dev/null -e "inject=pidfd_send_signal:error=EPERM" "$T/bin/daemonize" --stop -p "$T/app.pid"
	lives "$pid"
}

# A call that strace refuses has no number.
# bats test_tags=needs:native,needs:pidfd,no-valgrind
@test "--stop cannot hit a process that gets the PID after it was pinned, before a signal that a filter refuses" {
	halted_at pidfd_send_signal:error=EPERM -1 --stop --kill-after 0
	expect "$output" "status 0"
	there_is_no_pidfile
}

@test "without pidfds a zombie child of the caller counts as stopped" {
	need strace
	daemonize -f -p "$T/app.pid" target dump "$report" 3>&- &
	reported "$report"
	silent timeout 20 strace -qq -o /dev/null -e "inject=pidfd_open,pidfd_send_signal:error=ENOSYS" \
		"$T/bin/daemonize" --stop -t 20 -p "$T/app.pid"
	there_is_no_pidfile
}

# ---- Races and loops ----

@test "after a stop that raced a start, --status tells the truth" {
	for round in {1..12}; do
		"$T/bin/daemonize" -p "$T/app.pid" target dump "$report.$round" 2>/dev/null &
		starter=$!
		"$T/bin/daemonize" --stop -p "$T/app.pid" &
		wait $!
		wait $starter || true
		is_told_truly
	done
}

is_told_truly() {
	local runs

	runs=$(ours)
	if [ -n "$runs" ]; then
		status_is 0 "running (pid $runs)" && expect "$(cat "$T/app.pid")" "$runs"
	else
		run daemonize --status -p "$T/app.pid"
		expect "$status $output" "[13] not running*"
	fi
}

@test "every restart in a loop leaves the new daemon up" {
	up
	for _ in {1..30}; do
		old=$pid
		daemonize --stop -p "$T/app.pid"
		gone "$old"
		up
		expect "$(cat "$T/app.pid")" "$pid"
	done
	expect "$(ours)" "$pid"
}

@test "a daemon that has closed all its fds can be started and stopped in a loop" {
	for _ in {1..10}; do
		rm -f "$report"
		daemonize -p "$T/app.pid" target closeall "$report"
		reported "$report"
		silent daemonize --stop -p "$T/app.pid"
		gone "$pid"
	done
	nothing_runs
}

@test "--status in a loop only ever reports what was true" {
	(
		for _ in {1..10}; do
			"$T/bin/daemonize" -p "$T/app.pid" target dump "$report"
			"$T/bin/daemonize" --stop -p "$T/app.pid"
		done
		: >"$T/end"
	) 3>&- &
	while [ ! -e "$T/end" ]; do
		status=0
		output=$("$T/bin/daemonize" --status -p "$T/app.pid") || status=$?
		echo "$status $output" >>"$T/said"
	done
	wait $!
	expect "$(sort -u "$T/said" | sed 's/[0-9][0-9]*)/N)/' | sort -u | grep -vxE \
		'0 running \(pid N\)|3 not running|1 not running, stale pidfile')" ""
	nothing_runs
}

# ---- Usage ----

wrong() { fails 2 "daemonize: $1 Try 'daemonize --help'." daemonize "${@:2}"; }

@test "--status, --stop and --signal need a pidfile" {
	wrong "*need a pidfile." --status
	wrong "*need a pidfile." --stop --
	wrong "*need a pidfile." --signal HUP
	wrong "*need a pidfile." --stop -l "$T/app.lock"
}

@test "--status cannot be combined with --stop or --signal" {
	up
	wrong "*cannot be combined*" --stop --status -p "$T/app.pid"
	wrong "*cannot be combined*" --status --stop -p "$T/app.pid"
	wrong "*cannot be combined*" --signal HUP --status -p "$T/app.pid"
	lives "$pid"
}

@test "--stop -t and --kill-after refuse an invalid number of seconds" {
	up
	for seconds in -1 x 5m; do
		wrong "invalid number of seconds: '$seconds'." --stop -t $seconds -p "$T/app.pid"
		wrong "invalid number of seconds: '$seconds'." --stop --kill-after $seconds -p "$T/app.pid"
	done
	lives "$pid"
}
