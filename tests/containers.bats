#!/usr/bin/env bats
# In containers: read-only, without /proc or /dev, with a volume that two of them share, without root.
# callers.bats has the first process of a container, and one in which nothing is reaped.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # inner shells; a test is a subshell; helper.bash assigns

load helper

# container NAME [SETUP]: a PID namespace and a mount namespace whose first process runs SETUP, and sleeps.
# $T is the volume that all containers share.
container() {
	need_root
	need nsenter unshare
	T=$T unshare --mount --pid --fork --mount-proc --kill-child -- \
		sh -euc "${2-:}; : >'pub/$1.up'; exec sleep 600" 3>&- >"$1.log" 2>&1 &
	own $!
	wait_until 10 test -e "pub/$1.up" || { cat "$1.log" && return 1; }
	rm "pub/$1.up"
	pgrep -P $! >"$1.first"
}

# in_ NAME COMMAND...: runs it in that container, whose own view of the directory may be read-only.
in_() {
	nsenter --target "$(cat "$1.first")" --pid --mount -- sh -c 'cd "$0" && exec "$@"' "$T" "${@:2}"
}

# destroy NAME: as "docker kill" does it.
destroy() {
	kill -KILL "$(cat "$1.first")"
	wait_until 10 gone "$(cat "$1.first")"
}

# ---- What is missing ----

read_only='mount --bind pub pub; mount -t tmpfs none /run; mount -o remount,bind,ro /'

# bats test_tags=needs:zombies
@test "a daemon in a read-only container needs nothing but a writable /run" {
	container box "$read_only"
	run ! in_ box touch file
	in_ box daemonize -p /run/app.pid -O /run/app.log target dump "$report"
	reported "$report"
	expect "$(in_ box cat /run/app.pid)" "$pid"
	run -3 in_ box daemonize -p /run/app.pid -O /run/app.log target dump "$report"
	expect "$output" "daemonize: already running (pid $pid)"
	fails 1 "daemonize: cannot open log 'app.log': Read-only file system" in_ box daemonize -O app.log true
	in_ box daemonize --stop -p /run/app.pid
	run -3 in_ box daemonize --status -p /run/app.pid
}

@test "-f runs the daemon as a read-only container's first process, and logs to the container's output" {
	need_root
	need unshare
	unshare --mount --pid --fork --mount-proc --kill-child -- \
		sh -euc "$read_only; exec daemonize -f -p /run/app.pid -O - sh -c 'echo up; exec target dump $report'" \
		3>&- >log 2>&1 &
	own $!
	reported "$report"
	expect "$pid" 1
	expect "$(cat log)" up
}

# bats test_tags=needs:pidfd,needs:zombies
@test "without /proc it starts, reports failures, refuses and stops" {
	container box 'mount -t tmpfs none /proc'
	in_ box daemonize -p app.pid target dump "$report"
	reported "$report"
	tells 3 "daemonize: already running (pid $pid)" in_ box daemonize -p app.pid true
	tells 0 "running (pid $pid)" in_ box daemonize --status -p app.pid
	in_ box daemonize --stop -p app.pid
	tells 127 "daemonize: *'nosuch'*" in_ box daemonize -p app.pid nosuch
	tells 4 "daemonize: target exited with status 7 *" in_ box daemonize -p app.pid -s 5 target exit 7
	[ ! -e app.pid ]
}

@test "without /dev/null a start fails and says so, but succeeds if it does not need /dev/null" {
	container box 'mount -t tmpfs none /dev'
	fails 1 "daemonize: *'/dev/null': No such file or directory" in_ box daemonize target dump "$report"
	: >empty
	in_ box daemonize -i empty -O app.log target dump "$report"
	reported "$report"
}

# ---- A volume that is shared ----

# with_bystander NAME PID: starts a process with this PID in that container, visibly younger than the pidfile.
with_bystander() {
	sleep 0.1
	in_ "$1" sh -c 'echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid && exec setsid -f sleep 600' sh "$2"
	wait_until 10 in_ "$1" grep -q sleep "/proc/$2/comm"
}

