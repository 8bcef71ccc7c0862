#!/usr/bin/env bats
# None of the caller's file descriptors reaches the daemon, unless asked for. No test closes fd 3, which
# bats itself holds open and waits for: the program has to do that.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # inner shells; helper.bash shares variables

load helper

# The numbers of the fds that the target was given.
fds() { sed -n 's/^fd\.\([0-9]*\)=.*/\1/p' "$report" | paste -sd ' '; }

# syscalls CALLS LIMIT [TRACER OPTION...]: how often a start makes these calls with this limit on fds.
syscalls() {
	strace -f -qq -o "$T/trace" -e "trace=$1,close_range" "${@:3}" target with --nofile "$2" -- daemonize true
	grep -cE "\<(${1//,/|})\(" "$T/trace"
}

@test "a daemon has fds 0, 1 and 2, and no other" {
	start
	expect "$(fds)" "0 1 2"
}

@test "none of the caller's fds survives, low or high" {
	from --open 3,4,5,7,9,10,11,63,64,255,256,300,1023
	start
	expect "$(fds)" "0 1 2"
}

@test "a pidfile adds one fd, at 10 or above, read-only and kept across exec" {
	from --open 3,4,10,11
	start -p "$T/app.pid"
	expect "$(fds)" "0 1 2 1[0-9]"
	expect "$(sed -n 's/^fd.1[0-9]=//p' "$report")" "r append=0 cloexec=0 $T/app.pid"
}

@test "a lock adds one fd, at 10 or above" {
	start -l "$T/app.lock"
	expect "$(fds)" "0 1 2 1[0-9]"
	expect "$(grep "$T/app.lock\$" "$report" | grep ^fd)" "fd.1[0-9]=* cloexec=0 *"
}

@test "-f gives the command no extra fd but the pidfile's" {
	"$T/bin/daemonize" -f -p "$T/app.pid" target dump "$report" 3>&- &
	own $!
	reported "$report"
	expect "$(fds)" "0 1 2 1[0-9]"
}

@test "the fds on which the logs were opened are closed" {
	start -i /dev/zero -o "$T/out" -e "$T/err"
	expect "$(fds)" "0 1 2"
}

# ---- Kept fds ----

@test "-k keeps an fd" {
	from --open 7,9
	start -k 7
	expect "$(fds)" "0 1 2 7"
}

@test "-k takes a list with ranges" {
	from --open 3,5,6,7,8,300
	start --keep-fd 3,5-7,300
	expect "$(fds)" "0 1 2 3 5 6 7 300"
}

@test "-k may be repeated, and may overlap" {
	from --open 5,6,7,8
	start -k 5,5 -k 5-6 -k 8
	expect "$(fds)" "0 1 2 5 6 8"
}

@test "a kept fd is still the same open file" {
	echo hello >"$T/input"
	daemonize -k 7 -o "$T/out" sh -c 'cat <&7; exec cat' 7<"$T/input"
	wait_until 20 grep -q hello "$T/out"
}

@test "a kept fd does not collide with the pidfile's" {
	from --open 10,11,12
	start -p "$T/app.pid" -k 10-12
	expect "$(fds)" "0 1 2 10 11 12 1[3-9]"
	expect "$(field fd.11)" "rw append=0 cloexec=0 /dev/null"
	expect "$(sed -n 's/^fd.1[3-9]=//p' "$report")" "r * $T/app.pid"
}

@test "a kept fd does not collide with the logs'" {
	from --open 3,4,5,6
	start -i /dev/zero -o "$T/out" -e "$T/err" -k 3-6
	expect "$(field 'fd.[3-6]')" ""
	expect "$(grep '^fd\.[3-6]=' "$report" | cut -d' ' -f4 | sort -u)" /dev/null
}

@test "an fd that is not open cannot be kept, and is named" {
	fails 1 "daemonize: *77*" daemonize -k 77 target dump "$report"
	nothing_runs
}

