#!/usr/bin/env bats
# However many start at the same moment, one of them wins, and the others know which one.
# ROUNDS=300 repeats each race 300 times.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # eval; a test is a subshell; helper.bash assigns

load helper

ROUNDS=${ROUNDS:-10}
STARTERS=32

# race_with COMMAND...: starts it STARTERS times at once; sets results, a line "STATUS MESSAGE" for each.
race_with() {
	results=$(timeout 60 "$BATS_TEST_DIRNAME/racer" "$STARTERS" "$@")
}

# race OPTION...
race() { race_with "$T/bin/daemonize" "$@" target dump "$report"; }

# count PATTERN: how many results match the regular expression as a whole.
count() { grep -cxE -- "$1" <<<"$results" || true; }

# one_won LOSERS: one start succeeded, and the results of all others match.
one_won() {
	expect "won: $(count '0 '), lost: $(count "$1"), of $results" "won: 1, lost: $((STARTERS - 1)), of *"
}

# The pidfile names the only one that runs; sets pid.
names_the_winner() {
	pid=$(cat app.pid)
	expect "$(ours)" "$pid"
	cmp <(echo "$pid") app.pid
}

end_daemon() {
	kill -KILL "$1"
	wait_until 10 gone "$1"
}

# rounds COMMAND...: ROUNDS races for a pidfile, each prepared by the command.
rounds() {
	for ((round = 1; round <= ROUNDS; round++)); do
		"$@"
		race -p app.pid
		names_the_winner
		one_won "3 daemonize: already running \(pid $pid\)"
		end_daemon "$pid"
	done
}

@test "of many simultaneous starts one wins, and the others name it" {
	rounds rm -f app.pid
}

@test "of many simultaneous starts one takes over the dead one's pidfile" {
	rounds test -n "the pidfile of the round before"
}

@test "of many simultaneous starts one takes over a pidfile with garbage in it" {
	rounds eval 'echo "much more than a PID, so that a tail could be left" >app.pid'
}

# bats test_tags=needs:proc
@test "of many simultaneous starts one takes over the pidfile of a recycled PID" {
	rounds eval 'echo $BASHPID >app.pid; touch -d yesterday app.pid'
}

@test "of many simultaneous starts one wins where the pidfile can only be written in place" {
	need_root
	for ((round = 1; round <= ROUNDS; round++)); do
		: >app.pid
		chown nobody app.pid
		race_with setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups \
			"$T/bin/daemonize" -p "$T/app.pid" target dump "$report"
		names_the_winner
		one_won "3 daemonize: already running \(pid $pid\)"
		end_daemon "$pid"
	done
}

@test "of many simultaneous starts under -l one wins" {
	for ((round = 1; round <= ROUNDS; round++)); do
		race -l app.lock
		one_won "3 daemonize: already running \(lock '[^']*app.lock' is held\)"
		pid=$(ours)
		expect "$(wc -w <<<"$pid")" 1
		end_daemon "$pid"
	done
}

@test "of many simultaneous starts under -p and -l one wins" {
	for ((round = 1; round <= ROUNDS; round++)); do
		race -p app.pid -l app.lock
		names_the_winner
		one_won "3 daemonize: already running \(.*\)"
		end_daemon "$pid"
	done
}

@test "of many simultaneous starts with -p and -l of one file one wins" {
	for ((round = 1; round <= ROUNDS; round++)); do
		race -p app.pid -l app.pid
		names_the_winner
		one_won "3 daemonize: already running \(pid $pid\)"
		end_daemon "$pid"
	done
}

@test "of many simultaneous starts with -u one wins" {
	need_root
	for ((round = 1; round <= ROUNDS; round++)); do
		race -p app.pid -u nobody
		names_the_winner
		one_won "3 daemonize: already running \(pid $pid\)"
		end_daemon "$pid"
	done
}

@test "of many simultaneous starts with -w one wins, and the others give up in time" {
	for options in '-p app.pid' '-p app.pid -l app.lock'; do
		# shellcheck disable=SC2086 # several
		race -w 0.5 $options
		names_the_winner
		one_won "124 daemonize: .*"
		end_daemon "$pid"
	done
}

@test "of many simultaneous starts with --ok-if-running one wins, and the others succeed" {
	for ((round = 1; round <= ROUNDS; round++)); do
		race --ok-if-running -p app.pid
		names_the_winner
		expect "content: $(count '0 '), of $results" "content: $STARTERS, of *"
		end_daemon "$pid"
	done
}

@test "with -w inf each gets its turn, and no two run at a time" {
	cat >turn <<-'END'
		#!/bin/sh
		mkdir busy || echo clash >>clashes
		rmdir busy
		echo done >>turns
	END
	chmod +x turn
	for options in '-p app.pid' '-l app.lock' '-p app.pid -l app.pid'; do
		# shellcheck disable=SC2086 # several
		race_with "$T/bin/daemonize" -w inf -c "$T" $options ./turn
		expect "went well: $(count '0 '), of $results" "went well: $STARTERS, of *"
		wait_until 10 nothing_runs
		expect "$(wc -l <turns)" "$STARTERS"
		[ ! -e clashes ]
		rm turns
	done
}

@test "when the running daemon dies, no two starts take its place" {
	race -p app.pid
	for ((round = 1; round <= ROUNDS; round++)); do
		pid=$(cat app.pid)
		{ sleep "0.00$((round % 10))" && kill -KILL "$pid"; } 3>&- &
		race -p app.pid
		wait $!
		wait_until 10 gone "$pid"
		expect "won: $(($(count '0 ') < 2)), of $results" "won: 1, of *"
		expect "$((STARTERS - $(count '0 ')))" "$(count '3 daemonize: already running \(pid [0-9]*\)')"
		[ "$(count '0 ')" = 1 ] || race -p app.pid
		names_the_winner
	done
}
