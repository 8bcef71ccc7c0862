#!/usr/bin/env bats
# Signal dispositions and mask are what the daemon's author expects, not what the caller happened to have.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # inner shells; helper.bash shares variables

load helper

@test "the terminal's stop signals are ignored, all others have their default" {
	from --ignore HUP,INT,QUIT,PIPE,TERM,CHLD,USR1,USR2,ALRM,WINCH,RTMIN+3
	start
	expect "$(field ignored)" TSTP,TTIN,TTOU
}

@test "no signal is blocked" {
	from --block HUP,INT,QUIT,PIPE,TERM,CHLD,USR1,TSTP,RTMIN+3
	start
	expect "$(field blocked)" ""
}

@test "no signal is pending" {
	from --block USR1
	caller+=(sh -c 'kill -USR1 $$; exec "$@"' sh) # which does not fork: dash would unblock all signals
	start
	expect "$(field pending)" ""
}

@test "SIGTERM terminates a daemon whose caller ignored and blocked it" {
	from --ignore TERM --block TERM
	start
	kill -TERM "$pid"
	wait_until 20 gone "$pid"
}

@test "SIGPIPE terminates a child of the daemon, although the caller ignored it" {
	target with --ignore PIPE -- daemonize -o "$T/out" sh -c 'sh -c "kill -PIPE \$\$"; echo "status $?"'
	wait_until 20 grep -q "status 141" "$T/out"
}

# ---- Asked for ----

@test "--ignore-signal ignores a signal" {
	start --ignore-signal HUP
	expect "$(field ignored)" HUP,TSTP,TTIN,TTOU
}

@test "--default-signal lets a shell trap a signal that is otherwise ignored" {
	for option in --default-signal --ignore-signal; do
		daemonize $option TSTP -o "$T/$option" sh -c 'trap "echo trapped" TSTP; kill -TSTP $$; echo over'
		wait_until 20 grep -q over "$T/$option"
	done
	expect "$(cat "$T/--default-signal")" $'trapped\nover'
	expect "$(cat "$T/--ignore-signal")" over
}

@test "--ignore-signal takes a list, and may be repeated" {
	start --ignore-signal HUP,INT --ignore-signal USR1
	expect "$(field ignored)" HUP,INT,USR1,TSTP,TTIN,TTOU
}

@test "a signal may be named with or without SIG, in any case, or numbered" {
	start --ignore-signal sighup,Int,SIGQUIT,13,usr1
	expect "$(field ignored)" HUP,INT,QUIT,USR1,PIPE,TSTP,TTIN,TTOU
}

# bats test_tags=needs:native,no-valgrind
@test "real-time signals can be counted from both ends" {
	start --ignore-signal RTMIN,RTMIN+1,sigrtmin+2
	expect "$(field ignored)" TSTP,TTIN,TTOU,RTMIN+0,RTMIN+1,RTMIN+2
	rm "$report"
	start --ignore-signal RTMAX-1,RTMAX
	expect "$(field ignored)" "TSTP,TTIN,TTOU,RTMIN+*,RTMIN+*"
}

@test "--default-signal gives a stop signal its default back" {
	start --default-signal TSTP,TTIN
	expect "$(field ignored)" TTOU
}

@test "the last option for a signal wins" {
	start --ignore-signal HUP,USR1 --default-signal HUP --default-signal TTOU --ignore-signal TTOU
	expect "$(field ignored)" USR1,TSTP,TTIN,TTOU
}

@test "an ignored signal does not terminate the daemon" {
	start --ignore-signal USR1
	kill -USR1 "$pid"
	kill -CONT "$pid"
	alive "$pid"
	kill -USR2 "$pid"
	wait_until 20 gone "$pid"
}

# ---- Refused ----

@test "SIGKILL and SIGSTOP can be neither ignored nor given a default" {
	for signal in KILL SIGKILL 9 STOP sigstop 19; do
		fails 2 "daemonize: *$signal*" daemonize --ignore-signal "$signal" target dump "$report"
		fails 2 "daemonize: *$signal*" daemonize --default-signal "HUP,$signal" target dump "$report"
	done
	nothing_runs
}

# bats test_tags=needs:native
@test "a signal that libc reserves is not left ignored, either" {
	[ "$(uname -m)" = x86_64 ] || skip "needs x86-64"
	need perl
	# rt_sigaction(2)
	caller=(perl -e 'for my $n (32 .. 34) { my $number = $n; my $ignore = pack("QQQQ", 1, 0, 0, 0);
		syscall(13, $number, $ignore, 0, 8) == 0 or die } exec @ARGV')
	start
	expect "$(awk '/^SigIgn:/ { print $2 }' "/proc/$pid/status")" 0000000000380000
}

@test "an invalid signal is refused" {
	for signal in NOSUCH SIG SIGSIGHUP HUPX 0 -1 999 1x 0x1 RTMIN+99 RTMAX+1 RTMIN-1 RTMIN+ RTMINUS \
		RTMIN+64 RTMAX-64; do
		echo "signal: $signal"
		fails 2 "daemonize: *'$signal'*" daemonize --ignore-signal "$signal" target dump "$report"
	done
}

@test "a list of signals with an empty item is refused" {
	for list in '' ',' 'HUP,' ',HUP' 'HUP,,INT' 'HUP, INT'; do
		echo "list: '$list'"
		fails 2 "daemonize: *" daemonize --ignore-signal "$list" target dump "$report"
		fails 2 "daemonize: *" daemonize --default-signal "$list" target dump "$report"
	done
}
