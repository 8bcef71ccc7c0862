#!/usr/bin/env bats
# --restart: a keeper stays and restarts the command whenever it exits, until it is stopped.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # inner shells; a test is a subshell; helper.bash assigns

load helper

# told PATTERN: a line of the log matches it.
told() { grep -qxE -- "$1" log; }

# lines N FILE: the file has at least N lines.
lines() { [ "$(wc -l <"$2")" -ge "$1" ]; }

# running [N]: waits for the Nth run of the command, which has added its PID to "run"; sets command.
running() {
	wait_until 30 lines "${1-1}" run
	command=$(sed -n "${1-1}p" run)
}

# keep OPTION... -- SCRIPT: keeps a shell that adds its PID to "run" and runs the script; sets keeper and command.
keep() {
	local script=${*: -1}

	daemonize -c "$T" -p app.pid -O log "${@:1:$#-2}" sh -c "echo \$\$ >>run; $script"
	keeper=$(cat app.pid)
	running
}

# Kills the run that reported last, pid, and waits for the report of the next; sets pid again.
the_next_run_reports_the_same() {
	local first=$pid

	mv "$report" first
	kill -KILL "$first"
	reported "$report"
	[ "$pid" != "$first" ]
	diff <(grep -v ^pid= first) <(grep -v ^pid= "$report")
}

endless='while :; do sleep 0.1; done'

@test "a command is restarted however it exits, and each exit is logged" {
	keep --restart 0.1 -- 'echo >>runs; case $(wc -l <runs) in 1) exit 0;; 2) exit 3;; 3) kill -KILL $$;; esac; exec sleep 600'
	wait_until 10 lines 4 runs
	wait_until 10 told 'daemonize: sh \(pid [0-9]+\) exited with status 0 after [0-9.]+ s; starting it again in 0.10 s'
	told 'daemonize: sh \(pid [0-9]+\) exited with status 3 after [0-9.]+ s; starting it again in 0.10 s'
	told 'daemonize: sh \(pid [0-9]+\) was killed by signal 9 \(KILL\) after [0-9.]+ s; starting it again in 0.10 s'
	expect "$(wc -l <log)" 3
	expect "$(daemonize --status -p app.pid)" "running (pid $keeper)"
}

@test "it is restarted SECONDS after it exits, not before" {
	keep --restart 1.5 -- 'date +%s.%N >>begun; date +%s.%N >>ended'
	wait_until 20 lines 2 begun
	awk 'NR == FNR { ended[FNR] = $1; next } FNR > 1 && $1 - ended[FNR - 1] < 1.4 { exit 1 }' ended begun
}

@test "every run has the signals, umask and fds that a start sets up" {
	from --ignore HUP,INT,QUIT,PIPE,TERM,CHLD,USR1,USR2,WINCH,RTMIN+3 --block HUP,TERM,USR1,CHLD --open 7,9
	start -p app.pid -O log --restart 0.1 -m 027 -E A=b -k 9 --ignore-signal HUP,CHLD -l lock
	keeper=$(cat app.pid)
	expect "$(field ppid)" "$keeper"
	expect "$(field pgid)" "$keeper"
	expect "$(field ignored)" HUP,CHLD,TSTP,TTIN,TTOU
	expect "$(field blocked)" ""
	expect "$(field umask)" 027
	expect "$(field fd.9)" "*/dev/null*"
	run ! grep '^fd\..*/app\.pid' "$report"
	the_next_run_reports_the_same
}

@test "the pidfile, its lock and the printed PID are the keeper's" {
	daemonize -P -p app.pid --restart 1 target dump "$report" >printed
	reported "$report"
	keeper=$(cat printed)
	expect "$(cat app.pid)" "$keeper"
	expect "$(field ppid)" "$keeper"
	tells 0 "running (pid $keeper)" daemonize --status -p app.pid
	tells 3 "daemonize: already running (pid $keeper)" daemonize -p app.pid true
}

@test "ps shows the keeper as such, with its command" {
	keep --restart 0.5 -- "$endless"
	expect "$(ps -o args= -p "$keeper")" "daemonize: keeper of pid $command (start 1): sh -c *done"
	expect "$(ps -o comm= -p "$keeper")" daemonize
}

@test "each run gets the command's arguments exactly as they were given" {
	daemonize -c "$T" -p app.pid --restart 0.1 sh -c 'printf "<%s>" "$@" >>args; echo >>args' sh '' $'c\nd' '' '*'
	wait_until 10 lines 6 args
	head -n 6 args >six
	cmp six - <<<$'<><c\nd><><*>\n<><c\nd><><*>\n<><c\nd><><*>'
}

