#!/usr/bin/env bats
# Nothing of the caller's session, terminal, directory and umask reaches the daemon, whoever calls.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # inner shells; helper.bash shares variables

load helper

session_of() { ps -o sid= -p "$1" | tr -d ' '; }
parent_of() { ps -o ppid= -p "$1" | tr -d ' '; }

# All of the report that should not depend on the caller.
state() { grep -E '^(cwd|root|umask|fd\.[0-9]+|ignored|blocked|pending|uid|gid|groups|tty|acquires_tty)=' "$report"; }

# The promise, on one screen.
promised_state() {
	cat <<-END
		umask=022
		cwd=/
		root=/
		fd.0=rw append=0 cloexec=0 /dev/null
		fd.1=rw append=0 cloexec=0 /dev/null
		fd.2=rw append=0 cloexec=0 /dev/null
		ignored=TSTP,TTIN,TTOU
		blocked=
		pending=
		uid=$(id -ru):$(id -u):$(id -u)
		gid=$(id -rg):$(id -g):$(id -g)
		groups=$(target_groups)
		tty=none
		acquires_tty=no
	END
}

# In the kernel's order, which id(1) does not keep.
target_groups() { awk '/^Groups:/ { $1 = ""; print }' /proc/self/status | tr -s ' ' ',' | sed 's/^,//; s/,$//'; }

is_detached() {
	expect "$(field pgid)" "$pid" &&
		expect "is the leader: $((pid == $(field sid)))" "is the leader: 0" &&
		wait_until 20 gone "$(field sid)" &&
		[ "$(field sid)" != "$(session_of $$)" ]
}

is_as_promised() {
	expect "$(state)" "$(promised_state)" && is_detached
}

# starts_from OPTION...: a start from such a caller gives the same daemon as any other.
starts_from() {
	from "$@"
	start
	is_as_promised
}

@test "a daemon starts in a known state" {
	start
	is_as_promised
}

@test "a daemon has left the session of its caller" {
	start
	[ "$(session_of "$pid")" != "$(session_of $$)" ]
}

@test "a daemon is not the leader of its session" {
	start
	[ "$(session_of "$pid")" != "$pid" ]
}

@test "the leader of a daemon's session has exited" {
	start
	wait_until 20 gone "$(field sid)"
}

@test "a daemon leads its process group, so that one signal reaches all its children" {
	daemonize -p app.pid sh -c 'sleep 60 & sleep 60 & wait'
	wait_until 10 runs 3
	kill -TERM -- "-$(cat app.pid)"
	wait_until 10 nothing_runs
}

runs() {
	local pids

	mapfile -t pids < <(ours)
	expect "${#pids[@]}" "$1"
}

@test "a daemon has no controlling terminal" {
	from --ctty
	start
	expect "$(field tty)" none
}

@test "a daemon that opens a terminal does not acquire it" {
	start
	expect "$(field acquires_tty)" no
}

@test "the target's report shows it when a session leader acquires a terminal" {
	caller=(setsid --wait)
	start -f &
	own $!
	reported "$report"
	expect "$(field acquires_tty)" yes
}

@test "a daemon has the same parent as any orphan" {
	start
	orphan=$(sh -c 'sleep 60 >/dev/null 2>&1 3>&- & echo $!')
	expect "$(parent_of "$pid")" "$(parent_of "$orphan")"
}

@test "a start does not wait for its daemon to exit" {
	timeout -s KILL 10 daemonize sleep 600
}

@test "a start leaves one process, the daemon" {
	start
	expect "$(ours)" "$pid"
}

@test "a daemon survives the hangup of its caller's terminal" {
	from --ctty
	start
	alive "$pid"
}

@test "a daemon outlives its caller's process group" {
	run -137 setsid --wait sh -c 'daemonize target dump "$1"; kill -KILL 0' sh "$report"
	reported "$report"
	alive "$pid"
}

# ---- The working directory and the umask ----

@test "a daemon's working directory is /" {
	start
	expect "$(field cwd)" /
}

@test "-c sets the working directory" {
	mkdir "$T/here"
	start -c "$T/here"
	expect "$(field cwd)" "$T/here"
}

@test "-c takes a directory relative to the caller's" {
	mkdir -p "$T/here/there"
	cd "$T/here"
	start --chdir there
	expect "$(field cwd)" "$T/here/there"
}

@test "-c . is the caller's directory" {
	mkdir "$T/here"
	cd "$T/here"
	start -c .
	expect "$(field cwd)" "$T/here"
}

