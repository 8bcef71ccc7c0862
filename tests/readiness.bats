#!/usr/bin/env bats
# "Started" means ready: exit status 0 means that the daemon said so, or stayed alive. Any other status leaves
# nothing behind, and a message says why.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # inner shells; a test is a subshell; helper.bash assigns

load helper

# app LINE...: makes the command "app", a shell script of these lines.
app() { printf '%s\n' '#!/bin/sh' "$@" >"$T/bin/app" && chmod 755 "$T/bin/app"; }

# waiting OPTION...: starts the target in the background, and returns when it has reported; sets launcher and pid.
# bats ignores SIGINT in what it runs in the background; a terminal would not.
waiting() {
	note waiting "$@"
	"${caller[@]}" env --default-signal=ALRM,INT,QUIT "$T/bin/daemonize" "$@" target dump "$report" 2>"$T/stderr" &
	launcher=$!
	reported "$report"
}

# ends_with STATUS: the start in the background exits with it; sets status and stderr.
ends_with() {
	status=0
	wait "$launcher" || status=$?
	stderr=$(cat "$T/stderr")
	expect "$status" "$1"
}

# say MESSAGE...: sends them to the start that waits for the target of the last report.
say() { NOTIFY_SOCKET=$(field env.NOTIFY_SOCKET) "$T/bin/target" send "$@"; }

# stranger COMMAND...: runs it as another user, with the daemon's socket.
stranger() {
	NOTIFY_SOCKET=$(field env.NOTIFY_SOCKET) setpriv --reuid=12345 --regid=12345 --clear-groups -- "$@"
}

# stranger_says MESSAGE...: sends them as another user, whom the socket's permissions would really keep out.
stranger_says() {
	chmod 666 "$(field env.NOTIFY_SOCKET)"
	stranger target send "$@"
}

# dies OPTION...: the start fails, because "app" dies.
dies() { run -4 --separate-stderr daemonize -s 20 "$@" app; }