@test "a daemon of one container cannot be started, stopped or signalled from another" {
	container one
	container two
	in_ one daemonize -p app.pid target dump "$report"
	reported "$report"
	with_bystander two "$pid"
	expect "$(in_ two daemonize --status -p app.pid)" "running (in another PID namespace)"
	fails 1 "*it is in another PID namespace" in_ two daemonize --stop --kill-after 0 -p app.pid
	fails 1 "*it is in another PID namespace" in_ two daemonize --signal KILL -p app.pid
	fails 3 "daemonize: already running (in another PID namespace)" in_ two daemonize -p app.pid true
	fails 124 "*in another PID namespace*" in_ two daemonize -w 0.1 -p app.pid true
	fails 3 "daemonize: already running (in another PID namespace)" in_ two daemonize --ok-if-running -p app.pid true
	in_ two grep -q sleep "/proc/$pid/comm"
	expect "$(in_ one daemonize --status -p app.pid)" "running (pid $pid)"
	expect "$(cat app.pid)" "$pid"
}

# bats test_tags=needs:native,needs:proc,no-valgrind
@test "of two containers in which the daemon gets the same PID, only one runs it" {
	need_root
	need strace unshare
	# The first is halted where it might be between two locks.
	for delay in 1500000 1; do
		unshare --pid --fork --mount-proc --kill-child bash -c 'echo 400 >/proc/sys/kernel/ns_last_pid
			status=0
			strace -f -qq -o /dev/null -e trace=fcntl -e inject=fcntl:delay_enter=$1:when=3 \
				"$2/bin/daemonize" -p "$2/app.pid" sleep 4 || status=$?
			echo $status >"$2/pub/status.$1"' bash $delay "$T" 3>&- &
		own $!
		wait_until 10 test -e "$T/app.pid"
	done
	wait "${owned[@]}"
	expect "$(cat "$T"/pub/status.* | sort | tr '\n' ' ')" "0 3 "
}

# bats test_tags=needs:proc
@test "when the daemon's container is killed, another takes over at once, even if the PID is in use there" {
	container one
	container two
	in_ one daemonize -p app.pid target dump "$report"
	reported "$report"
	with_bystander two "$pid"
	in_ two daemonize -w 20 -p app.pid target dump "$report.2" 3>&- &
	destroy one
	wait $!
	reported "$report.2"
	expect "$(cat app.pid)" "$pid"
	expect "$(in_ two daemonize --status -p app.pid)" "running (pid $pid)"
}

# bats test_tags=needs:proc
@test "a container that restarts on its old volume starts the daemon again, even if the old PID is in use" {
	container one 'sleep 600 & daemonize -p app.pid target dump "$T/pub/report" & wait $!'
	reported "$report"
	first=$pid
	destroy one
	rm "$report"
	# Its numbers are given once more, and one has that of the daemon.
	container one
	with_bystander one "$first"
	in_ one daemonize -p app.pid target dump "$report"
	reported "$report"
	expect "$(cat app.pid)" "$pid"
	in_ one grep -q sleep "/proc/$first/comm"
}

# bats test_tags=needs:proc
@test "the host can stop a container's daemon" {
	container one
	in_ one daemonize -p app.pid target dump "$report"
	reported "$report"
	daemonize --stop -p app.pid
	run -3 in_ one daemonize --status -p app.pid
}

# bats test_tags=needs:proc
@test "--stop needs --kill-after for a container's first process if it has no handler for TERM" {
	need_root
	need unshare
	unshare --mount --pid --fork --mount-proc --kill-child -- daemonize -f -p app.pid target dump "$report" 3>&- &
	own $!
	reported "$report"
	expect "$pid" 1
	run -124 daemonize --stop -t 0.2 -p app.pid
	daemonize --stop -t 10 --kill-after 0.2 -p app.pid
	nothing_runs
}

# ---- Without root ----

@test "in a rootless container a daemon starts, refuses a second start and stops" {
	need unshare
	as_nobody unshare --user --map-root-user --pid --mount-proc --fork true || skip "needs user namespaces"
	cd pub
	run -0 as_nobody unshare --user --map-root-user --pid --mount-proc --fork sh -euc '
		daemonize -p app.pid target dump "$0"
		! daemonize -p app.pid true
		daemonize --status -p app.pid
		daemonize --stop -p app.pid
		! daemonize --status -p app.pid' "$report"
	expect "$output" "daemonize: already running (pid *)
running (pid *)
not running"
}

@test "in a rootless container -u fails for a user that is not mapped, and says so" {
	need unshare
	as_nobody unshare --user --map-root-user true || skip "needs user namespaces"
	fails 1 "daemonize: cannot * 'daemon': *" as_nobody unshare --user --map-root-user daemonize -u daemon true
}
