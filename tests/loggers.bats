#!/usr/bin/env bats
# -o '|command': a stream that goes to a shell command.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # inner shells; helper.bash shares variables

load helper

# The command of these tests: what it reads goes to $T/log.
reader="cat >>log"

# says TEXT COMMAND: prints a script that says TEXT on stdout and an error on stderr, and then runs COMMAND.
says() { echo "echo $1; echo error >&2; $2"; }

has() { wait_until 10 is_text "$1" "$2"; }
is_text() { expect "$(cat "$1")" "$2"; }

runs() { expect "$(pgrep_ours "$1" | wc -l)" "$2"; }

# pgrep_ours WORDS: the PIDs of this test's processes whose command line begins with WORDS.
pgrep_ours() {
	local pid

	for pid in $(ours); do
		[[ $(tr '\0' ' ' <"/proc/$pid/cmdline") != "$1 "* ]] || echo "$pid"
	done
}

@test "-o '|command' pipes standard output to a shell command" {
	daemonize -o "|$reader" -- sh -c "$(says output 'exec sleep 60')"
	has log output
}

@test "-e '|command' pipes standard error" {
	daemonize -e "|$reader" -- sh -c "$(says output 'exec sleep 60')"
	has log error
}

@test "-O '|command' pipes both to one command" {
	daemonize -O "|$reader" -- sh -c "$(says output 'exec sleep 60')"
	has log $'output\nerror'
	runs "sh -c cat" 1
}

@test "-o and -e with the same command start it once" {
	daemonize -o "|$reader" -e "|$reader" -- sh -c "$(says output 'exec sleep 60')"
	has log $'output\nerror'
	runs "sh -c cat" 1
}

@test "-o and -e may pipe to two commands" {
	daemonize -o "|cat >out" -e "|cat >err" -- sh -c "$(says output 'exec sleep 60')"
	has out output
	has err error
}

@test "-e may be a pipe while -o is a file" {
	daemonize -o out -e '|cat >err' -- sh -c "$(says output 'exec sleep 60')"
	has out output
	has err error
}

@test "the command is a shell command, which may be a pipeline" {
	daemonize -o '| tr a-z A-Z | cat >log' -- sh -c 'echo output'
	has log OUTPUT
}

@test "a log file whose name looks like a pipe needs a path" {
	daemonize -o './|log' -- sh -c 'echo output'
	has '|log' output
}

# bats test_tags=no-valgrind
@test "the command runs in the caller's directory, with default signals and no fds but its own" {
	from --ignore HUP,PIPE,CHLD,INT --block TERM,USR1 --open 7,9,300
	"${caller[@]}" "$T/bin/daemonize" -k 7 -p app.pid -l lock -c /tmp --notify -o "|target dump $T/logger" \
		target notify READY=1 "$report"
	reported "$T/logger"
	expect "$(field env.NOTIFY_SOCKET "$T/logger")" ""
	expect "$(field cwd "$T/logger")" "$T"
	for key in ignored blocked; do
		expect "$(field $key "$T/logger")" ""
	done
	expect "$(grep -c '^fd\.' "$T/logger")" 3
	expect "$(field fd.0 "$T/logger")" "r *pipe*"
	for fd in 1 2; do
		expect "$(field fd.$fd "$T/logger")" "*/dev/null"
	done
}

@test "the command is neither the daemon's child nor in its session, and cannot acquire a terminal" {
	from --ctty
	start -o "|target dump $T/logger"
	reported "$T/logger"
	logger=$(field pid "$T/logger")
	expect "$(field tty "$T/logger")" "none"
	[ "$(field sid "$T/logger")" != "$(field sid)" ]
	[ "$(field pgid "$T/logger")" != "$(field pgid)" ]
	[ "$(field sid "$T/logger")" != "$logger" ]
	[ "$(ps -o ppid= -p "$logger")" -ne "$(field pid)" ]
}