# shows LINE...: these lines of the log stood below the message, and no others.
shows() {
	local is should_be

	is=$(sed 1d <<<"$stderr") should_be=$([ $# = 0 ] || printf '    %s\n' "$@")
	[ "$is" = "$should_be" ] || { printf 'is:\n%s\nshould be:\n%s\n' "$is" "$should_be" && false; }
}

nothing_is_left() { nothing_runs && [ ! -e "$T/app.pid" ]; }

never_says() { expect "$(grep "$1" "$T/stderr")" ""; }

says() { grep -q "$1" "$T/stderr" || { cat "$T/stderr" && false; }; }

microseconds() { echo "${EPOCHREALTIME/[.,]/}"; }

# ---- --startsecs ----

@test "-s succeeds silently when the daemon lives that long" {
	run -0 --separate-stderr daemonize -s 0.2 -p "$T/app.pid" target dump "$report"
	expect "$output$stderr" ""
	reported "$report"
	expect "$(cat "$T/app.pid")" "$pid"
	alive "$pid"
}

@test "-s waits as long as it says, to a fraction of a second" {
	for seconds in 0.35 .35; do
		rm -f "$report"
		began=$(microseconds)
		start -s $seconds
		[ $(($(microseconds) - began)) -ge 350000 ]
	done
}

@test "-s 0 starts a daemon that lives on" {
	start --startsecs 0
	alive "$pid"
}

@test "a death within -s is a failure that names the exit status" {
	fails 4 "daemonize: target $(known 'exited with status 7') after [0-9].[0-9][0-9] s; its output was discarded: use -O FILE" daemonize -s 20 target exit 7
}

@test "a death by a real-time signal is reported" {
	app 'kill -RTMIN $$'
	sed -i '1s/.*/#!\/bin\/bash/' "$T/bin/app"
	fails 4 "daemonize: app $(known 'was killed by signal 3[0-9] (real-time)') after *" daemonize -s 20 app
}

@test "a death within -s is a failure that names the signal" {
	fails 4 "daemonize: target $(known 'was killed by signal 11 (SEGV)') after [0-9].[0-9][0-9] s; its output *" \
		daemonize -s 20 --no-core target kill SEGV
	fails 4 "daemonize: target $(known 'was killed by signal 9 (KILL)') after *" daemonize -s 20 target kill KILL
	fails 4 "daemonize: target $(known 'was killed by signal 1 (HUP)') after *" daemonize -s 20 target kill HUP
}

@test "the message says so when the output of a dead daemon was discarded" {
	fails 4 "*; its output was discarded: use -O FILE" daemonize -s 20 -i /dev/null target exit 7
	fails 4 "*; its standard error was discarded: use -O FILE" daemonize -s 20 -o log target exit 7
	fails 4 "* s" daemonize -s 20 -e log target exit 7
	fails 4 "* s" daemonize -s 20 -O /dev/null target exit 7
	fails 4 "* s" daemonize -s 20 -e '|cat' target exit 7
}

@test "a death within -s names an argument that is a file only in the caller's directory" {
	hint() { echo "daemonize: target $(known 'exited with status 7') after *; relative arguments such as '$1' are resolved in '$2': use -c ."; }
	touch app.conf
	mkdir sub
	fails 4 "$(hint app.conf /)" daemonize -s 20 target exit 7 -v app.conf
	fails 4 "$(hint ./app.conf /)" daemonize -s 20 -O log target exit 7 --config=./app.conf
	fails 4 "$(hint app.conf sub)" daemonize -s 20 -c sub target exit 7 app.conf
	fails 4 "* s" daemonize -s 20 -O log -c . target exit 7 app.conf
	fails 4 "* s" daemonize -s 20 -O log target exit 7 "$T/app.conf" nosuch ''
	fails 4 "daemonize: target $(known 'exited with status 0 after *background*' 'ended after *')" daemonize -s 20 target exit 0 app.conf
	if is_root; then
		fails 4 "* s" daemonize -s 20 -O log -R / target exit 7 app.conf
	fi
}

@test "an exit with status 0 within -s is a failure with a hint" {
	fails 4 "daemonize: target $(known 'exited with status 0 after *background*foreground' 'ended after *')" \
		daemonize -s 20 target exit 0
}

# bats test_tags=needs:proc,needs:subreaper
@test "a command that puts itself in the background is not left running" {
	app 'setsid target dump "$DAEMONIZE_TEST/pub/report" &' \
		'while [ ! -e "$DAEMONIZE_TEST/pub/report" ]; do sleep 0.02; done'
	fails 4 "daemonize: app exited with status 0 after *background*foreground" daemonize -s 20 -p "$T/app.pid" app
	nothing_is_left
}

@test "a death within -s leaves none of the daemon's children" {
	app 'target dump "$DAEMONIZE_TEST/pub/report" &' \
		'while [ ! -e "$DAEMONIZE_TEST/pub/report" ]; do sleep 0.02; done' 'exit 3'
	fails 4 "daemonize: app $(known 'exited with status 3') after *" daemonize -s 20 -p "$T/app.pid" app
	nothing_is_left
}

@test "a death within -s leaves no child that ignores TERM" {
	app 'target with --ignore TERM -- target dump "$DAEMONIZE_TEST/pub/report" &' \
		'while [ ! -e "$DAEMONIZE_TEST/pub/report" ]; do sleep 0.02; done' 'exit 3'
	fails 4 "daemonize: app $(known 'exited with status 3') after *" daemonize -s 20 -p "$T/app.pid" app
	nothing_is_left
}

@test "a death within -s leaves no pidfile" {
	fails 4 "*" daemonize -s 20 -p "$T/app.pid" target exit 1
	nothing_is_left
}

@test "a death ends the wait at once" {
	app 'sleep 0.1; exit 5'
	fails 4 "daemonize: app $(known 'exited with status 5') after *" timeout 10 daemonize -s 60 app
	fails 4 "daemonize: app $(known 'exited with status 5') after *" timeout 10 daemonize --notify app
	fails 4 "daemonize: app $(known 'exited with status 5') after *" timeout 10 daemonize --notify-fd 5 app
}

@test "the name in the message is the one that was typed" {
	cd "$T/bin"
	fails 4 "daemonize: ./target $(known 'exited with status 3') after *" daemonize -s 20 ./target exit 3
}

@test "a death is reported the same to a caller that ignores or blocks SIGCHLD, or has closed its streams" {
	fails 4 "daemonize: target $(known 'exited with status 7') after *" \
		target with --ignore CHLD -- daemonize -s 20 target exit 7
	fails 4 "daemonize: target $(known 'exited with status 7') after *" \
		target with --block CHLD,TERM -- daemonize -s 20 target exit 7
	run -4 target with --close 0,1,2 -- daemonize -s 20 target exit 7
}

@test "a death is reported the same to an ordinary user" {
	fails 4 "daemonize: target $(known 'exited with status 7') after *" as_nobody daemonize -s 20 target exit 7
}

@test "a death is reported the same in a container" {
	need_root
	need unshare
	fails 4 "daemonize: target $(known 'exited with status 7') after *" \
		unshare --pid --fork --mount-proc sh -c 'daemonize -s 20 target exit 7; exit $?'
}

@test "a death is reported the same with --chroot and -u" {
	need_root
	root_with_target
	fails 4 "daemonize: /target $(known 'exited with status 7') after *" \
		daemonize -s 20 -R "$T/root" -u nobody /target exit 7
}

@test "-P prints nothing for a daemon that dies" {
	run -4 --separate-stderr daemonize -P -s 20 target exit 1
	expect "$output" ""
}

@test "-P prints the PID of a daemon that stays up" {
	run -0 daemonize -P -s 0.1 target dump "$report"
	reported "$report"
	expect "$output" "$pid"
}

@test "failed starts do not keep the next one from succeeding" {
	for _ in 1 2 3 4 5; do
		fails 4 "*" daemonize -s 20 -p "$T/app.pid" target exit 1
	done
	start -s 0.1 -p "$T/app.pid"
	alive "$pid"
}

@test "a second start is refused while the first one waits, and names the first one's PID" {
	waiting --notify -p "$T/app.pid"
	fails 3 "daemonize: already running (pid $pid)" daemonize -p "$T/app.pid" target dump "$report"
	say READY=1
	ends_with 0
}

# ---- The last lines of the log ----

@test "an early death shows the lines of the log, indented" {
	app 'echo one; echo two >&2; exit 1'
	dies -O "$T/app.log"
	shows one two
}

@test "an early death shows standard error alone if it has any lines" {
	app 'echo out; echo err >&2; exit 1'
	dies -o "$T/out.log" -e "$T/err.log"
	shows err
}

@test "an early death shows standard output if standard error has no lines" {
	app 'echo out; exit 1'
	dies -o "$T/out.log" -e "$T/err.log"
	shows out
}

@test "a death by a signal shows the log, too" {
	app 'echo ouch; kill -KILL $$'
	dies -O "$T/app.log"
	shows ouch
}

@test "an early death shows the last ten lines at most" {
	app 'seq 25; exit 1'
	dies -O "$T/app.log"
	shows {16..25}
}

@test "an early death shows nothing that an earlier start has logged" {
	seq 5 >"$T/app.log"
	app 'echo new; exit 1'
	dies -O "$T/app.log"
	shows new
}

@test "an early death shows nothing if this start has logged nothing" {
	seq 5 >"$T/app.log"
	app 'exit 1'
	dies -O "$T/app.log"
	shows
}

@test "an early death shows only new lines of a log that --truncate has emptied" {
	seq 50 >"$T/app.log"
	app 'echo new; exit 1'
	dies --truncate -O "$T/app.log"
	shows new
}

@test "a last line without a newline is shown" {
	app 'printf "one\ntwo"; exit 1'
	dies -O "$T/app.log"
	shows one two
}

@test "empty lines count as lines" {
	app 'printf "one\n\nthree\n"; exit 1'
	dies -O "$T/app.log"
	expect "$(sed 1d <<<"$stderr" | wc -l)" 3
}

@test "a huge log line is cut short, and the next one is shown" {
	app 'head -c 300000 /dev/zero | tr "\0" x; echo; echo last; exit 1'
	dies -O "$T/app.log"
	expect "${stderr: -9}" $'\n    last'
	[ ${#stderr} -lt 10000 ]
}

@test "control characters in the log do not reach the terminal" {
	app 'printf "\033[31mred\a\b\r\177 end\n"; exit 1'
	dies -O "$T/app.log"
	expect "$stderr" $'*\n    *\[31mred* end'
	[[ $stderr != *[$'\a\b\r\E\177']* ]]
}

@test "letters of other alphabets come through" {
	app 'echo "größer als 日本"; exit 1'
	dies -O "$T/app.log"
	shows "größer als 日本"
}

@test "a NUL byte in the log does not hide the lines after it" {
	app 'printf "one\0\ntwo\n"; exit 1'
	dies -O "$T/app.log"
	expect "$stderr" $'*\n    two'
}

@test "an early death shows the log with -u, too" {
	need_root
	app 'echo "I am $(id -un)"; exit 1'
	dies -u nobody -O "$T/app.log"
	shows "I am nobody"
}

@test "with -u, a log that has become a symbolic link does not show root's files" {
	need_root
	echo secret >"$T/secret"
	chmod 600 "$T/secret"
	app 'rm "$DAEMONIZE_TEST/nobody/app.log"; ln -s ../secret "$DAEMONIZE_TEST/nobody/app.log"; exit 1'
	dies -u nobody -O "$T/nobody/app.log"
	shows
}

@test "a log that has become another file is not shown" {
	app 'cd "$DAEMONIZE_TEST"' 'echo mine' 'mv app.log old.log' "echo other >app.log" 'exit 1'
	dies -O "$T/app.log"
	shows
}

@test "nothing is read from a log that is not a regular file" {
	app 'echo one; exit 1'
	dies -O /dev/null
	shows
}

@test "a timeout shows the log, too" {
	app 'echo "waiting for the database"; exec target dump "$DAEMONIZE_TEST/pub/report"'
	run -124 --separate-stderr daemonize --notify -t 1 -O "$T/app.log" app
	shows "waiting for the database"
}

# ---- --notify ----

@test "redis-server is up once it says so" {
	need redis-server redis-cli
	daemonize --notify -t 20 -p "$T/app.pid" redis-server --supervised systemd --port 0 \
		--unixsocket "$T/redis" --dir "$T" --save ''
	run -0 redis-cli -s "$T/redis" ping
	expect "$output" PONG
	expect "$(redis-cli -s "$T/redis" info server | tr -d '\r')" "*process_id:$(cat "$T/app.pid")"$'\n*'
	daemonize --stop -p "$T/app.pid"
	nothing_is_left
}

@test "a redis-server that cannot start is reported, with the reason" {
	need redis-server
	run -4 --separate-stderr daemonize --notify -t 20 -O "$T/app.log" -p "$T/app.pid" redis-server \
		--supervised systemd --port 0 --unixsocket "$T/nosuch/redis" --dir "$T" --save ''
	expect "$stderr" "daemonize: redis-server $(known 'exited with status 1') after *No such file or directory*"
	nothing_is_left
}

@test "systemd-notify, run by a shell script, can say that the script is ready" {
	need systemd-notify
	app 'systemd-notify --ready --status=fine' 'exec target dump "$DAEMONIZE_TEST/pub/report"'
	run -0 --separate-stderr daemonize -v --notify -t 20 -p "$T/app.pid" app
	expect "$stderr" "*'app' says: fine*"
	reported "$report"
	expect "$(cat "$T/app.pid")" "$pid"
}

# bats test_tags=needs:native
@test "systemd-notify is answered at once, even by a start that goes on waiting" {
	need systemd-notify
	app 'systemd-notify --status=early || exit 9' 'exec target notify READY=1 "$DAEMONIZE_TEST/pub/report"'
	daemonize --notify -t 20 app
	reported "$report"
}

@test "systemd-notify never fails because the start has stopped listening" {
	need systemd-notify
	app 'systemd-notify --ready' 'echo $? >>"$DAEMONIZE_TEST/pub/statuses"' 'exec sleep 600'
	never_fails 40
}
# bats test_tags=needs:native
@test "systemd-notify never fails because a user's start has stopped listening" {
	need_root
	need systemd-notify
	app 'systemd-notify --ready' 'echo $? >>"$DAEMONIZE_TEST/pub/statuses"' 'exec sleep 600'
	caller=(as_nobody)
	never_fails 20
}

@test "systemd-notify never fails because the start has answered an earlier one" {
	need systemd-notify
	app 'systemd-notify --status=early' 'systemd-notify --ready' 'echo $? >>"$DAEMONIZE_TEST/pub/statuses"' \
		'exec sleep 600'
	never_fails 20
}

has_said() { expect "$(wc -l <"$T/pub/statuses")" "$1"; }

# never_fails ROUNDS: starts "app" in each round; it writes down the status of systemd-notify, which is always 0.
never_fails() {
	for ((round = 1; round <= $1; round++)); do
		"${caller[@]}" "$T/bin/daemonize" --notify -t 20 -p "$T/nobody/app.pid" app
		wait_until 10 has_said "$round"
		"${caller[@]}" "$T/bin/daemonize" --stop -p "$T/nobody/app.pid"
	done
	expect "$(sort -u "$T/pub/statuses")" 0
}

@test "systemd-notify never fails because a thread of the daemon runs it" {
	need systemd-notify python3
	cat >"$T/bin/app" <<-'END'
		#!/usr/bin/env python3
		import os, signal, subprocess, threading
		def say():
		    with open(os.environ["DAEMONIZE_TEST"] + "/pub/statuses", "a") as file:
		        print(subprocess.run(["systemd-notify", "--ready"]).returncode, file=file)
		threading.Thread(target=say).start()
		signal.pause()
	END
	chmod 755 "$T/bin/app"
	never_fails 10
}

@test "a daemon that keeps sending messages during -s is not blocked" {
	app 'target send READY=1' 'for n in $(seq 50); do target send "STATUS=$n"; done' \
		'exec target dump "$DAEMONIZE_TEST/pub/report"'
	"$T/bin/daemonize" --notify -s 60 app 2>"$T/stderr" &
	launcher=$!
	reported "$report"
	kill -TERM $launcher
	ends_with 143
	nothing_runs
}

# bats test_tags=needs:proc,needs:subreaper
@test "MAINPID= of another process is a failure after READY=1, too" {
	app 'target send READY=1; sleep 0.3; target send MAINPID=1' 'exec sleep 60'
	fails 4 "daemonize: app named another main process *MAINPID=1*" daemonize --notify -s 20 app
	nothing_runs
}

@test "READY=1 from the daemon ends the wait" {
	daemonize --notify -t 20 -p "$T/app.pid" target notify READY=1 "$report"
	reported "$report"
	expect "$(cat "$T/app.pid")" "$pid"
}

@test "READY=1 from a child of the daemon ends the wait" {
	app 'target send READY=1' 'exec target dump "$DAEMONIZE_TEST/pub/report"'
	daemonize --notify -t 20 app
	reported "$report"
}

@test "a daemon is up once a child that lives on says READY=1" {
	app 'target notify READY=1 "$DAEMONIZE_TEST/pub/child" &' 'exec target dump "$DAEMONIZE_TEST/pub/report"'
	timeout 15 "$T/bin/daemonize" --notify -t 60 app
	reported "$report"
	reported "$T/pub/child"
}

# looks_at_children OPTION...: how often a start does so after READY=1 from a daemon that has a child.
looks_at_children() {
	rm -f "$report"
	strace -qq -o "$T/trace" -e trace=openat,open,recvmsg -e signal=none \
		daemonize --notify -t 20 "$@" app
	reported "$report"
	grep -c '/children"' "$T/trace" || true
}

# bats test_tags=needs:proc
@test "a daemon that says READY=1 itself is up at once, whatever children it has" {
	need_root
	need strace
	mkfifo -m 666 "$T/pub/never"
	app '(read line <"$DAEMONIZE_TEST/pub/never") &' 'target dump "$DAEMONIZE_TEST/pub/child" &' \
		'exec target notify READY=1 "$DAEMONIZE_TEST/pub/report"'
	expect "$(looks_at_children -u nobody)" 0
	# A message from root may be the child's, but only if that has called exec.
	app '(read line <"$DAEMONIZE_TEST/pub/never") &' 'exec target notify READY=1 "$DAEMONIZE_TEST/pub/report"'
	expect "$(looks_at_children)" 1
}

@test "only the complete lines of an overlong message count" {
	fails 124 "daemonize: gave up waiting: target is not ready after * s: whole" daemonize --notify -t 1 target notify \
		"STATUS=whole
X=$(printf '%04072d' 0)
READY=10" "$report"
	nothing_runs
}

@test "READY=1 may stand anywhere in a message" {
	daemonize --notify -t 20 target notify $'STATUS=listening\nREADY=1\nX_FOO=2\n' "$report"
	reported "$report"
}

@test "what only looks like READY=1 does not end the wait" {
	app 'target send READY=0 READY READY=10 READY= "READY= 1" XREADY=1 "X=READY=1" ready=1 STATUS=READY=1' \
		'exec target dump "$DAEMONIZE_TEST/pub/report"'
	fails 124 "daemonize: gave up waiting: app is not ready after * s: READY=1" daemonize --notify -t 1 app
	nothing_runs
}

@test "a daemon that never says READY=1 is not up" {
	fails 124 "daemonize: gave up waiting: target is not ready after * s" \
		daemonize --notify -t 0.3 -p "$T/app.pid" target dump "$report"
	nothing_is_left
}

@test "with --notify and -s the daemon must be ready, and live on" {
	app 'target send READY=1' 'exit 3'
	fails 4 "daemonize: app $(known 'exited with status 3') after *" daemonize --notify -s 20 app
	began=$(microseconds)
	daemonize --notify -s 0.4 -t 20 target notify READY=1 "$report"
	[ $(($(microseconds) - began)) -ge 400000 ]
	reported "$report"
	alive "$pid"
}

@test "STATUS= shows with -v" {
	app 'target send STATUS=loading' 'exec target notify READY=1 "$DAEMONIZE_TEST/pub/report"'
	run -0 --separate-stderr daemonize -v --notify -t 20 app
	expect "$stderr" $'*\ndaemonize: \'app\' says: loading\n*'
}

@test "STATUS= does not show without -v" {
	app 'target send STATUS=loading' 'exec target notify READY=1 "$DAEMONIZE_TEST/pub/report"'
	run -0 --separate-stderr daemonize --notify -t 20 app
	expect "$stderr" ""
}

@test "control characters in STATUS= cannot reach the terminal" {
	run -0 --separate-stderr daemonize -v --notify -t 20 target notify $'STATUS=\E[2Jhere\nREADY=1' "$report"
	expect "$stderr" "*'target' says: *\[2Jhere*"
	[[ $stderr != *$'\E'* ]]
}

@test "a timeout reports the last STATUS=" {
	fails 124 "daemonize: gave up waiting: target is not ready after * s: still loading" \
		daemonize --notify -t 2 target notify "STATUS=still loading" "$report"
}

@test "ERRNO= becomes words in the message" {
	app 'target send ERRNO=13' 'exit 1'
	fails 4 "daemonize: app $(known 'exited with status 1') after * (Permission denied); its output *" daemonize --notify app
}

@test "what a daemon says just before its death is not lost" {
	app 'exec 2>/dev/null; target send STATUS=dying ERRNO=13; kill -KILL $$'
	for _ in {1..50}; do
		run -4 --separate-stderr daemonize -v --notify app
		expect "$stderr" "*'app' says: dying*app $(known 'was killed by signal 9 (KILL)') after * (Permission denied); its output *"
	done
}

@test "MAINPID= of the daemon itself is accepted" {
	app 'target send MAINPID=$$ READY=1' 'exec target dump "$DAEMONIZE_TEST/pub/report"'
	daemonize --notify -t 20 -p "$T/app.pid" app
	reported "$report"
	expect "$(cat "$T/app.pid")" "$pid"
}

# bats test_tags=needs:proc,needs:subreaper
@test "MAINPID= of another process is a failure: the pidfile would be wrong" {
	app 'setsid target dump "$DAEMONIZE_TEST/pub/report" &' 'target send "MAINPID=$!
READY=1"' 'wait'
	fails 4 "daemonize: app named another main process *MAINPID=[0-9]*" daemonize --notify -t 20 -p "$T/app.pid" app
	nothing_is_left
}

@test "EXTEND_TIMEOUT_USEC= gives the daemon more time" {
	app 'target send EXTEND_TIMEOUT_USEC=20000000' 'sleep 3.3' \
		'exec target notify READY=1 "$DAEMONIZE_TEST/pub/report"'
	daemonize --notify -t 3 app
	reported "$report"
}

@test "EXTEND_TIMEOUT_USEC= may be as large as a 64-bit number can be" {
	app 'target send EXTEND_TIMEOUT_USEC=9223372036854775807' 'sleep 2.3' \
		'exec target notify READY=1 "$DAEMONIZE_TEST/pub/report"'
	daemonize --notify -t 2 app
	reported "$report"
}

@test "EXTEND_TIMEOUT_USEC= gives no more time than it says" {
	fails 124 "daemonize: gave up waiting: *" timeout 10 \
		daemonize --notify -t 0.3 target notify EXTEND_TIMEOUT_USEC=600000 "$report"
	nothing_runs
}

@test "EXTEND_TIMEOUT_USEC= cannot make the time shorter" {
	app 'target send EXTEND_TIMEOUT_USEC=1' 'sleep 0.3' \
		'exec target notify READY=1 "$DAEMONIZE_TEST/pub/report"'
	daemonize --notify -t 20 app
	reported "$report"
}

@test "garbage in messages does no harm" {
	app 'target send "" = "
" "
=
=1" FOO STATUS= ERRNO=x ERRNO=99999999999999999999 MAINPID=x MAINPID= EXTEND_TIMEOUT_USEC=-1 \
		"$(head -c 20000 /dev/zero | tr "\0" x)" "$(head -c 4096 /dev/zero | tr "\0" x)" "STATUS=$(head -c 3000 /dev/zero | tr "\0" x)"' \
		'exec target notify READY=1 "$DAEMONIZE_TEST/pub/report"'
	daemonize --notify -t 20 app
	reported "$report"
}

# bats test_tags=needs:credentials
@test "a stranger's messages are ignored" {
	need_root
	waiting -v --notify -t 60
	stranger_says READY=1 STATUS=lie MAINPID=1 ERRNO=1 EXTEND_TIMEOUT_USEC=1000
	say STATUS=truth
	wait_until 10 says "says: truth"
	never_says lie
	alive "$launcher"
	say READY=1
	ends_with 0
	never_says lie
}

# bats test_tags=needs:credentials
@test "a stranger's messages are ignored by a user's start, too" {
	need_root
	caller=(as_nobody)
	waiting -v --notify -t 60
	stranger_says READY=1 STATUS=lie
	say STATUS=truth
	wait_until 10 says "says: truth"
	never_says lie
	alive "$launcher"
	as_nobody env NOTIFY_SOCKET="$(field env.NOTIFY_SOCKET)" target send READY=1
	ends_with 0
}

# bats test_tags=needs:credentials
@test "with -u, messages of the daemon's own user count, and a stranger's are ignored" {
	need_root
	waiting -v --notify -t 60 -u nobody
	stranger_says READY=1 STATUS=lie
	as_nobody env NOTIFY_SOCKET="$(field env.NOTIFY_SOCKET)" target send STATUS=truth
	wait_until 10 says "says: truth"
	never_says lie
	alive "$launcher"
	as_nobody env NOTIFY_SOCKET="$(field env.NOTIFY_SOCKET)" target send READY=1
	ends_with 0
}

@test "--notify works for an ordinary user" {
	as_nobody daemonize --notify -t 20 target notify READY=1 "$report"
	reported "$report"
}

@test "--notify works with -u" {
	need_root
	daemonize --notify -t 20 -u nobody -p "$T/app.pid" target notify READY=1 "$report"
	reported "$report"
	expect "$(field uid)" "$(id -u nobody):*"
}

# A root directory with nothing but the target in it.
root_with_target() {
	local library

	mkdir -p "$T/root/pub" "$T/root/tmp"
	chmod 1777 "$T/root/pub"
	cp "$T/bin/target" "$T/root"
	for library in $(ldd "$T/bin/target" | grep -o '/[^ ]*'); do
		cp --parents -L "$library" "$T/root"
	done
}

# bats test_tags=needs:native
@test "--notify works with --chroot" {
	need_root
	root_with_target
	daemonize --notify -t 20 -R "$T/root" -p "$T/app.pid" /target notify READY=1 /pub/report
	reported "$T/root/pub/report"
	expect "$(cat "$T/app.pid")" "$pid"
}

# bats test_tags=needs:native
@test "--notify works with --chroot and -u" {
	need_root
	root_with_target
	daemonize --notify -t 20 -R "$T/root" -u nobody /target notify READY=1 /pub/report
	reported "$T/root/pub/report"
}

@test "--notify works from an empty environment" {
	env -i "$T/bin/daemonize" --notify -t 20 "$T/bin/target" notify READY=1 "$report"
	reported "$report"
	own "$pid"
	expect "$(grep -c ^env "$report")" 1
}

@test "--notify replaces the socket of the caller's own manager" {
	NOTIFY_SOCKET=/nosuch/manager daemonize --notify -t 20 target notify READY=1 "$report"
	reported "$report"
	[ "$(field env.NOTIFY_SOCKET)" != /nosuch/manager ]
	expect "$(grep -c ^env.NOTIFY_SOCKET= "$report")" 1
}

@test "--notify gives the daemon no fd" {
	daemonize --notify -t 20 target notify READY=1 "$report"
	reported "$report"
	expect "$(grep -c ^fd "$report")" 3
}

@test "without --notify there is no NOTIFY_SOCKET" {
	start -s 0.1
	expect "$(field env.NOTIFY_SOCKET)" ""
}

# socket_is PATTERN ARGUMENT...: a start succeeds, and its daemon's socket has had such a name, and is gone.
socket_is() {
	local jail=

	rm -f "$report" "$T/root/pub/report"
	if [[ " ${*:2} " == *" -R "* ]]; then
		jail=$T/root
		"${caller[@]}" "$T/bin/daemonize" --notify -t 20 "${@:2}" /target notify READY=1 /pub/report
		reported "$jail/pub/report"
		cp "$jail/pub/report" "$report"
	else
		"${caller[@]}" "$T/bin/daemonize" --notify -t 20 "${@:2}" target notify READY=1 "$report"
		reported "$report"
	fi
	expect "$(field env.NOTIFY_SOCKET)" "$1"
	[ ! -e "$jail$(dirname "$(field env.NOTIFY_SOCKET)")" ]
}

# nobody_takes [DIRECTORY]: no stranger can bind to the name that the daemon still has, below the directory.
nobody_takes() {
	fails 1 "*" stranger python3 -c '
import os, socket, sys
name = os.environ["NOTIFY_SOCKET"]
address = "\0" + name[1:] if name[0] == "@" else sys.argv[1] + name
try:
    os.makedirs(os.path.dirname(address))
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).bind(address)
except (OSError, ValueError):
    sys.exit("cannot bind")' "${1-}"
}

@test "when the wait is over, no stranger can take the socket's name" {
	need_root
	need python3
	socket_is '/*'
	nobody_takes
	socket_is '/*' -u nobody
	nobody_takes
	caller=(as_nobody)
	socket_is "$T/nobody/daemonize.??????/notify"
	nobody_takes
}

@test "no stranger can send to the socket, but the daemon's user can" {
	need_root
	waiting --notify -t 60 -m 0 -u nobody
	run ! stranger target send READY=1
	expect "$output" "*Permission denied"
	socket=$(field env.NOTIFY_SOCKET)
	expect "$(stat -c '%a %U' "$socket" "${socket%/*}")" $'600 nobody\n711 root'
	as_nobody env NOTIFY_SOCKET="$socket" target send READY=1
	ends_with 0
	[ ! -e "${socket%/*}" ]
}

@test "a start that fails or is interrupted leaves no socket" {
	waiting --notify
	kill -KILL "$pid"
	ends_with 4
	[ ! -e "$(dirname "$(field env.NOTIFY_SOCKET)")" ]
	rm "$report"
	waiting --notify
	kill -TERM "$launcher"
	ends_with 143
	[ ! -e "$(dirname "$(field env.NOTIFY_SOCKET)")" ]
}

# jailed PATTERN: with --chroot the socket has such a name, and no stranger can take it.
jailed() {
	socket_is "$1" -R "$T/root" -u nobody -m 077
	nobody_takes "$T/root"
}

# bats test_tags=needs:native
@test "with --chroot the socket is where only root can create names, so that nobody can take its name later" {
	need_root
	need python3
	root_with_target
	jailed '/tmp/daemonize.??????/notify'
	mkdir "$T/root/run"
	jailed '/run/daemonize.??????/notify'
	chmod 1777 "$T/root/run"
	jailed '/tmp/daemonize.??????/notify'
	rmdir "$T/root/run"
	ln -s "$T/bin" "$T/root/run"
	jailed '/tmp/daemonize.??????/notify'
	rm "$T/root/run"
	mkdir -m 700 "$T/root/run"
	jailed '/tmp/daemonize.??????/notify'
	socket_is '/run/daemonize.??????/notify' -R "$T/root"
	chmod 755 "$T/root/run"
	chown nobody "$T/root/run"
	jailed '/tmp/daemonize.??????/notify'
}

# bats test_tags=needs:native
@test "in a world-writable directory, one of ours stays, so that nobody can take the socket's name" {
	need_root
	need python3
	root_with_target
	chmod 1777 "$T/root/tmp"
	jailed '/tmp/daemonize-0/daemonize.??????/notify'
	jailed '/tmp/daemonize-0/daemonize.??????/notify'
	expect "$(ls -A "$T/root/tmp")" daemonize-0
	chown nobody "$T/root/tmp/daemonize-0"
	jailed '/tmp/daemonize-0.??????/daemonize.??????/notify'
	rm -r "$T"/root/tmp/*
	ln -s "$T/bin" "$T/root/tmp/daemonize-0"
	jailed '/tmp/daemonize-0.??????/daemonize.??????/notify'
	expect "$(ls "$T/bin")" $'daemonize\ntarget'
}

# bats test_tags=needs:native,needs:sockets
@test "with --chroot the socket has an abstract name where there is no directory for it" {
	need_root
	root_with_target
	rmdir "$T/root/tmp"
	socket_is '@*' -R "$T/root" -u nobody
	mkdir -m 777 "$T/root/tmp"
	chmod 777 "$T/root/tmp"
	socket_is '@*' -R "$T/root" -u nobody
	rmdir "$T/root/tmp"
	mkdir "$T/root/run"
	# A socket's path has 107 characters at most.
	for length in 66 90; do
		deep=$T/$(printf "%0${length}d" 0)
		cp -r "$T/root" "$deep"
		rm "$deep/pub/report"
		"$T/bin/daemonize" --notify -t 20 -R "$deep" /target notify READY=1 /pub/report
		reported "$deep/pub/report"
		expect "$(field env.NOTIFY_SOCKET "$deep/pub/report")" '@*'
	done
}

@test "an ordinary user's socket is in XDG_RUNTIME_DIR, if nobody else can write there" {
	caller=(as_nobody env "XDG_RUNTIME_DIR=$T/nobody")
	socket_is "$T/nobody/daemonize.??????/notify"
	shared="/tmp/daemonize-$(as_nobody id -u)"
	mkdir "$T/pub/$(printf '%090d' 0)"
	for unfit in "$T/pub" "$T/bin" nobody "$T/nosuch" "$T/pub/"0* ''; do
		caller=(as_nobody env "XDG_RUNTIME_DIR=$unfit")
		socket_is "$shared*/daemonize.??????/notify"
	done
	rmdir "$shared" || true # unless others use it
}

@test "a daemon that finds the socket gone lives on" {
	daemonize --notify -t 20 target notify READY=1 "$report"
	reported "$report"
	run -99 say STOPPING=1
	expect "$output" "*No such file or directory"
	alive "$pid"
}

# ---- --notify-fd ----

@test "--notify-fd waits for a newline" {
	app 'echo >&5' 'exec 5>&-' 'exec target dump "$DAEMONIZE_TEST/pub/report"'
	daemonize --notify-fd 5 -p "$T/app.pid" app
	reported "$report"
	expect "$(cat "$T/app.pid")" "$pid"
	expect "$(grep -c pipe "$report")" 0
}

@test "a newline on an fd that stays open is enough" {
	app 'echo >&5' 'exec target dump "$DAEMONIZE_TEST/pub/report"'
	daemonize --notify-fd 5 app
	reported "$report"
	expect "$(field fd.5)" "w append=0 cloexec=0 pipe:*"
}

@test "no newline, no start" {
	fails 124 "daemonize: gave up waiting: target is not ready after * s" \
		daemonize --notify-fd 5 -t 0.3 -p "$T/app.pid" target dump "$report"
	nothing_is_left
}

@test "a close without a newline is a failure" {
	app 'exec 5>&-' 'exec target dump "$DAEMONIZE_TEST/pub/report"'
	fails 4 "daemonize: app closed file descriptor 5 without *" daemonize --notify-fd 5 -p "$T/app.pid" app
	nothing_is_left
}

@test "text without a newline is not enough" {
	app 'printf ready >&5' 'exec 5>&-' 'exec target dump "$DAEMONIZE_TEST/pub/report"'
	fails 4 "daemonize: app closed file descriptor 5 without *" daemonize --notify-fd 5 app
	nothing_runs
}

@test "a newline counts, whatever comes before it" {
	app 'seq -s " " 3000 >&5' 'exec target dump "$DAEMONIZE_TEST/pub/report"'
	daemonize --notify-fd 5 app
	reported "$report"
}

@test "a newline counts, whatever comes after it" {
	app 'printf "ready\nor nearly so" >&5' 'exec target dump "$DAEMONIZE_TEST/pub/report"'
	daemonize --notify-fd 5 app
	reported "$report"
}

@test "text before a newline may arrive in pieces" {
	app 'printf rea >&5' 'sleep 0.1' 'echo dy >&5' 'exec target dump "$DAEMONIZE_TEST/pub/report"'
	daemonize --notify-fd 5 -t 20 app
	reported "$report"
}

@test "a daemon that dies without a word is reported as dead, not as silent" {
	fails 4 "daemonize: target $(known 'exited with status 7') after *" daemonize --notify-fd 5 target exit 7
	fails 4 "daemonize: target $(known 'exited with status 0 after *foreground' 'ended after *')" daemonize --notify-fd 5 target exit 0
	fails 4 "daemonize: target $(known 'was killed by signal 9 (KILL)') after *" daemonize --notify-fd 5 target kill KILL
}

# notified_on FD [OPTION...]: the daemon has the pipe on that fd, and on no other.
notified_on() {
	rm -f "$report"
	app "echo >/proc/self/fd/$1" 'exec target dump "$DAEMONIZE_TEST/pub/report"'
	daemonize --notify-fd "$@" app
	reported "$report"
	expect "$(field "fd.$1")" "w append=0 cloexec=0 pipe:*"
	expect "$(grep -c pipe "$report")" 1
}

@test "--notify-fd takes any number from 3 up, even one that the start itself might use" {
	for fd in 3 4 5 6 7 8 9 10 11 12 300; do
		notified_on $fd
		notified_on $fd -o "$T/out.log" -e "$T/err.log" -p "$T/$fd.pid" -l "$T/$fd.lock"
		expect "$(cat "$T/$fd.pid")" "$pid"
	done
}

@test "the caller's own file on that fd is not written to" {
	from --open 7
	notified_on 7 7>"$T/mine"
	[ ! -s "$T/mine" ]
}

@test "other fds can be kept beside --notify-fd" {
	notified_on 5 -k 7 7>"$T/mine"
	expect "$(field fd.7)" "* $T/mine"
}

@test "-k and --notify-fd with the same number are a usage error, in any order" {
	fails 2 "daemonize: file descriptor 7 *-k*Try 'daemonize --help'." daemonize -k 7 --notify-fd 7 true 7>"$T/mine"
	fails 2 "daemonize: file descriptor 7 *-k*Try 'daemonize --help'." daemonize --notify-fd 7 -k 7 true 7>"$T/mine"
}

@test "a number for --notify-fd beyond the limit on open files is reported before the start" {
	fails 1 "daemonize: *descriptor 50*" \
		target with --nofile 20 -- daemonize --notify-fd 50 -p "$T/app.pid" target dump "$report"
	nothing_is_left
}

@test "--notify-fd works with -u, and for an ordinary user" {
	app 'echo >&5' 'exec target dump "$DAEMONIZE_TEST/pub/report"'
	as_nobody daemonize --notify-fd 5 app
	reported "$report"
	need_root
	rm "$report"
	daemonize --notify-fd 5 -u nobody app
	reported "$report"
}

@test "--notify-fd and -s together wait for both" {
	app 'echo >&5' 'exit 3'
	fails 4 "daemonize: app $(known 'exited with status 3') after *" daemonize --notify-fd 5 -s 20 app
}

# ---- --ready ----

# A command for --ready that reports and hangs; it succeeds when it is tried again.
hangs='test -e "$DAEMONIZE_TEST/pub/try" || exec target dump "$DAEMONIZE_TEST/pub/try"'

# One that hangs, ignores TERM, and has a child that does the same, in another process group if that can be seen.
hangs_on='trap "" TERM; '$(lacks proc || echo timeout 600)' target dump "$DAEMONIZE_TEST/pub/try" & sleep 600; :'

# tried NUMBER: at least so many tries have begun.
tried() { [ "$(wc -l <tries)" -ge "$1" ]; }

@test "--ready waits until its command exits with 0, and is silent" {
	waiting --ready 'echo >>tries; test -e go' -p "$T/app.pid"
	wait_until 20 tried 3
	alive $launcher
	touch go
	ends_with 0
	expect "$stderr" ""
	expect "$(cat app.pid)" "$pid"
	alive "$pid"
}

@test "--ready runs a command that succeeds at once only once" {
	start --ready 'echo >>tries'
	alive "$pid"
	expect "$(wc -l <tries)" 1
}

@test "--ready runs its command as the caller, whatever the daemon is, and gives it the daemon's PID" {
	cd pub
	umask 027
	export FOO=bar DAEMONIZE_PID=1
	from --block TERM,USR1 --ignore PIPE,USR2 --open 7,300
	waiting --ready "$hangs" -c / -m 002 -E SET=yes -k 7 -l "$T/pub/lock" -p "$T/pub/app.pid"
	daemon=$pid
	reported "$T/pub/try"
	report=$T/pub/try
	expect "$(field env.DAEMONIZE_PID)" "$daemon"
	expect "$(field env.FOO) $(field env.SET)" "bar yes"
	expect "$(field cwd) $(field umask)" "$T/pub 027"
	expect "$(field uid)" "$EUID:$EUID:$EUID"
	expect "$(field sid) $(field pgid) $(field tty)" "$pid $pid none"
	expect "$(field ignored)$(field blocked)" ""
	expect "$(grep -c '^fd\.' try)" 3
	expect "$(field fd.0)" "r *=0 cloexec=0 /dev/null"
	expect "$(field fd.1) $(field fd.2)" "w * pipe:* w * pipe:*"
	kill "$pid"
	ends_with 0
}

@test "--ready runs its command as root, even if the daemon runs as another user" {
	need_root
	waiting --ready "$hangs" -u nobody
	expect "$(field uid)" "$(id -u nobody):*"
	expect "$(field env.DAEMONIZE_PID)" ""
	reported "$T/pub/try"
	expect "$(field uid pub/try) $(field env.HOME pub/try)" "0:0:0 $HOME"
	kill "$pid"
	ends_with 0
}

@test "--ready retries its command a tenth of a second after it exits, and never runs two at once" {
	start --ready 'mkdir lock || echo two >>bad; date +%s%N >>begun; sleep 0.15; rmdir lock
		date +%s%N >>ended; [ $(wc -l <begun) -ge 4 ]'
	[ ! -e bad ]
	expect "$(wc -l <begun)" 4
	paste ended <(sed 1d begun) | head -n 3 | while read -r ended begun; do
		[ $((begun - ended)) -ge 95000000 ]
	done
}

@test "a timeout reports the first line that the command of --ready has written, on either output" {
	fails 124 "daemonize: gave up waiting: target is not ready after [0-9].[0-9][0-9] s: first" \
		daemonize --ready 'echo first; echo second; exit 1' -t 1 -p "$T/app.pid" target dump "$report"
	nothing_is_left
	fails 124 "daemonize: gave up waiting: * s: sh: *no-such*" daemonize --ready 'no-such' -t 1 target dump "$report"
	fails 124 "daemonize: gave up waiting: target is not ready after [0-9].[0-9][0-9] s" \
		daemonize --ready 'exit 1' -t 1 target dump "$report"
	nothing_runs
}

@test "a timeout reports the line of the last try that exited, or of a running one that has written something" {
	second='test -e first || { touch first; echo old; exit 1; }'
	fails 124 "daemonize: gave up waiting: * s: old" daemonize --ready "$second; sleep 600" -t 2 target dump "$report"
	rm first
	fails 124 "daemonize: gave up waiting: * s: new" daemonize --ready "$second; echo new; sleep 600" -t 2 target dump "$report"
	rm first
	fails 124 "daemonize: gave up waiting: * [0-9].[0-9][0-9] s" daemonize -t 2 \
		--ready "$second; test -e second || { touch second; exit 1; }; sleep 600" target dump "$report"
	nothing_runs
}

@test "what the command of --ready writes is cut short, and cannot harm a terminal" {
	run -124 --separate-stderr daemonize --ready 'printf "\033[2J\0end\n"; exit 1' -t 0.5 target dump "$report"
	[ "${stderr##* s: }" = '?[2J?end' ]
	run -124 --separate-stderr daemonize --ready 'printf %0500d 0; exit 1' -t 0.5 target dump "$report"
	expect "${stderr##* s: }" "$(printf %0159d 0)"
}

@test "a command of --ready that never stops writing holds up neither the deadline nor a signal" {
	fails 124 "daemonize: gave up waiting: * s: y" daemonize --ready yes -t 1 target dump "$report"
	start --ready 'yes | head -c 1000000'
	kill "$pid"
	rm "$report"
	waiting --ready yes
	kill -TERM $launcher
	ends_with 143
	nothing_runs
}

@test "a death ends the wait for --ready at once, shows the log, and terminates a command that hangs" {
	app 'while [ ! -e "$DAEMONIZE_TEST/pub/try" ]; do sleep 0.02; done; echo ouch; exit 3'
	run -4 --separate-stderr timeout 60 daemonize --ready "$hangs_on" -t inf -O "$T/app.log" -p "$T/app.pid" app
	expect "$stderr" "daemonize: app $(known 'exited with status 3') after *"
	shows ouch
	nothing_is_left
}

@test "a dead daemon is not ready, whatever the command of --ready says" {
	fails 4 "daemonize: target $(known 'was killed by signal 9 (KILL)') after *" daemonize \
		--ready 'kill -KILL $DAEMONIZE_PID; grep -q "^State:.Z" /proc/$DAEMONIZE_PID/status' target dump "$report"
	nothing_runs
}

@test "a timeout or a signal terminates a hanging command of --ready, and its child in any process group" {
	waiting --ready "$hangs_on" -p "$T/app.pid"
	reported "$T/pub/try"
	kill -INT $launcher
	ends_with 130
	expect "$stderr" "daemonize: interrupted by signal 2 (INT) while waiting for target"
	nothing_is_left
	rm "$T/pub/try"
	run -124 daemonize --ready "$hangs_on" -t 2 -p "$T/app.pid" target dump "$report"
	nothing_is_left
}

@test "the end of a hanging command of --ready spares a child that the caller had before" {
	caller=(sh -c 'target dump "$0" >/dev/null 2>&1 3>&- & exec "$@"' "$T/pub/bystander")
	waiting --ready "$hangs_on"
	reported "$T/pub/try"
	kill -TERM $launcher
	reported "$T/pub/bystander"
	ends_with 143
	expect "$(ours)" "$pid"
}

@test "a try of --ready that has no session of its own yet is terminated with the wait" {
	need strace
	run -124 sh -c 'exec >/dev/null 2>&1 3>&-; target dump "$1" &
		exec strace -D -f -qq -o trace -e inject=setsid:delay_enter=2000000 \
			daemonize --ready "target dump pub/try" -t 0.5 target dump "$2"' sh "$T/pub/bystander" "$report"
	reported "$T/pub/bystander"
	only_one_runs() { expect "$(ours)" "$pid"; }
	wait_until 10 only_one_runs # strace ends last
}

@test "what a try of --ready leaves in its process group is terminated with it" {
	start --ready 'target dump pub/try & while [ ! -e pub/try ]; do sleep 0.02; done'
	expect "$(ours)" "$pid"
}

@test "with --ready and -s the daemon must be ready, and live on" {
	app 'while [ ! -e go ]; do sleep 0.02; done; exit 3'
	fails 4 "daemonize: app $(known 'exited with status 3') after *" daemonize --ready 'touch go' -s 20 -c . app
	start --ready 'echo >>tries' -s 0.5
	expect "$(wc -l <tries)" 1
	rm go
	waiting --ready 'echo >>tries; test -e go' -s 0.1
	wait_until 20 tried 5
	alive $launcher
	touch go
	ends_with 0
}

# bats test_tags=needs:pidfd
@test "without -t, --ready waits for 60 seconds" {
	need strace
	strace -qq -o trace -e trace=/ppoll daemonize --ready 'sleep 0.2' target dump "$report"
	expect "$(cat trace)" "*tv_sec=5[0-9],*"
}

# bats test_tags=needs:pidfd
@test "a wait for --ready sleeps while the command runs" {
	need strace
	run -124 strace -qq -o trace -e trace=ppoll,poll,nanosleep,clock_nanosleep \
		daemonize --ready 'sleep 600' -t 0.8 target dump "$report"
	[ "$(wc -l <trace)" -lt 20 ]
}

@test "the command of --ready is not mistaken for one of many orphans of the daemon" {
	app 'target dump "$DAEMONIZE_TEST/pub/report" &' 'while :; do (true &); done'
	daemonize --ready 'echo >>tries; [ $(wc -l <tries) -ge 8 ]' app
	expect "$(wc -l <tries)" 8
	# It exits while the start, which it has woken, looks first for it, then for the daemon, then for orphans.
	rm tries
	need strace
	strace -qq -o trace -e inject=waitid:delay_enter=500000 daemonize --ready 'echo | tee -a tries; sleep 1' \
		-t 10 target dump "$report"
	expect "$(wc -l <tries)" 1
}

@test "a try of --ready that cannot be forked counts as a failed one" {
	need strace
	inject='inject=clone,fork,vfork:error=EAGAIN:when=2'
	run -0 strace -qq -o /dev/null -e "$inject" daemonize --ready true target dump "$report"
	reported "$report"
	kill "$pid"
	fails 124 "daemonize: gave up waiting: * s: cannot fork: Resource temporarily unavailable" \
		strace -qq -o /dev/null -e "$inject+" daemonize --ready false -t 1 target dump "$report"
}

# ---- Giving up ----

@test "-t inf sets no limit" {
	daemonize --notify -t inf target notify READY=1 "$report"
	reported "$report"
}

@test "a timeout leaves none of the daemon's children" {
	app 'target dump "$DAEMONIZE_TEST/pub/child" &' 'target dump "$DAEMONIZE_TEST/pub/other" &' \
		'exec target dump "$DAEMONIZE_TEST/pub/report"'
	fails 124 "daemonize: gave up waiting: *" daemonize --notify -t 1 -p "$T/app.pid" app
	nothing_is_left
}

# bats test_tags=needs:proc,needs:subreaper
@test "a timeout leaves no child that went into a session of its own" {
	app 'setsid target dump "$DAEMONIZE_TEST/pub/child" &' 'exec target dump "$DAEMONIZE_TEST/pub/report"'
	fails 124 "daemonize: gave up waiting: *" daemonize --notify -t 1 app
	nothing_runs
}

# bats test_tags=needs:proc,needs:subreaper
@test "a timeout leaves no orphan" {
	app '(setsid target dump "$DAEMONIZE_TEST/pub/child" &)' 'exec target dump "$DAEMONIZE_TEST/pub/report"'
	fails 124 "daemonize: gave up waiting: *" daemonize --notify -t 1 app
	nothing_runs
}

# bats test_tags=needs:proc,needs:subreaper
@test "a timeout leaves no child of a child in a session of its own" {
	app 'setsid sh -c "setsid target dump $DAEMONIZE_TEST/pub/child & wait" &' \
		'exec target dump "$DAEMONIZE_TEST/pub/report"'
	fails 124 "daemonize: gave up waiting: *" daemonize --notify -t 1 app
	nothing_runs
}

# bats test_tags=needs:proc,needs:subreaper
@test "the daemon and all its descendants get TERM first, in any session" {
	cat >"$T/bin/child" <<-'END'
		#!/bin/sh
		trap 'sleep 0.2; echo TERM >"$1.told"; exit' TERM
		: >"$1"
		while :; do sleep 0.02; done
	END
	chmod 755 "$T/bin/child"
	app 'cd "$DAEMONIZE_TEST/pub"' 'child in-session &' 'setsid child in-other-session &' \
		'(setsid child orphan &)' 'exec child daemon'
	"$T/bin/daemonize" --notify app 2>"$T/stderr" &
	launcher=$!
	wait_until 10 test -e pub/daemon -a -e pub/in-session -a -e pub/in-other-session -a -e pub/orphan
	kill -TERM $launcher
	ends_with 143
	nothing_runs
	expect "$(cd pub && ls -- *.told)" $'daemon.told\nin-other-session.told\nin-session.told\norphan.told'
}

@test "a daemon that ignores TERM is killed" {
	fails 124 "daemonize: gave up waiting: *" \
		daemonize --ignore-signal TERM --notify -t 0.3 -p "$T/app.pid" target dump "$report"
	nothing_is_left
}

@test "a stopped daemon is terminated, too" {
	waiting --notify -p "$T/app.pid"
	kill -STOP "$pid"
	kill -TERM $launcher
	ends_with 143
	nothing_is_left
}

@test "a stopped daemon whose start has failed can exit by itself" {
	app 'trap "echo TERM >$DAEMONIZE_TEST/pub/told; exit" TERM' 'cd "$DAEMONIZE_TEST/pub"' 'echo $$ >new; mv new app' \
		'while :; do sleep 0.02; done'
	"$T/bin/daemonize" --notify app 2>"$T/stderr" &
	launcher=$!
	wait_until 10 test -e "$T/pub/app"
	kill -STOP "$(cat "$T/pub/app")"
	kill -TERM $launcher
	ends_with 143
	expect "$(cat "$T/pub/told")" TERM
	nothing_runs
}

@test "a daemon whose first thread has exited is terminated, too" {
	run -124 --separate-stderr timeout -s KILL 20 daemonize --notify -t 1 -p "$T/app.pid" target leaderless "$report"
	reported "$report"
	run ! kill -KILL "$pid"
	nothing_is_left
}

# with_fds LIMIT COMMAND...: starts it with no more fds than that, and a short deadline.
with_fds() {
	run sh -c 'ulimit -n "$1"; shift; exec daemonize --notify -t 0.5 -l app.lock -O app.log "$@"' sh "$1" \
		-p "$T/app.pid" "${@:2}" 3>&- 4>&-
}

# fewest_fds COMMAND...: finds the lowest limit with which it starts; sets limit.
fewest_fds() {
	limit=5
	until with_fds $limit "$@" && [ "$status" = 124 ]; do
		expect "$status" 1
		limit=$((limit + 1))
		[ $limit -lt 20 ]
	done
}

@test "a failed start terminates its daemon, however few fds it may open" {
	fewest_fds sleep 600
	nothing_is_left
	for more in 1 2 3; do
		with_fds $((limit + more)) sleep 600
		expect "$status" 124
		nothing_is_left
	done
}

# bats test_tags=needs:subreaper
@test "a failed start terminates a daemon that moved to another process group, however few fds it may open" {
	printf '%s\n' 'import os, time' 'child = os.fork()' 'if child == 0:' ' os.setpgid(0, 0)' ' time.sleep(600)' \
		'while os.getpgid(child) != child: time.sleep(0.01)' \
		'os.setpgid(0, child)' 'os.kill(child, 9)' 'time.sleep(600)' >app.py
	fewest_fds python3 "$T/app.py"
	nothing_is_left
}

# bats test_tags=needs:proc,needs:subreaper
@test "with the fewest fds that it can start with, a failed start terminates all its daemon's process groups" {
	fewest_fds sleep 600
	for more in 0 1; do
		with_fds $((limit + more)) sh -c 'setsid sleep 600 & wait'
		expect "$status" 124
		nothing_is_left
	done
}

@test "a daemon that may not be killed does not keep the start waiting, and is named" {
	need_root
	cp "$(command -v setpriv)" "$T/bin/become"
	chmod 4755 "$T/bin/become"
	XDG_RUNTIME_DIR=$T/nobody fails 124 "daemonize: gave up waiting: * cannot be terminated" timeout -s KILL 20 setpriv --reuid=nobody \
		--clear-groups -- daemonize --notify -t 0.5 become --reuid=0 target dump "$report"
	reported "$report"
	expect "$stderr" "* pid $pid cannot be terminated"
	kill -KILL "$pid"
	rm "$report"
	run -1 --separate-stderr timeout -s KILL 60 setpriv --reuid=nobody --clear-groups -- \
		daemonize -s 2 -o '|sleep 1' become --reuid=0 target dump "$report"
	reported "$report"
	expect "${stderr_lines[-1]}" "daemonize: pid $pid cannot be terminated"
}

@test "a child that the caller had before is not the daemon's, and lives on" {
	caller=(sh -c 'target dump "$0" >/dev/null 2>&1 3>&- & exec "$@"' "$T/pub/bystander")
	waiting --notify -t 60
	reported "$T/pub/bystander"
	kill -TERM $launcher
	ends_with 143
	expect "$(ours)" "$pid"
}

# interrupted_by SIGNAL STATUS: the signal interrupts a start, which leaves nothing.
interrupted_by() {
	waiting --notify -p "$T/app.pid"
	kill "-$1" $launcher
	ends_with "$2"
	expect "$stderr" "daemonize: interrupted by signal $(kill -l "$1") ($1) while waiting for target"
	nothing_is_left
}

@test "SIGINT to a waiting start terminates the daemon, and then the start by the same signal" { interrupted_by INT 130; }
@test "SIGTERM to a waiting start terminates the daemon, and then the start by the same signal" { interrupted_by TERM 143; }
@test "SIGHUP to a waiting start terminates the daemon, and then the start by the same signal" { interrupted_by HUP 129; }
@test "SIGALRM, by which the caller limits the time, terminates a waiting start and its daemon" { interrupted_by ALRM 142; }
# bats test_tags=needs:native
@test "SIGQUIT to a waiting start terminates the daemon, and then the start by the same signal" { interrupted_by QUIT 131; }

@test "SIGINT during a wait for -s or --notify-fd leaves nothing, either" {
	for wait in "-s 60" "--notify-fd 5"; do
		# shellcheck disable=SC2086 # an option and its value
		waiting $wait -p "$T/app.pid"
		kill -INT $launcher
		ends_with 130
		nothing_is_left
		rm "$report"
	done
}

@test "SIGINT at any moment of a start leaves nothing, or a daemon that is up" {
	# A shell may be killed before it has created the file.
	touch "$T/stderr"
	for delay in 0 0.001 0.002 0.003 0.004 0.005 0.006 0.008 0.01 0.012 0.015 0.02; do
		env --default-signal=INT "$T/bin/daemonize" -s 0.005 -p "$T/app.pid" sleep 600 2>"$T/stderr" &
		launcher=$!
		sleep $delay
		kill -INT $launcher || true
		ends_with '@(0|130)'
		if [ "$status" = 0 ]; then
			expect "$(ours)" "$(cat "$T/app.pid")"
			daemonize --stop -p "$T/app.pid"
		fi
		nothing_is_left
	done
}

@test "a caller's ignored SIGHUP, as under nohup, stays ignored" {
	from --ignore HUP
	waiting -v --notify
	kill -HUP $launcher
	say STATUS=on
	wait_until 10 says "says: on"
	say READY=1
	ends_with 0
	alive "$pid"
}

@test "any other signal to a waiting start changes nothing" {
	waiting --notify
	kill -USR1 $launcher
	kill -USR2 $launcher
	say READY=1
	ends_with 0
	alive "$pid"
}

@test "SIGKILL to a waiting start leaves the daemon and a correct pidfile" {
	waiting --notify -p "$T/app.pid"
	kill -KILL $launcher
	ends_with 137
	alive "$pid"
	expect "$(cat "$T/app.pid")" "$pid"
	# Nobody is left to remove it.
	rm -r "$(dirname "$(field env.NOTIFY_SOCKET)")"
	fails 3 "daemonize: already running (pid $pid)" daemonize -p "$T/app.pid" target dump "$report"
}

@test "a start that cannot print the PID leaves nothing" {
	[ -e /dev/full ] || skip "needs /dev/full"
	fails 1 "daemonize: cannot print the PID: *" \
		sh -c 'exec daemonize -P -s 0.1 -p "$1/app.pid" target dump "$2" >/dev/full' sh "$T" "$report"
	nothing_is_left
}

@test "a start whose log command exits spares a child that the caller had before" {
	need strace
	fails 1 "daemonize: cannot start '|sleep 1': it ended before the daemon was up*" \
		sh -c 'target dump "$1" >/dev/null 2>&1 3>&- &
		while [ ! -e "$1" ]; do sleep 0.02; done
		exec strace -D -f -qq -o trace -e inject=chdir:delay_enter=3000000 daemonize -o "|sleep 1" target dump "$2"' \
		sh "$T/pub/bystander" "$report"
	reported "$T/pub/bystander"
	alone() { expect "$(ours)" "$pid"; }
	wait_until 10 alone # strace ends last
}

# bats test_tags=needs:native,needs:proc,needs:subreaper,no-valgrind
@test "a start whose log command exits terminates what has left the daemon's session, too" {
	need strace
	app '(setsid sleep 600 &)' 'touch "$DAEMONIZE_TEST/pub/report"' 'exec sleep 600'
	fails 1 "daemonize: cannot start '|until *': it ended before the daemon was up*" \
		strace -f -qq -o trace -e inject=?poll,ppoll:delay_enter=2000000 \
		daemonize -o '|until [ -e pub/report ]; do sleep 0.02; done' app
	nothing_is_left
}

@test "a start that cannot print the PID spares a child that the caller had before" {
	[ -e /dev/full ] || skip "needs /dev/full"
	fails 1 "daemonize: cannot print the PID: *" sh -c 'target dump "$1" >/dev/null 2>&1 3>&- &
		while [ ! -e "$1" ]; do sleep 0.02; done
		exec daemonize -P target dump "$2" >/dev/full' sh "$T/pub/bystander" "$report"
	reported "$T/pub/bystander"
	expect "$(ours)" "$pid"
}

# ---- Pipes that nobody reads ----

# Sets up a full pipe, whose writers must wait; it is also fd 7.
full_pipe() {
	mkfifo "$T/pipe"
	exec 7<>"$T/pipe"
	fill_pipe
}
fill_pipe() { ! dd if=/dev/zero of="$T/pipe" bs=4096 oflag=nonblock 2>/dev/null; }

@test "a start that cannot print the PID, because nobody reads it, can be interrupted, and leaves nothing" {
	full_pipe
	for signal in 'INT 130' 'TERM 143' 'HUP 129' 'ALRM 142'; do
		for option in '' '-s 0.1'; do
			rm -f "$report"
			# shellcheck disable=SC2086 # an option and its value
			waiting -P $option -p "$T/app.pid" >"$T/pipe"
			kill "-${signal% *}" $launcher
			ends_with "${signal#* }"
			expect "$stderr" "daemonize: interrupted by signal * (${signal% *}) while *ing *target"
			nothing_is_left
		done
	done
}

@test "a start that prints the PID waits for a reader" {
	full_pipe
	waiting -P -p "$T/app.pid" >"$T/pipe"
	cat "$T/pipe" >"$T/read" 3>&- &
	ends_with 0
	has_read() { expect "$(tr -d '\0' <"$T/read")" "$pid"; }
	wait_until 10 has_read
	kill $!
	alive "$pid"
}

# bats test_tags=needs:proc,needs:subreaper
@test "a start that cannot print the PID terminates what has left the daemon's session, too" {
	full_pipe
	app '(setsid target dump "$DAEMONIZE_TEST/pub/report" &)' 'exec sleep 600'
	"$T/bin/daemonize" -P -p "$T/app.pid" app >"$T/pipe" 2>"$T/stderr" 3>&- &
	launcher=$!
	reported "$report"
	wait_until 10 is_orphan "$(field pid)" "$launcher"
	kill -TERM $launcher
	ends_with 143
	nothing_is_left
}
is_orphan() { [ "$(ps -o ppid= -p "$1" | tr -d ' ')" = "$2" ]; }

@test "a signal that the caller ignores does not end a start that cannot print the PID" {
	full_pipe
	from --ignore HUP
	waiting -P -p "$T/app.pid" >"$T/pipe"
	kill -HUP $launcher
	kill -TERM $launcher
	ends_with 143
	nothing_is_left
}

@test "a start that fails can be interrupted when nobody reads why, and leaves nothing" {
	full_pipe
	app 'echo text; exit 3'
	touch "$T/stderr"
	"$T/bin/daemonize" -s 60 -p "$T/app.pid" -O "$T/app.log" app 2>"$T/pipe" &
	launcher=$!
	# It has noticed the death: from then on TERM, which would end the wait for it, is blocked.
	deaf() { lacks native || ((0x$(awk '/^SigBlk:/ { print $2 }' "/proc/$launcher/status") & 1 << 14)); }
	only_it_runs() { [ -s "$T/app.log" ] && expect "$(ours)" "$launcher" && deaf; }
	wait_until 10 only_it_runs
	kill -TERM $launcher
	ends_with 4
	nothing_is_left
}

@test "a start with -v can be interrupted when nobody reads its messages, and leaves nothing" {
	need strace
	mkfifo "$T/pipe"
	exec 7<>"$T/pipe"
	strace -f -qq -o "$T/trace" -e inject=chdir:delay_enter=2000000 \
		"$T/bin/daemonize" -v -p "$T/app.pid" target dump "$report" 2>"$T/pipe" &
	strace=$!
	wait_until 10 grep -q chdir "$T/trace"
	fill_pipe
	reported "$report"
	kill -TERM "$(awk 'NR == 1 { print $1 }' "$T/trace")"
	status=0
	wait $strace || status=$?
	expect $status 143
	nothing_is_left
}

# ---- Orphans of a daemon that is waited for ----

# gone_app LINE...: "app" leaves an orphan, whose PID is in $orphan, and is ready when that is gone for "kill -0".
gone_app() {
	app '(sleep 0.2 & echo $! >"$DAEMONIZE_TEST/pub/orphan")' 'orphan=$(cat "$DAEMONIZE_TEST/pub/orphan")' "$@" \
		'while kill -0 $orphan 2>/dev/null; do sleep 0.02; done' 'echo >&5' 'exec 5>&-' \
		'exec target dump "$DAEMONIZE_TEST/pub/report"'
}

# bats test_tags=needs:subreaper
@test "a daemon may wait for an orphan of its own to be gone before it is ready" {
	gone_app
	daemonize --notify-fd 5 -t 20 app
	reported "$report"
}

# bats test_tags=needs:subreaper
@test "a daemon may wait for an orphan to be gone even after a child of the caller has exited" {
	gone_app
	caller=(sh -c 'true & exec "$@"' sh)
	"${caller[@]}" "$T/bin/daemonize" --notify-fd 5 -t 20 app
	reported "$report"
}

# bats test_tags=needs:subreaper
@test "a daemon may wait for an orphan to be gone even after its log command has exited" {
	gone_app
	fails 1 "daemonize: cannot start '|read line; exit 7': it ended before the daemon was up, with exit status 7" \
		daemonize --notify-fd 5 -t 20 -e '|read line; exit 7' -- sh -c 'echo line >&2; sleep 0.2; exec app'
	nothing_runs
}

# bats test_tags=needs:subreaper
@test "a daemon that is being terminated may wait for an orphan of its own to be gone" {
	gone_app 'end() { kill $orphan; while kill -0 $orphan; do sleep 0.02; done; }' \
		'trap "end; echo >\"$DAEMONIZE_TEST/pub/ended\"; exit" TERM'
	sed -i 's/sleep 0.2 /sleep 60 /' "$T/bin/app"
	run -124 daemonize --notify-fd 5 -t 0.5 app
	[ -e "$T/pub/ended" ]
	nothing_runs
}

# bats test_tags=needs:subreaper
@test "none of many orphans stays a zombie during the wait for the daemon" {
	app 'for i in $(seq 200); do (sleep 0.2 &); done' 'exec target dump "$DAEMONIZE_TEST/pub/report"'
	"$T/bin/daemonize" -s 60 app 2>"$T/stderr" &
	launcher=$!
	reported "$report"
	only_the_daemon() { expect "$(ps -o pid= --ppid $launcher | tr -d ' ')" "$pid"; }
	wait_until 10 only_the_daemon
	kill -TERM $launcher
	ends_with 143
	nothing_runs
}

@test "an endless stream of orphans holds up neither the deadline nor a signal" {
	app 'echo >"$DAEMONIZE_TEST/pub/begun"' 'while :; do (true &); done'
	run -124 timeout -s KILL 20 daemonize --notify -t 0.5 app
	nothing_runs
	rm "$T/pub/begun"
	"$T/bin/daemonize" --notify app 2>"$T/stderr" &
	launcher=$!
	wait_until 10 test -e "$T/pub/begun"
	kill -TERM $launcher
	ends_with 143
	nothing_runs
}

# ---- The line on a terminal ----

# on_terminal ARGUMENT...: runs the program on a terminal; what it writes there is in $output.
on_terminal() {
	need script
	note on_terminal daemonize "$@"
	run script -qec "daemonize ${*@Q}" /dev/null </dev/null
}

@test "a wait of more than a second shows what it waits for and how long, and erases the line in the end" {
	on_terminal -s 2.3 target dump "$report"
	expect "$status" 0
	expect "$output" $'*\r\E[Kwaiting for \'target\' to stay up, 1 s\r\E[Kwaiting for \'target\' to stay up, 2 s\r\E[K'
}

@test "the line shows the latest STATUS=" {
	app 'target send STATUS=first STATUS=second' 'sleep 1.2' \
		'exec target notify READY=1 "$DAEMONIZE_TEST/pub/report"'
	on_terminal --notify app
	expect "$status" 0
	expect "$output" $'\r\E[Kwaiting for \'app\' to be ready, 1 s: second\r\E[K'
}

@test "the line is erased before what -v says" {
	app 'sleep 1.2; target send STATUS=soon' 'exec target notify READY=1 "$DAEMONIZE_TEST/pub/report"'
	on_terminal -v --notify app
	expect "$output" $'*\r\E[Kwaiting for *\r\E[Kdaemonize: \'app\' says: soon*'
}

@test "the line is erased before a message" {
	on_terminal --notify -t 1.2 target dump "$report"
	expect "$status" 124
	expect "$output" $'\r\E[Kwaiting for *\r\E[Kdaemonize: gave up waiting: *'
}

@test "the line is no longer than the terminal is wide, and has no control characters" {
	need script
	run script -qec "stty cols 60; daemonize --notify -t 1.2 target notify \
		\"\$(printf 'STATUS=\\033[2Jxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx')\" '$report'" /dev/null </dev/null
	expect "$status" 124
	line=${output#$'\r\E[K'}
	line=${line%%$'\r'*}
	expect "$line" "waiting for *"
	expect "${#line}" 59
	[[ $line != *$'\E'* ]]
}

@test "the line has 79 characters at most on a terminal that does not know how wide it is" {
	need script
	run script -qec "stty cols 0
		daemonize --notify -t 1.2 target notify STATUS=$(printf '%0150d' 0) '$report'" /dev/null </dev/null
	expect "$status" 124
	line=${output#$'\r\E[K'}
	line=${line%%$'\r'*}
	expect "$line" "waiting for *"
	expect "${#line}" 79
}

@test "a wait of less than a second shows nothing on a terminal" {
	on_terminal -s 0.3 target dump "$report"
	expect "$status" 0
	expect "$output" ""
}

@test "a wait shows nothing if standard error is not a terminal" {
	need script
	run -0 --separate-stderr script -qec "daemonize -s 1.2 target dump '$report' 2>'$T/stderr'" /dev/null </dev/null
	expect "$output$stderr" ""
	[ ! -s "$T/stderr" ]
}

@test "Ctrl-C on the terminal ends the wait and terminates the daemon" {
	need tmux
	tmux -S "$T/tmux" -f /dev/null new-session -d \
		"trap : INT; daemonize --notify -p '$T/app.pid' target dump '$report'; echo \$? >'$T/pub/status'"
	reported "$report"
	tmux -S "$T/tmux" send-keys C-c
	wait_until 20 test -s "$T/pub/status"
	expect "$(cat "$T/pub/status")" 130
	wait_until 10 nothing_is_left
}

# ---- No cost, no surprise ----

# calls OPTION...: the system calls of a start, among those that only a waiting start should need.
calls() {
	strace -f -qq -o "$T/trace" -e trace=socket,bind,pidfd_open,poll,ppoll,ioctl,rt_sigtimedwait \
		daemonize "$@" sleep 0.2
	sed 's/^[0-9]* *//; s/(.*//; /^[+-]/d' "$T/trace" | sort -u | paste -sd ' '
}

@test "a start that does not wait for readiness makes none of the system calls for it" {
	need strace
	expect "$(calls)" ""
	expect "$(calls -p "$T/app.pid")" ""
}

@test "a failed start removes nothing that it has not created" {
	need strace
	run -4 strace -qq -o "$T/trace" -e signal=none -e trace=unlink,unlinkat,rmdir \
		daemonize -s 20 target exit 7
	[ ! -s "$T/trace" ]
}

# bats test_tags=needs:watch
@test "the test of the system calls sees those of a waiting start" {
	need strace
	expect "$(calls -s 0.1)" "*pidfd_open*ppoll*"
}

# bats test_tags=needs:watch
@test "a wait sleeps: it does not poll" {
	need strace
	strace -qq -o "$T/trace" -e trace=ppoll,poll,nanosleep,clock_nanosleep,waitid \
		daemonize -s 0.8 target dump "$report"
	[ "$(wc -l <"$T/trace")" -lt 20 ]
	expect "$(grep nanosleep "$T/trace")" ""
}

# bats test_tags=needs:credentials,needs:watch
@test "a wait for --notify or --notify-fd sleeps, too, and so does one for -s after it" {
	need strace
	app 'target send READY=1' 'echo >&5' 'exec 5>&-' 'exec target dump "$DAEMONIZE_TEST/pub/report"'
	for options in '-t 0.8 --notify target' '-t 0.8 --notify-fd 5 target' '-s 0.8 --notify app' \
		'-s 0.8 --notify-fd 5 app'; do
		rm -f "$report"
		# shellcheck disable=SC2086 # options
		strace -qq -o "$T/trace" -e trace=ppoll,poll daemonize $options dump "$report" ||
			expect $? 124
		[ "$(wc -l <"$T/trace")" -lt 20 ]
	done
}

@test "without pidfds a wait ends the same way" {
	need strace
	inject=(strace -qq -o /dev/null -e "inject=pidfd_open,pidfd_send_signal:error=ENOSYS")
	run -0 "${inject[@]}" daemonize -s 0.2 -p "$T/app.pid" target dump "$report"
	expect "$output" ""
	daemonize --stop -p "$T/app.pid"
	app 'sleep 0.5' 'exit 7'
	fails 4 "daemonize: app $(known 'exited with status 7') after *" \
		timeout 20 "${inject[@]}" daemonize -s 60 app
}

# wrong PATTERN ARGUMENT...: a usage error with that message; nothing is started.
wrong() {
	fails 2 "daemonize: $1 Try 'daemonize --help'." daemonize "${@:2}" target dump "$report"
	nothing_runs
}

@test "-s without a number of seconds is a usage error" {
	for seconds in -1 x 1x 1,5 1e3 ' 1' inf; do
		wrong "invalid number of seconds: '$seconds'." -s "$seconds"
	done
	wrong "*" -s ''
}

@test "-t without a number of seconds is a usage error" {
	for seconds in -1 x 5m; do
		wrong "invalid number of seconds: '$seconds'." --notify -t $seconds
	done
}

@test "-t without anything to wait for is a usage error" { wrong "-t needs *" -t 5; }

@test "--notify-fd takes numbers from 3 up" {
	for fd in 0 1 2 -1 x 3,4 99999999999; do
		wrong "invalid file descriptor: '$fd' (3 or higher)." --notify-fd "$fd"
	done
}

@test "--notify and --notify-fd together are a usage error" { wrong "*mutually exclusive*" --notify --notify-fd 5; }

@test "--ready with --notify or --notify-fd is a usage error" {
	wrong "--notify, --notify-fd and --ready are mutually exclusive." --notify --ready true
	wrong "--notify, --notify-fd and --ready are mutually exclusive." --ready true --notify-fd 5
}

@test "--ready needs a command" {
	wrong "option '--ready' needs an argument, not an empty string." --ready ''
	wrong "no command in ' *'." --ready $' \t'
}

@test "-f with -s, --notify, --notify-fd or --ready is a usage error" {
	wrong "*-f*" -f -s 1
	wrong "*-f*" -f --notify
	wrong "*-f*" -f --notify-fd 5
	wrong "*-f*" -f --ready true
}

@test "--kill-after needs --stop" { wrong "--kill-after needs --stop." --kill-after 5; }