@test "-c refuses a directory that does not exist, and names it" {
	fails 1 "daemonize: *'*$T/nosuch'*: No such file or directory" daemonize -c "$T/nosuch" target dump "$report"
	nothing_runs
}

@test "-c refuses a file" {
	fails 1 "daemonize: *$T/bin/target'*: Not a directory" daemonize -c "$T/bin/target" target dump "$report"
	nothing_runs
}

@test "the umask is 022, whatever the caller's" {
	umask 077
	start
	expect "$(field umask)" 022
}

@test "-m sets the umask" {
	start -m 027
	expect "$(field umask)" 027
}

@test "-m takes 0 and a leading 0" {
	start -m 0
	expect "$(field umask)" 000
	rm "$report"
	start --umask 0177
	expect "$(field umask)" 177
}

# ---- Odd callers ----

@test "a caller that ignores SIGHUP gets the same daemon" { starts_from --ignore HUP; }
@test "a caller that ignores SIGPIPE gets the same daemon" { starts_from --ignore PIPE; }
@test "a caller that ignores SIGCHLD gets the same daemon" { starts_from --ignore CHLD; }
@test "a caller that ignores SIGINT and SIGQUIT gets the same daemon" { starts_from --ignore INT,QUIT; }
@test "a caller that ignores SIGTERM and SIGUSR1 gets the same daemon" { starts_from --ignore TERM,USR1; }
@test "a caller that blocks SIGTERM gets the same daemon" { starts_from --block TERM; }
@test "a caller that blocks SIGCHLD and SIGUSR1 gets the same daemon" { starts_from --block CHLD,USR1; }
@test "a caller that blocks and ignores the same signals gets the same daemon" {
	starts_from --block HUP,CHLD,PIPE --ignore HUP,CHLD,PIPE
}
@test "a caller with umask 077 gets the same daemon" { starts_from --umask 077; }
@test "a caller with umask 777 gets the same daemon" { starts_from --umask 777; }
@test "a caller with fds 7, 9 and 300 open gets the same daemon" { starts_from --open 7,9,300; }
@test "a caller with a socket on stdin gets the same daemon" { starts_from --stdin-socket; }
@test "a caller with a controlling terminal gets the same daemon" { starts_from --ctty; }
@test "a caller whose working directory was removed gets the same daemon" { starts_from --rmcwd; }
@test "a caller without a parent gets the same daemon" { starts_from --orphan; }
# bats test_tags=no-valgrind
@test "a caller with few fds allowed gets the same daemon" { starts_from --nofile 16; }
@test "a caller with all of these oddities gets the same daemon" {
	starts_from --ctty --ignore HUP,INT,QUIT,PIPE,CHLD --block TERM,USR1 --umask 077 --rmcwd \
		--open 7,9,300 --close 0,1,2
}

@test "a caller with any of fds 0, 1 and 2 closed gets the same daemon" {
	for closed in 0 1 2 0,1 0,2 1,2 0,1,2; do
		starts_from --close $closed
		rm "$report"
	done
}

@test "with fds 0, 1 and 2 closed the exit status reports a failure, and no file gets the message" {
	run -127 target with --close 0,1,2 -- daemonize -o "$T/log.txt" -p "$T/app.pid" nosuch-command
	[ ! -s "$T/log.txt" ]
	[ ! -e "$T/app.pid" ]
}

@test "a caller that ignores SIGCHLD learns why a start failed" {
	fails 127 "daemonize: *'nosuch-command'*" target with --ignore CHLD -- daemonize nosuch-command
}

@test "a caller that ignores SIGCHLD learns how the daemon died" {
	fails 4 "daemonize: target $(known 'exited with status 7') after *" target with --ignore CHLD -- daemonize -s 5 target exit 7
}

# bats test_tags=needs:native,needs:subreaper,no-valgrind
@test "a caller that ignores SIGCHLD learns that the daemon was killed before it was executed" {
	need strace
	fails 1 "daemonize: cannot start 'target': killed by signal 9 before it was executed" \
		strace -f -qq -o /dev/null -e inject=chdir:signal=KILL \
		target with --ignore CHLD -- daemonize target dump "$report"
}

@test "a caller that is the first process of a container gets the same daemon" {
	need_root
	need unshare
	unshare --pid --fork --mount-proc sh -c '
		daemonize target dump "$1" && while [ ! -e "$1" ]; do sleep 0.02; done' sh "$report"
	expect "$(state)" "$(promised_state)"
	expect "$(field pgid)" "$(field pid)"
	[ "$(field sid)" != "$(field pid)" ]
}