@test "the keeper forwards signals to the command" {
	need bash
	daemonize -c "$T" -p app.pid -O log --restart 1 bash -c 'for s in HUP INT QUIT USR1 USR2 WINCH CONT ABRT 40 64
		do trap "echo $s >>got" $s; done; echo >up; while :; do sleep 0.05; done'
	wait_until 10 test -e up
	for signal in HUP INT QUIT USR1 USR2 WINCH CONT ABRT 40 64; do
		daemonize --signal $signal -p app.pid
		wait_until 10 grep -qx $signal got
	done
	expect "$(wc -l <got)" 10
	expect "$(wc -c <log)" 0
}

@test "TERM terminates the command, and then the keeper" {
	keep --restart 0.1 -- 'trap "sleep 1; echo over >>over; exit 5" TERM; echo >up; '"$endless"
	wait_until 10 test -e up
	daemonize --stop -p app.pid
	expect "$(cat over)" over
	gone "$command"
	[ ! -e app.pid ]
	told "daemonize: sh \(pid $command\) exited with status 5 after [0-9.]+ s; not starting it again"
	nothing_runs
}

@test "kill terminates the keeper and its command" {
	keep --restart 0.1 -- 'exec sleep 600'
	kill "$keeper"
	wait_until 10 nothing_runs
	told "daemonize: sh \(pid $command\) was killed by signal 15 \(TERM\) after [0-9.]+ s; not starting it again"
}

@test "a command that gets TERM from elsewhere is restarted" {
	keep --restart 0.1 -- 'exec sleep 600'
	kill "$command"
	wait_until 10 told "daemonize: sh \(pid $command\) was killed by signal 15 \(TERM\) after [0-9.]+ s; starting it again in 0.10 s"
	running 2
	tells 0 "running (pid $keeper)" daemonize --status -p app.pid
}

@test "the log has each run's output, and then how it exited" {
	keep --restart 0.1 -- 'echo out; echo err >&2; exit 3'
	wait_until 20 lines 6 log
	daemonize --stop -p app.pid
	expect "$(head -n 6 log | sed 's/^daemonize: .*/end/' | xargs)" 'out err end out err end'
}

@test "--stop terminates a command that SIGSTOP has suspended" {
	keep --restart 0.1 -- 'exec sleep 600'
	kill -STOP "$command"
	daemonize --stop -p app.pid
	nothing_runs
}

@test "TERM terminates a keeper that is pausing between runs" {
	keep --restart 600 -- 'exit 0'
	wait_until 10 told '.*starting it again in 600.00 s'
	expect "$(ps -o args= -p "$keeper")" "daemonize: keeper, pausing after start 1: sh -c *"
	daemonize --stop -p app.pid
	nothing_runs
	expect "$(wc -l <log)" 1
}

@test "a command that exits on INT or QUIT is not restarted" {
	for end in 'exec sleep 600' 'trap "exit 0" INT QUIT; echo >up; '"$endless" 'trap "exit $((128 + $signal))" INT QUIT; echo >up; '"$endless"; do
		for signal in 2 3; do
			rm -f up run
			keep --restart 0.1 -- "signal=$signal; $end"
			[[ $end != *up* ]] || wait_until 10 test -e up
			daemonize --signal $signal -p app.pid
			wait_until 10 gone "$keeper"
			gone "$command"
		done
	done
}

@test "a command that survives INT or QUIT is still restarted when it crashes" {
	keep --restart 0.1 -- 'trap "echo >>dump" INT QUIT; echo >up; '"$endless"
	wait_until 10 test -e up
	daemonize --signal QUIT -p app.pid
	wait_until 10 test -e dump
	kill -KILL "$command"
	running 2
	alive "$keeper"
}

@test "a command that exits at once is restarted after longer and longer pauses" {
	keep --restart 0.5 -- 'exit 1'
	wait_until 60 told '.*starting it again in 2.00 s'
	expect "$(grep -o '[0-9.]* s$' log | uniq)" $'0.50 s\n1.00 s\n2.00 s'
	[ "$(grep -c 'in 0.50 s' log)" -ge 4 ]
}

# pauses SECONDS COMMAND...: the pauses after the first eleven runs, without waiting them out.
pauses() {
	rm -f log
	bin/hasty -c "$T" -p app.pid -O log --restart "$@"
	wait_until 30 lines 11 log
	daemonize --stop -p app.pid
	pauses=$(grep -o '[0-9.]* s$' log | head -n 11 | xargs)
}

