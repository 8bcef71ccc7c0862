#!/usr/bin/env bats
# The README's init script, word for word except for its paths, has LSB's exit statuses, under dash and
# under busybox sh.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # inner shells; a test is a subshell; helper.bash assigns

load helper

# The one block of the README that is an init script.
script_of_readme() {
	awk '/^```sh$/ { getline; inside = /^#!\/bin\/sh/ } /^```$/ { inside = 0 } inside' "$here/../README.md"
}

# under SHELL [ARGUMENT] FUNCTION: sets up the script and its daemon, which logs what it hears.
under() {
	shell=("${@:1:$#-1}")
	need "${shell[0]}"
	script_of_readme | sed "s:/usr/local/bin:$T/bin:g; s:/run/app\.pid:$T/app.pid:g
		s:/var/log/app\.log:$T/app.log:g" >"$T/init"
	expect "$(grep -c -e "$T/bin/app" -e "$T/app.pid" -e "$T/app.log" "$T/init")" '[1-9]*'
	printf '%s\n' '#!/bin/sh' 'trap "echo heard HUP" HUP' 'echo started' \
		'while :; do sleep 0.02; done' >"$T/bin/app"
	chmod 755 "$T/bin/app"
	"${!#}"
}

# service STATUS VERB...
service() {
	note "${shell[@]}" "$T/init" "${@:2}"
	run "-$1" --separate-stderr "${shell[@]}" "$T/init" "${@:2}"
}

# Without its sleeps.
daemons() { ours | xargs -r ps -o pid=,comm= -p | awk '$2 == "app" { print $1 }'; }

# is_up: one daemon, that of the pidfile; sets pid.
is_up() {
	pid=$(cat "$T/app.pid") && alive "$pid" && service 0 status && expect "$output" "running (pid $pid)" &&
		expect "$(daemons)" "$pid"
}

heard() { expect "$(grep -c "$1" "$T/app.log")" "$2"; }

starts() {
	service 0 start
	expect "$output$stderr" ""
	is_up
	heard started 1
}

starts_once() {
	service 0 start
	is_up
	first=$pid
	service 0 start
	expect "$output$stderr" ""
	is_up
	expect "$pid" "$first"
	heard started 1
}

fails_to_start() {
	printf '#!/bin/sh\necho out of order; exit 7\n' >"$T/bin/app"
	service 1 start
	expect "$stderr" "daemonize: $T/bin/app $(known 'exited with status 7') after *
    out of order"
	service 3 status
}

is_not_installed() {
	rm "$T/bin/app"
	service 5 start
	expect "$stderr" "daemonize: *$T/bin/app*"
	service 3 status
}

stops() {
	service 0 start
	is_up
	service 0 stop
	expect "$output$stderr" ""
	gone "$pid"
	[ ! -e "$T/app.pid" ]
	service 3 status
	expect "$output" "not running"
	nothing_runs
}

stops_what_is_stopped() {
	service 0 stop
	expect "$output$stderr" ""
	service 0 start
	service 0 stop
	service 0 stop
	service 3 status
}

finds_it_dead() {
	service 0 start
	is_up
	kill -KILL "$pid"
	wait_until 10 gone "$pid"
	service 1 status
	expect "$output" "not running, stale pidfile"
	service 0 start
	is_up
}

reloads() {
	service 0 start
	is_up
	service 0 reload
	expect "$output$stderr" ""
	wait_until 10 heard "heard HUP" 1
	is_up
	heard started 1
}

does_not_reload_what_is_stopped() {
	service 7 reload
	nothing_runs
}

# restarts_with VERB: another process, and only one.
restarts_with() {
	service 0 "$1"
	is_up
	old=$pid
	service 0 "$1"
	expect "$output$stderr" ""
	is_up
	[ "$pid" != "$old" ]
	gone "$old"
	heard started 2
}

restarts() { restarts_with restart; }

force_reloads() {
	service 0 start
	is_up
	service 0 force-reload
	is_up
}

refuses_other_verbs() {
	for verb in wrong '' Start '*' start\|stop; do
		service 2 "$verb"
		expect "$output" ""
		expect "$stderr" "*start*stop*status*"
	done
	service 2
	expect "$stderr" "*start*stop*status*"
	nothing_runs
}