@test "a caller whose children are in another PID namespace cannot start a daemon, and learns why" {
	need_root
	need unshare
	fails 1 "daemonize: cannot fork: children are in another PID namespace; unshare(1) needs --fork" \
		unshare --pid -- daemonize -p app.pid target dump "$report"
	[ ! -e app.pid ]
	nothing_runs
}

# bats test_tags=needs:native
@test "a start succeeds in a PID namespace with the /proc of another" {
	need_root
	need unshare
	(while :; do sleep 0.1; done) 3>&- &
	own $!
	# Inside, the daemon gets the PID of a process out here that has never called exec.
	run -0 timeout -s KILL 10 unshare --pid --fork --kill-child bash -c 'echo $(($1 - 3)) >/proc/sys/kernel/ns_last_pid
		daemonize -P sleep 600; exit $?' sh $!
	expect "$output" $!
}

@test "a caller inside script(1) gets the same daemon" {
	need script
	script -qec "daemonize target dump '$report'" /dev/null </dev/null
	reported "$report"
	is_as_promised
}

@test "a caller inside tmux gets the same daemon, which outlives the tmux server" {
	need tmux
	tmux -S "$T/tmux" -f /dev/null new-session -d "daemonize target dump '$report'; tmux -S '$T/tmux' kill-server"
	reported "$report"
	is_as_promised
	wait_until 10 expect_no_server
	alive "$pid"
}
expect_no_server() { ! tmux -S "$T/tmux" ls; }

@test "a caller under nohup and setsid gets the same daemon" {
	caller=(setsid --wait nohup)
	start 2>/dev/null
	is_as_promised
}

# bats test_tags=no-valgrind
@test "a relative path from a removed working directory is refused" {
	fails 1 "daemonize: *No such file or directory" \
		target with --rmcwd -- daemonize -p app.pid target dump "$report"
	nothing_runs
}

@test "a relative command in a removed working directory is refused" {
	fails 1 "daemonize: cannot find 'target': no current directory: No such file or directory" \
		target with --rmcwd -- daemonize ./target
}

# ---- In the foreground ----

# Starts in the foreground, in the background of this shell.
start_in_foreground() {
	note "${caller[@]}" daemonize -f "$@"
	"${caller[@]}" "$T/bin/daemonize" -f "$@" target dump "$report" &
	launcher=$!
	own "$launcher"
	reported "$report"
}

@test "-f keeps the PID" {
	start_in_foreground
	expect "$pid" "$launcher"
}

@test "-f keeps the session and the parent" {
	start_in_foreground
	expect "$(field sid)" "$(session_of $$)"
	expect "$(field ppid)" "$BASHPID"
}

@test "-f does not make the command the parent of orphans" {
	daemonize -f -- sh -c '(target dump "$0" &); exec sleep 600' "$report" 3>&- &
	own $!
	reported "$report"
	wait_until 20 has_parent "$pid" "$(parent_of "$(sh -c 'sleep 60 >/dev/null 2>&1 3>&- & echo $!')")"
}
has_parent() { expect "$(parent_of "$1")" "$2"; }

@test "-f still sets the directory, the umask and the signals" {
	from --ignore HUP,PIPE --block TERM --umask 077
	start_in_foreground
	expect "$(state | grep -E '^(cwd|umask|ignored|blocked)')" \
		"$(promised_state | grep -E '^(cwd|umask|ignored|blocked)')"
}

@test "-f still closes fds and replaces the streams" {
	from --open 7,9,300
	start_in_foreground
	expect "$(state | grep ^fd)" "$(promised_state | grep ^fd)"
}

@test "-f exits with the command's status" {
	run -7 daemonize -f target exit 7
	run -143 daemonize -f target kill TERM
}

@test "-f reports a failed start like any other" {
	fails 127 "daemonize: *'nosuch-command'*" daemonize -f nosuch-command
}

@test "-f writes the pidfile" {
	start_in_foreground -p "$T/app.pid"
	expect "$(cat "$T/app.pid")" "$launcher"
}

@test "-f with a pidfile can be the first process of a container" {
	need_root
	need unshare
	run -7 timeout -s KILL 10 unshare --pid --fork --mount-proc --kill-child \
		daemonize -f -p "$T/app.pid" target exit 7
}

@test "-f can keep the caller's streams" {
	run -0 daemonize -f -O - sh -c 'echo out; echo err >&2'
	expect "$output" $'out\nerr'
}