@test "the command runs as the caller, whatever -u says" {
	need_root
	daemonize -u nobody -o "|id -un >name; $reader" -- sh -c 'id -un; exec sleep 60'
	has name root
	has log nobody
}

@test "the command has the caller's environment, whatever -u says" {
	need_root
	HOME=/home/caller USER=caller NOTIFY_SOCKET=/not/for/it daemonize -u nobody \
		-o "|echo \$HOME \$USER \${NOTIFY_SOCKET-none} >name; $reader" -- sh -c 'echo $USER; exec sleep 60'
	has name "/home/caller caller none"
	has log nobody
}

@test "-E applies to the command, too, and the last one wins" {
	OLD=0 BUILD_ID=42 HOME=/home/caller daemonize -E BUILD_ID=dontKillMe -E HOME=/other -E OLD=1 -E OLD=2 \
		-o "|echo \$BUILD_ID \$HOME \$OLD >name; $reader" -- sh -c 'echo $BUILD_ID $HOME $OLD; exec sleep 60'
	has name "dontKillMe /other 2"
	has log "dontKillMe /other 2"
}

@test "-E BUILD_ID hides the daemon and its logger from a build server that kills by BUILD_ID" {
	BUILD_ID=$T daemonize -p app.pid -E BUILD_ID=dontKillMe -o "|$reader" -- sh -c "$(says output 'exec sleep 60')"
	has log output
	expect "$(grep -lsz "^BUILD_ID=$T\$" /proc/[0-9]*/environ)" ""
	runs "sh -c cat" 1
}

@test "the command has the caller's umask, whatever -m says" {
	umask 027
	daemonize -m 077 -o "|umask >mask; $reader" -- sleep 60
	has mask 0027
}

@test "the command exits when the daemon does, after it has read everything" {
	daemonize -p app.pid -o "|$reader" -- sh -c 'seq 10000; >"$1"; exec sleep 60' sh "$T/written"
	wait_until 10 test -e written
	daemonize --stop -p app.pid
	wait_until 10 nothing_runs
	expect "$(tail -n1 log)" 10000
}

@test "with -f, too, the command is not the daemon's child" {
	daemonize -f -o "|$reader" -- sh -c 'ps -o comm= --ppid $$; echo end'
	has log $'ps\nend'
}

@test "the command does not hold the caller's standard output" {
	output=$(daemonize -P -o "|$reader" -- sleep 60)
	alive "$output"
}

# On a slow machine its exit may be noticed a little later.
soon='@(at once|before the daemon was up)'

@test "a command that is not found fails the start" {
	fails 1 "daemonize: cannot start '|no-such-command': it ended $soon$(known ', with exit status 127' '')" \
		daemonize -s 2 -p app.pid -o '|no-such-command' -- sleep 60
	[ ! -e app.pid ]
	nothing_runs
}

@test "a command that fails at once fails the start, and terminates the other one" {
	fails 1 "daemonize: cannot start '|exit 7': it ended $soon$(known ', with exit status 7' '')" \
		daemonize -s 2 -p app.pid -o "|$reader" -e '|exit 7' -- sleep 60
	[ ! -e app.pid ]
	nothing_runs
}

# bats test_tags=needs:proc,needs:native,no-valgrind
@test "the start goes on as soon as the command, or a process that it runs, reads" {
	need strace
	for command in 'while read line; do :; done' 'cat >app.log' 'cat | cat >app.log'; do
		# On a busy machine it may not come to that in time.
		goes_on() {
			strace -qq -o trace -e 'trace=read,poll,ppoll,/clone|fork' daemonize -o "|$command" true
			awk '/pipe_read/ { reads = 1; next } reads && /poll|clone|fork/ { good = !/poll/; exit }
				END { exit !good }' trace
		}
		wait_until 20 goes_on
	done
}