tells_anybody_the_status() {
	need_root
	service 3 status
	run -3 as_nobody "${shell[@]}" "$T/init" status
	service 0 start
	run -0 as_nobody "${shell[@]}" "$T/init" status
	expect "$output" "running (pid $(cat "$T/app.pid"))"
}

obeys_only_who_may() {
	need_root
	service 0 start
	for verb in start stop reload restart force-reload; do
		run -4 as_nobody "${shell[@]}" "$T/init" "$verb"
	done
	is_up
	heard started 1
	heard HUP 0
}

does_not_change_its_mind_with_set_e_and_u() {
	sed -i '2i set -eu' "$T/init"
	service 3 status
	service 0 start
	is_up
	service 0 start
	service 0 reload
	service 0 restart
	is_up
	service 0 stop
	service 3 status
	service 7 reload
	service 2 wrong
	service 2
}

@test "the script is one block of the README, of about fifteen lines besides its header" {
	script_of_readme >"$T/init"
	expect "$(grep -c '^#!' "$T/init")" 1
	[ "$(grep -vc -e '^#' -e '^$' "$T/init")" -le 18 ]
}

@test "shellcheck has no remarks about the script" {
	need shellcheck
	script_of_readme >"$T/init"
	shellcheck "$T/init"
}

@test "dash: start brings the daemon up" { under dash starts; }
@test "busybox sh: start brings the daemon up" { under busybox sh starts; }
@test "dash: start exits 0 if the daemon runs already, and starts no second one" { under dash starts_once; }
@test "busybox sh: start exits 0 if the daemon runs already, and starts no second one" { under busybox sh starts_once; }
@test "dash: start exits 1 if the daemon dies, with the reason" { under dash fails_to_start; }
@test "busybox sh: start exits 1 if the daemon dies, with the reason" { under busybox sh fails_to_start; }
@test "dash: start exits 5 if the program is not installed" { under dash is_not_installed; }
@test "busybox sh: start exits 5 if the program is not installed" { under busybox sh is_not_installed; }
@test "dash: stop terminates the daemon, and status then exits 3" { under dash stops; }
@test "busybox sh: stop terminates the daemon, and status then exits 3" { under busybox sh stops; }
@test "dash: stop exits 0 if the daemon is stopped already" { under dash stops_what_is_stopped; }
@test "busybox sh: stop exits 0 if the daemon is stopped already" { under busybox sh stops_what_is_stopped; }
@test "dash: status exits 1 if the daemon was killed, and it can be started again" { under dash finds_it_dead; }
@test "busybox sh: status exits 1 if the daemon was killed, and it can be started again" { under busybox sh finds_it_dead; }
@test "dash: reload reaches the daemon as SIGHUP" { under dash reloads; }
@test "busybox sh: reload reaches the daemon as SIGHUP" { under busybox sh reloads; }
@test "dash: reload exits 7 if the daemon is stopped" { under dash does_not_reload_what_is_stopped; }
@test "busybox sh: reload exits 7 if the daemon is stopped" { under busybox sh does_not_reload_what_is_stopped; }
@test "dash: restart replaces the daemon, or starts it" { under dash restarts; }
@test "busybox sh: restart replaces the daemon, or starts it" { under busybox sh restarts; }
@test "dash: force-reload leaves the daemon up" { under dash force_reloads; }
@test "busybox sh: force-reload leaves the daemon up" { under busybox sh force_reloads; }
@test "dash: another verb, or none, exits 2" { under dash refuses_other_verbs; }
@test "busybox sh: another verb, or none, exits 2" { under busybox sh refuses_other_verbs; }
@test "dash: anybody may ask for the status" { under dash tells_anybody_the_status; }
@test "busybox sh: anybody may ask for the status" { under busybox sh tells_anybody_the_status; }
@test "dash: a user without permission gets status 4, and changes nothing" { under dash obeys_only_who_may; }
@test "busybox sh: a user without permission gets status 4, and changes nothing" { under busybox sh obeys_only_who_may; }
@test "dash: set -eu changes none of this" { under dash does_not_change_its_mind_with_set_e_and_u; }
@test "busybox sh: set -eu changes none of this" { under busybox sh does_not_change_its_mind_with_set_e_and_u; }