@test "a range cannot be kept if one of its fds is not open" {
	fails 1 "daemonize: *71*" target with --open 70,72 -- daemonize -k 70-72 target dump "$report"
	nothing_runs
}

@test "an invalid list of fds is refused" {
	for list in '' x 3x '3,' ',3' '3,,4' 3- -3 3--5 3-4-5 5-3 '3;4' '3 4' ' 3' 3.5 +3 0x3 99999999999 4-99999999999; do
		echo "list: '$list'"
		fails 2 "daemonize: *" daemonize -k "$list" target dump "$report"
	done
}

@test "fds 0, 1 and 2 cannot be kept: they have their own options" {
	for list in 0 1 2 0-5 3,1; do
		fails 2 "daemonize: *" daemonize -k "$list" target dump "$report"
	done
}

# ---- Letting go of the caller ----

@test "a command substitution returns at once" {
	run -0 timeout 10 bash -c 'x=$(daemonize sleep 60); echo "returned $?"'
	expect "$output" "returned 0"
}

@test "a pipeline returns at once" {
	run -0 timeout 10 bash -c 'daemonize sleep 60 2>&1 | cat; echo "${PIPESTATUS[0]}"'
	expect "$output" 0
}

@test "a pipeline on an odd fd returns at once" {
	run -0 timeout 10 bash -c 'daemonize sleep 60 42>&1 >/dev/null | cat; echo "${PIPESTATUS[0]}"'
	expect "$output" 0
}

@test "the daemon does not hold the fd 3 that bats waits for" {
	bats_output=$(readlink "/proc/$BASHPID/fd/3")
	[ -n "$bats_output" ]
	start
	run -1 grep -F "$bats_output" "$report"
}

@test "a caller that reads standard input finds it unread" {
	run -0 bash -c 'printf "one\ntwo\n" | { daemonize sleep 60; cat; }'
	expect "$output" $'one\ntwo'
}

# ---- Whatever the limit on fds ----

# bats test_tags=no-valgrind
@test "an fd above a lowered limit is closed, too" {
	from --open 300,900 --nofile 100
	start
	expect "$(fds)" "0 1 2"
}

# bats test_tags=needs:native
@test "a huge limit on fds costs nothing" {
	need strace
	few=$(syscalls close,fcntl 1024)
	expect "$(syscalls close,fcntl 20000)" "$few"
	[ "$few" -lt 100 ]
}

# As on an old kernel. The tracer stays with the daemon, but as its child (-D), so that the caller returns.
without_close_range() {
	need strace
	caller=(strace -D -f --seccomp-bpf -qq -o "$T/trace" -e trace=close_range -e inject=close_range:error=ENOSYS "$@")
}

# bats test_tags=no-valgrind
@test "without close_range fds are closed all the same" {
	without_close_range target with --open 7,300,900 --nofile 100 --
	start
	expect "$(fds)" "0 1 2"
}

# bats test_tags=needs:native
@test "without close_range a huge limit costs nothing either" {
	closes() { syscalls close "$1" -e inject=close_range:error=ENOSYS; }
	expect "$(closes 20000)" "$(closes 1024)"
}

# bats test_tags=needs:linux,no-valgrind
@test "without close_range and without /proc fds are closed all the same" {
	need_root
	need unshare
	without_close_range unshare -m sh -c 'mount -t tmpfs none /proc; exec "$@"' sh \
		target with --open 7,300,900 --nofile 1000 --
	start
	expect "$(fds)" "0 1 2"
}

# bats test_tags=needs:linux,no-valgrind
@test "without close_range and without /proc kept fds are kept" {
	need_root
	need unshare
	without_close_range unshare -m sh -c 'mount -t tmpfs none /proc; exec "$@"' sh \
		target with --open 7,8,300 --nofile 1000 --
	start -k 8
	expect "$(fds)" "0 1 2 8"
}

@test "without close_range kept fds are kept" {
	without_close_range target with --open 7,8,300 --
	start -k 8 -p "$T/app.pid"
	expect "$(fds)" "0 1 2 8 1[0-9]"
}