@test "with -f, too, a command that is not found fails the start" {
	try() {
		rm -f app.pid # of a command that was executed before the end of the other was seen
		fails 1 "daemonize: cannot start '|no-such-command': it ended at once*" \
			daemonize -f -p app.pid -o '|no-such-command' -- true
	}
	wait_until 10 try
	[ ! -e app.pid ]
}

@test "a command that exits before the daemon is up fails the start" {
	fails 1 "daemonize: cannot start '|read line; exit 7': it ended before the daemon was up$(known \
		', with exit status 7' '')" daemonize --notify-fd 5 -p app.pid -o '|read line; exit 7' -- \
		sh -c 'trap "" PIPE; while echo line; do sleep 0.02; done; echo >&5; exec sleep 60'
	[ ! -e app.pid ]
	nothing_runs
}

@test "a pipe to nothing is a usage error" {
	for nothing in '|' '|  '; do
		fails 2 "daemonize: no command in '$nothing'*" daemonize -o "$nothing" -- sleep 60
	done
}

@test "the last words of a failing daemon reach the command, which exits before the launcher" {
	fails 4 "daemonize: sh $(known 'exited with status 3') after *" \
		daemonize -s 5 -O "|$reader" -- sh -c 'echo why; exit 3'
	expect "$(cat log)" why
	nothing_runs
}

@test "a failed start terminates a command that does not exit by itself" {
	run -4 daemonize -s 5 -o '|sleep 60' -- sh -c 'exit 3'
	nothing_runs
}

@test "a failed start lets a command finish by itself" {
	run -4 daemonize -s 5 -o "|$reader; echo end >>log" -- sh -c 'echo why; exit 3'
	expect "$(cat log)" $'why\nend'
}

@test "a start that cannot be set up terminates a command that does not exit by itself" {
	run -1 daemonize -s 2 -o '|sleep 60' -e '|exit 7' -- sleep 60
	nothing_runs
}

@test "with -f, too, a failed start lets a command finish by itself" {
	printf '\177ELF\0\0\0\0broken' >broken
	chmod +x broken
	for option in -o -e -O; do
		fails 126 "daemonize: cannot execute './broken': *" daemonize -f $option "|cat; echo end >ended" ./broken
		expect "$(cat ended)" end
		rm ended
	done
	nothing_runs
}

@test "the command gets no TERM when the daemon fails" {
	run -4 daemonize -s 5 -O '|trap "echo TERM >>log" TERM; cat >>log' -- sh -c 'echo why; exit 3'
	expect "$(cat log)" why
}

@test "an interrupted start terminates a command that does not exit by itself" {
	"$T/bin/daemonize" --notify -o '|exec sleep 60' -- target dump "$report" 2>/dev/null &
	launcher=$!
	reported "$report"
	kill -TERM $launcher
	status=0
	wait $launcher || status=$?
	expect $status 143
	nothing_runs
}

@test "an interrupted start leaves no command" {
	"$T/bin/daemonize" --notify -o "|$reader" -- sleep 60 &
	launcher=$!
	wait_until 10 runs 'sleep 60' 1
	kill -TERM $launcher
	status=0
	wait $launcher || status=$?
	expect $status 143
	nothing_runs
}

@test "a refused start runs no command" {
	daemonize -p app.pid -- sleep 60
	fails 3 "daemonize: already running*" daemonize -p app.pid -o "|$reader" -- sleep 60
	[ ! -e log ]
}

@test "of many simultaneous starts, only one keeps its command" {
	starters=()
	for _ in 1 2 3 4 5 6 7 8; do
		daemonize --ok-if-running -p app.pid -o "|$reader" -- sh -c 'echo up; exec sleep 60' &
		starters+=($!)
	done
	wait "${starters[@]}"
	has log up
	wait_until 10 runs 'sh -c cat' 1
}

@test "the command does not hold the lock of -l" {
	daemonize -p app.pid -l lock -o '|exec sleep 60' -- sleep 60
	daemonize --stop -p app.pid
	wait_until 20 flock -n lock true
}