# bats test_tags=around
@test "pauses double up to a minute, and are short again after a longer run" {
	cc -o bin/hasty "$here"/../daemonize.c "$here"/../src/*.c "$here/haste.c" -Wl,--wrap=clock_gettime,--wrap=ppoll
	pauses 2 false
	expect "$pauses" '2.00 s 2.00 s 2.00 s 2.00 s 4.00 s 8.00 s 16.00 s 32.00 s 60.00 s 60.00 s 60.00 s'
	pauses 2 sh -c 'echo >>run; [ "$(wc -l <run)" != 7 ] || sleep 2.5'
	expect "$pauses" '2.00 s 2.00 s 2.00 s 2.00 s 4.00 s 8.00 s 2.00 s 2.00 s 2.00 s 2.00 s 2.00 s'
	pauses 100 false
	expect "$pauses" '100.00 s 100.00 s 100.00 s 100.00 s 100.00 s 100.00 s 100.00 s 100.00 s 100.00 s 100.00 s 100.00 s'
}

@test "a command that runs for SECONDS is restarted after the pause that was asked for" {
	keep --restart 0.1 -- 'sleep 0.3; exit 1'
	wait_until 30 lines 8 log
	expect "$(grep -o '[0-9.]* s$' log | uniq)" '0.10 s'
}

@test "--restart 0 still pauses between runs" {
	keep --restart 0 -- 'sleep 0.3'
	wait_until 10 told '.*starting it again in 0.10 s'
}

@test "a command that can no longer be executed is tried again" {
	printf '#!/bin/sh\nexit 1\n' >app
	chmod +x app
	daemonize -c "$T" -O log --restart 0.1 ./app
	mv app gone
	own "$(pgrep -f "keeper.*$T/app")"
	wait_until 10 told "daemonize: cannot execute '$T/app': No such file or directory; trying again in [0-9.]+ s"
	rm log
	printf '#!/bin/sh\necho >>%s/back; exec sleep 600\n' "$T" >gone
	mv gone app
	wait_until 30 test -e back
}

# bats test_tags=needs:subreaper
@test "orphans of the command are reaped" {
	keep --restart 600 -- 'setsid sh -c "echo \$\$ >orphan; exec sleep 600" & '"$endless"
	wait_until 10 test -s orphan
	orphan=$(cat orphan)
	kill -KILL "$command"
	is_ours() { expect "$(ps -o ppid= -p "$orphan")" "*$keeper"; }
	wait_until 10 is_ours
	kill -KILL "$orphan"
	wait_until 10 test ! -e "/proc/$orphan"
}

@test "the command inherits no fds from the keeper" {
	start -p app.pid -s 0 --restart 1
	expect "$(grep '^fd\.' "$report" | cut -d = -f 1 | xargs)" "fd.0 fd.1 fd.2"
}

@test "a log that nobody reads does not block the keeper" {
	mkfifo fifo
	sleep 600 <>fifo 3>&- &
	own $!
	wait_until 10 test "/proc/$!/fd/0" -ef fifo
	keep --restart 0.1 -O fifo -- '[ -e runs ] || dd if=/dev/zero bs=4096 count=16 status=none; echo >>runs; exit 1'
	wait_until 10 lines 2 runs
	daemonize --stop -p app.pid
}

# bats test_tags=needs:pdeathsig
@test "a keeper that is killed leaves no command behind" {
	keep --restart 0.1 -- 'trap "" TERM HUP INT; '"$endless"
	kill -KILL "$keeper"
	wait_until 10 gone "$command"
	daemonize -p app.pid true
}

# bats test_tags=needs:pdeathsig
@test "a command that ignores TERM is killed with its keeper" {
	keep --restart 0.1 -- 'trap "" TERM; echo >up; '"$endless"
	wait_until 10 test -e up
	run -124 daemonize --stop -t 0.3 -p app.pid
	daemonize --stop --kill-after 0.1 -p app.pid
	wait_until 10 gone "$command"
}

# bats test_tags=needs:watch
@test "an idle keeper does not wake up" {
	keep --restart 1 -- 'exec sleep 600'
	before=$(grep ctxt_switches "/proc/$keeper/status")
	sleep 2
	expect "$(grep ctxt_switches "/proc/$keeper/status")" "$before"
}

# bats test_tags=faults,needs:native,needs:proc,no-valgrind
@test "a keeper uses little memory of its own" {
	[ -r /proc/self/smaps_rollup ] || skip "needs smaps_rollup"
	keep --restart 0.1 -- 'test -e on && exec sleep 600; echo >on'
	running 2
	[ "$(awk '/^Anonymous:/ { print $2 }' "/proc/$keeper/smaps_rollup")" -le 200 ]
}

# bats test_tags=needs:pdeathsig
@test "a later run of the command dies with its keeper" {
	keep --restart 0.1 -- '[ -e second ] || { echo >second; exit 1; }; trap "" TERM; '"$endless"
	running 2
	wait_until 10 grep -q 'start 2' "/proc/$keeper/cmdline"
	kill -KILL "$keeper"
	wait_until 10 gone "$command"
}

# bats test_tags=needs:proc
@test "--status -v shows the command's PID, and how often it was started" {
	keep --restart 0.1 -- '[ -e third ] && exec sleep 600; [ -e second ] && echo >third; echo >second'
	third() { daemonize --status -v -p app.pid | grep -F "command: daemonize: keeper of pid $(sed -n 3p run) (start 3): sh -c echo"; }
	wait_until 10 third
	expect "$(daemonize --status -v -p app.pid)" "running (pid $keeper), user $(id -un), since * command: *"
}

# ---- The start ----

@test "a command that cannot be executed fails the start as without --restart, and leaves nothing" {
	printf '\0' >bad
	chmod +x bad
	for option in --restart=1 --restart=1\ -s1 --restart=1\ -f; do
		# shellcheck disable=SC2086 # a list
		fails 127 "daemonize: cannot find 'nosuch': command not found" daemonize $option -p app.pid nosuch
		# shellcheck disable=SC2086
		fails 126 "daemonize: cannot execute './bad': Exec format error" daemonize $option -p app.pid ./bad
		[ ! -e app.pid ]
	done
	nothing_runs
}

@test "--restart takes a number of seconds" {
	for argument in x -1 inf ''; do
		fails 2 "daemonize: *" daemonize --restart "$argument" true
	done
	fails 2 "daemonize: option '--restart' needs an argument*" daemonize --restart
}

@test "with --chroot, the keeper and each run are inside the new root" {
	need_root
	mkdir -p new/bin new/tmp
	cc -static -o new/bin/target "$BATS_TEST_DIRNAME/target.c"
	report=$T/new/tmp/report
	daemonize -R new -p app.pid --restart 0.1 target dump /tmp/report
	reported "$report"
	expect "$(readlink "/proc/$(cat app.pid)/root")" "$T/new"
	first=$pid
	rm "$report"
	kill -KILL "$pid"
	reported "$report"
	[ "$pid" != "$first" ]
	expect "$(field ppid)" "$(cat app.pid)"
}

@test "with --chroot and -u, the keeper and its command run as that user, in the directory of -c" {
	need_root
	mkdir -p new/bin new/tmp new/sub
	chmod 1777 new/tmp
	cc -static -o new/bin/target "$BATS_TEST_DIRNAME/target.c"
	report=$T/new/tmp/report
	daemonize -R new -u nobody -c sub --no-core -p app.pid --restart 0.1 target dump /tmp/report
	reported "$report"
	the_next_run_reports_the_same
	expect "$(field cwd)" /sub
	expect "$(field core)" 0
	keeper=$(cat app.pid)
	expect "$(awk '/^[UG]id:/ { print $2 $3 $4 $5 }' "/proc/$keeper/status" | xargs)" \
		"$(printf "$(id -u nobody)%.0s" 1 2 3 4) $(printf "$(id -g nobody)%.0s" 1 2 3 4)"
	expect "$(readlink "/proc/$keeper/cwd")" "$T/new/sub"
	daemonize --stop -p app.pid
	nothing_runs
}

# bats test_tags=needs:proc
@test "the keeper starts even if the user of -u cannot reach daemonize itself" {
	need_root
	mkdir private
	mv bin/daemonize private
	chmod 700 private
	"$T/private/daemonize" -u nobody -p app.pid --restart 0.1 target dump "$report"
	reported "$report"
	expect "$(stat -c %U "/proc/$(cat app.pid)")" nobody
	kill -KILL "$pid"
	first=$pid
	rm "$report"
	reported "$report"
	[ "$pid" != "$first" ]
}

@test "-E LD_PRELOAD reaches each run, but not the keeper" {
	daemonize -E LD_PRELOAD="$T/nosuch.so" -c "$T" -p app.pid -O log --restart 0.1 sh -c 'echo "$LD_PRELOAD" >>seen
		[ ! -e second ] || kill -STOP $$; : >second; exit 1'
	wait_until 10 lines 2 seen
	expect "$(sort -u seen)" "$T/nosuch.so"
	expect "$(grep -c 'cannot be preloaded' log)" 2
	expect "$(grep -c 'daemonize: ' log)" 1
	daemonize --stop -p app.pid
	nothing_runs
}

# bats test_tags=needs:native
@test "-E LD_LIBRARY_PATH reaches the command of --ready, too" {
	daemonize -E LD_LIBRARY_PATH=/nonexistent -p app.pid --restart 1 --ready 'echo "$LD_LIBRARY_PATH" >tried' sleep 60
	expect "$(cat tried)" /nonexistent
	daemonize --stop -p app.pid
	nothing_runs
}

# ---- Readiness ----

@test "an early death fails the start, and is not retried" {
	for option in '-s 20' '--notify' '--notify-fd 5' '--ready false -s 0.1'; do
		# shellcheck disable=SC2086 # a list
		run -4 daemonize $option -c "$T" -p app.pid -O log --restart 0.1 sh -c 'echo >>runs; echo why; exit 7'
		expect "$output" "daemonize: sh $(known 'exited with status 7') after *"$'\n    why'
		[ ! -e app.pid ]
		nothing_runs
	done
	lines 4 runs
	run ! lines 5 runs
	run -4 daemonize -s 20 -p app.pid --restart 0.1 target kill SEGV
	expect "$output" "daemonize: target $(known 'was killed by signal 11 (SEGV)') after *"
	run ! grep daemonize: log
}

@test "a command that exits after it was ready is restarted" {
	printf '%s\n' '#!/bin/sh' 'echo $$ >>run; [ -e go ] && exec sleep 600' \
		'while [ ! -e go ]; do sleep 0.05; done' >app
	chmod +x app
	daemonize -s 0.2 -c "$T" -p app.pid -O log --restart 0.1 ./app
	running
	: >go
	running 2
	daemonize --stop -p app.pid
	nothing_runs
}

@test "--ready waits for the first run" {
	daemonize --ready 'test -e ready' -t 60 -c "$T" -p app.pid --restart 0.1 sh -c 'sleep 0.3; echo >ready; exec sleep 600'
	[ -e ready ]
	daemonize --stop -p app.pid
	nothing_runs
}

# However close the race: either the start fails and nothing runs, or the command is kept.
@test "the start and the keeper agree on whether the first run was ready" {
	for delay in 0 0.001 0.002 0.003 0.004 0.006 0.008 0.01 0.012 0.015 0.02; do
		for _ in 1 2 3; do
			status=0
			daemonize -s "$delay" -p app.pid --restart 0.1 sh -c 'sleep 0.006; exit 7' 2>log || status=$?
			if [ $status = 0 ]; then
				daemonize --status -p app.pid
				daemonize --stop -p app.pid
			else
				expect "$status $(cat log)" "4 daemonize: sh $(known 'exited with status 7') after *"
				[ ! -e app.pid ]
			fi
			nothing_runs
		done
	done
}

@test "the start waits for READY=1 from the command, and accepts its MAINPID=" {
	daemonize --notify -t 60 -c "$T" -p app.pid --restart 1 sh -c '
		target send MAINPID=$$; sleep 0.3; echo >ready; exec target notify READY=1 '"$report"
	[ -e ready ]
	reported "$report"
	expect "$(field ppid)" "$(cat app.pid)"
}

@test "-v reports the fork of the command once, and its MAINPID= is accepted" {
	daemonize -v --notify -t 60 --restart 1 sh -c 'target send MAINPID=$$; exec target notify READY=1 '"$report" 2>said
	reported "$report"
	expect "$(grep -c "daemonize: forked, to supervise 'sh'" said)" 1
	grep -q 'daemonize: reset signal dispositions and mask' said
	daemonize -v -f --restart 1 sh -c 'kill $PPID' 2>said || true
	expect "$(grep -c "daemonize: forked, to supervise 'sh'" said)" 1
}

# bats test_tags=needs:proc,needs:subreaper
@test "a command that names its keeper in MAINPID= fails the start" {
	run -4 daemonize --notify -t 60 -p app.pid --restart 1 sh -c 'target send MAINPID=$PPID; exec sleep 600'
	expect "$output" "daemonize: sh named another main process (MAINPID=*"
	nothing_runs
}

@test "a command that closes the fd of --notify-fd fails the start" {
	fails 4 "daemonize: sh closed file descriptor 5 without *" \
		daemonize --notify-fd 5 -t 60 -p app.pid --restart 0.1 sh -c 'exec 5>&-; exec sleep 600'
	nothing_runs
}

@test "a later run gets neither the socket of --notify nor the pipe of --notify-fd" {
	daemonize --notify -t 60 -c "$T" -p app.pid --restart 0.1 sh -c 'echo "${NOTIFY_SOCKET-none}" >>sockets
		[ "${NOTIFY_SOCKET-}" ] || exec sleep 600; target send READY=1; while [ ! -e go ]; do sleep 0.05; done'
	: >go
	wait_until 10 lines 2 sockets
	expect "$(sed -n 2p sockets)" none
	daemonize --stop -p app.pid
	rm go
	daemonize --notify-fd 5 -t 60 -c "$T" -p app.pid --restart 0.1 sh -c 'readlink /proc/$$/fd/5 >>fifth; echo up >&5
		[ "$(wc -l <fifth)" = 1 ] || exec sleep 600; while [ ! -e go ]; do sleep 0.05; done'
	: >go
	wait_until 10 lines 2 fifth
	expect "$(cat fifth)" $'pipe:*\n/dev/null'
}

@test "-E NOTIFY_SOCKET reaches each run" {
	daemonize -E NOTIFY_SOCKET=mine -c "$T" --restart 0.1 sh -c 'echo "$NOTIFY_SOCKET" >>sockets; exit 1'
	wait_until 10 lines 2 sockets
	expect "$(sort -u sockets)" mine
	own "$(pgrep -f "$T.*NOTIFY" || true)"
}

@test "a start that gives up or is interrupted leaves neither keeper nor command" {
	run -124 daemonize --notify -t 0.3 -p app.pid --restart 0.1 sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done'
	nothing_runs
	[ ! -e app.pid ]
	command daemonize --notify -c "$T" -p app.pid --restart 0.1 sh -c 'echo >up; exec sleep 600' &
	wait_until 10 test -e up
	kill -TERM $!
	status=0
	wait $! || status=$?
	expect "$status" 143
	nothing_runs
	[ ! -e app.pid ]
}

# ---- Faults ----

# bats test_tags=needs:proc,needs:native,no-valgrind
@test "a start that cannot make a pipe, fork, or execute the keeper says so and leaves nothing" {
	need strace
	fails 1 "daemonize: cannot supervise 'sleep': Permission denied" strace -f -qq -o /dev/null \
		-e inject=execveat:error=EACCES daemonize -p app.pid -O log --restart 1 sleep 600
	[ ! -e app.pid ]
	fails 1 "daemonize: cannot supervise 'sleep': Permission denied" strace -qq -o /dev/null \
		-e inject=execveat:error=EACCES daemonize -f -p app.pid -O log --restart 1 sleep 600
	[ ! -e app.pid ]
	fails 1 "daemonize: cannot fork for 'sleep': Resource temporarily unavailable" strace -qq -o /dev/null \
		-e inject=clone,?fork:error=EAGAIN daemonize -f -p app.pid -O log --restart 1 sleep 600
	[ ! -e app.pid ]
	fails 1 "daemonize: cannot create a pipe: Too many open files in system" strace -qq -o /dev/null \
		-e inject=pipe2:error=ENFILE daemonize -s 1 -p app.pid -O log --restart 1 sleep 600
	[ ! -e app.pid ]
	nothing_runs
}

# A sanitizer calls prlimit64, too.
# bats test_tags=needs:proc,needs:native,no-valgrind,faults
@test "a start whose keeper cannot limit core dumps says so and leaves nothing" {
	need strace
	fails 1 "daemonize: cannot supervise 'sleep': Operation not permitted" timeout 60 strace -qq -o /dev/null \
		-e inject=prlimit64:error=EPERM daemonize -f --no-core -p app.pid -O log --restart 1 sleep 600
	[ ! -e app.pid ]
	nothing_runs
}

# bats test_tags=needs:proc,needs:native,no-valgrind
@test "a command that is killed before its exec fails the start" {
	need strace
	fails 1 "daemonize: cannot supervise 'sleep': No such process" timeout 60 strace -f -qq -o /dev/null \
		-e inject=getppid:signal=KILL daemonize -f -p app.pid -O log --restart 1 sleep 600
	[ ! -e app.pid ]
	nothing_runs
}

# bats test_tags=needs:native,no-valgrind
@test "a keeper that cannot fork or make a pipe tries again" {
	need strace
	for call in 'clone,?fork' pipe2; do
		rm -f run log app.pid
		strace -qq -o /dev/null -e inject="$call:error=EAGAIN:when=2" daemonize -f -c "$T" -p app.pid -O log --restart 0.1 sh -c '
			[ ! -e run ] || exec sleep 600; echo >run' 3>&- &
		wait_until 20 told "daemonize: cannot execute 'sh': Resource temporarily unavailable; trying again in 0.10 s"
		daemonize --stop -p app.pid
		wait $! || true
	done
}

# bats test_tags=needs:native,needs:proc,no-valgrind
@test "without /proc/self/exe, the keeper is found by the name that daemonize was run as" {
	need strace
	hidden=(strace -qq -o /dev/null -P /proc/self/exe -e 'inject=?open,openat:error=ENOENT' bash -c 'exec -a "$@"' bash)
	"${hidden[@]}" daemonize "$T/bin/daemonize" -f -c "$T" -p app.pid --restart 0.1 sh -c 'echo >>runs; exit 1' 3>&- &
	own $!
	wait_until 10 lines 2 runs
	daemonize --stop -p app.pid
	run -1 timeout 20 "${hidden[@]}" nosuch "$T/bin/daemonize" -f -p app.pid --restart 0.1 true
	expect "$output" "*daemonize: cannot find 'nosuch', which --restart needs to supervise 'true'"
	[ ! -e app.pid ]
}

# bats test_tags=needs:native,needs:proc,no-valgrind
@test "a keeper that cannot be executed by fd is executed by name" {
	need strace
	run -143 timeout 60 strace -qq -o trace -P /proc/self/exe -P "$T/bin/daemonize" \
		-e 'inject=?open,openat:error=ENOENT:when=1' -e inject=execveat:error=EACCES \
		"$T/bin/daemonize" -f -p app.pid --restart 1 sh -c 'kill $PPID; exec sleep 600'
	grep -q '^execveat.*keeper of .* = -1 EACCES' trace
	grep -q '^execve(.*keeper of .* = 0$' trace
}

# bats test_tags=needs:native,needs:proc,needs:pdeathsig,no-valgrind
@test "a keeper that cannot follow its command into --chroot terminates it and exits" {
	need_root
	need strace
	mkdir -p new/bin
	cc -static -o new/bin/target "$BATS_TEST_DIRNAME/target.c"
	run -1 strace -qq -o /dev/null -e inject=chroot:error=EPERM \
		daemonize -f -R new -O - --restart 1 target dump /report
	expect "$output" "daemonize: cannot supervise 'target': Operation not permitted"
	wait_until 10 nothing_runs
	# The keeper is slow: by then the command has overwritten its own file.
	fails 1 "daemonize: cannot supervise 'target': Permission denied" strace -f -qq -o /dev/null \
		-e inject=prctl:delay_enter=3000000:when=2 \
		daemonize -R new -p app.pid -O log --restart 1 target dump /bin/target
	[ ! -e app.pid ]
	expect "$(wc -c <log)" 0
	nothing_runs
}

# ---- Kills ----

# calls TRACE: its system calls from the fork of the command on, as NAME:NTH; of a run of rt_sigaction, the first.
calls() {
	awk -F '(' 'BEGIN { count["execve"] = -1 } # of which strace does not count its own
		{ name = $1; sub(/^.* /, "", name); n = ++count[name] }
		name ~ /^(clone3?|v?fork)$/ { forked = 1 }
		forked && name ~ /^[a-z_0-9]+$/ && (name != last || name != "rt_sigaction") { print name ":" n }
		{ last = name }' "$1"
}

# bats test_tags=needs:native,needs:proc,no-valgrind
@test "a keeper killed at any system call leaves no command behind" {
	need strace
	keep=(daemonize -f -c "$T" -p app.pid -O log --restart 0.1 sh -c 'echo >>runs; exit 1')
	strace -qq -o trace "${keep[@]}" 3>&- &
	own $!
	wait_until 20 lines 3 runs
	daemonize --stop -p app.pid
	wait $! || true
	calls trace | head -n 80 >sweep
	lines 50 sweep
	while IFS=: read -r name nth; do
		rm -f app.pid log
		status=0
		timeout 30 strace -qq -o /dev/null -e inject="$name:signal=KILL:when=$nth" "${keep[@]}" 2>said 3>&- || status=$?
		expect "$name:$nth $status" "$name:$nth 137"
		wait_until 10 nothing_runs || { echo "$name:$nth" && false; }
	done <sweep
}

# bats test_tags=needs:native,needs:proc,no-valgrind
@test "a command whose keeper dies before it can set its parent-death signal is never executed" {
	need strace
	strace -f -qq -o /dev/null -e inject=prctl:delay_enter=1000000 \
		daemonize -f -c "$T" -p app.pid --restart 1 sh -c 'echo >runs; exec sleep 600' 2>said 3>&- &
	own $!
	forked() { [ -s app.pid ] && pgrep -P "$(cat app.pid)"; }
	wait_until 20 forked
	kill -KILL "$(cat app.pid)"
	wait_until 20 nothing_runs
	[ ! -e runs ]
}

# bats test_tags=needs:native,needs:proc,no-valgrind
@test "a signal that arrives before the keeper is up still reaches it" {
	need strace
	strace -qq -o /dev/null -e inject=clone,?fork:signal=TERM:when=1 \
		daemonize -f -c "$T" -p app.pid -O log --restart 0.1 sleep 600 3>&- &
	own $!
	wait_until 20 told 'daemonize: sleep \(pid [0-9]+\) was killed by signal 15 \(TERM\) .*'
	wait_until 10 nothing_runs
}

# bats test_tags=needs:pdeathsig,no-valgrind
@test "a keeper killed at any moment leaves no command behind, and the next start succeeds" {
	for round in {1..40}; do
		daemonize -p app.pid -O log --restart 0.01 sh -c 'trap "" TERM; sleep 0.01; exit 1'
		keeper=$(cat app.pid)
		sleep "0.0$((round % 10))$((round / 10))"
		kill -KILL "$keeper"
		wait_until 10 gone "$keeper"
		wait_until 10 nothing_runs
	done
}

# ---- In the foreground ----

# bats test_tags=needs:native,no-valgrind
@test "on a terminal, Ctrl-C reaches the command once, and the keeper exits with it" {
	need script strace
	printf 'trap "echo heard >>heard; exit 3" INT; echo >up; while :; do sleep 0.1; done' >app
	mkfifo keys
	exec 4<>keys # open until script(1) has ended, which would send TERM at the end of its input
	{ wait_until 20 test -e up && printf '\3'; } >&4 &
	timeout 60 script -qec "exec strace -qq -e trace=kill -o trace daemonize -f -i - -O - -c '$T' --restart 0.1 sh app" \
		/dev/null <&4 >screen || status=$?
	wait $!
	exec 4>&-
	expect "$(cat heard)" heard
	expect "$status" 3
	run ! grep 'kill(.*SIGINT' trace # that one comes from the terminal already
	grep -q 'exited with status 3 after .* s; not starting it again' screen
}

@test "with -f the keeper exits as its command did" {
	run -7 daemonize -f -O log --restart 1 sh -c 'trap "exit 7" TERM; kill $PPID; while :; do sleep 0.1; done'
	run -143 daemonize -f -O log --restart 1 sh -c 'kill $PPID; exec sleep 600'
	run -130 daemonize -f -O log --restart 1 sh -c 'kill -INT $PPID; exec sleep 600'
}

# bats test_tags=needs:native,no-valgrind
@test "a signal that arrives as the command exits counts, even if the exit is seen first" {
	need strace
	for signal in TERM:3 INT:0; do
		status=0
		timeout -s KILL 30 strace -qq -o /dev/null -e inject=wait4:delay_enter=500000 daemonize -f -O log --restart 0.1 \
			sh -c 'kill -HUP $PPID; kill -$1 $PPID; exit $2' sh "${signal%:*}" "${signal#*:}" 3>&- || status=$?
		expect "$signal $status" "$signal ${signal#*:}"
	done
	expect "$(wc -l <log)" 2
	run ! grep -v '; not starting it again$' log
}

@test "as PID 1 of a container it reaps orphans, forwards signals, and exits" {
	need_root
	need unshare
	unshare --pid --fork --mount-proc --kill-child -- daemonize -f -c "$T" -p app.pid -O log --restart 0.1 sh -c '
		setsid sh -c "echo \$\$ >orphan; exec sleep 0.2" & sleep 0.1; echo >>runs; lines=$(wc -l <runs)
		[ "$lines" -ge 2 ] || exit 3; while ls -d /proc/[0-9]*/; do sleep 0.1; done >seen; exec sleep 600' 3>&- &
	box=$!
	own $box
	wait_until 10 lines 2 runs
	expect "$(cat app.pid)" 1
	wait_until 10 told 'daemonize: sh \(pid [0-9]+\) exited with status 3 after .*'
	first=$(pgrep -P $box)
	orphans_gone() { expect "$(ps -o stat= --ppid "$first" | awk /Z/)" ""; }
	wait_until 10 orphans_gone
	kill "$first"
	status=0
	wait $box || status=$?
	expect "$status" 143
}
