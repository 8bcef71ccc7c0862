#!/usr/bin/env bats
# bats file_tags=around
# The init scripts of the README and of the manual, word for word, under Debian's SysV init and OpenRC, which
# are installed in a world of their own.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # inner shells; a test is a subshell; helper.bash and "run" assign

load helper
load world

# world_with PACKAGE...: a world where these are installed, and where no service is started.
world_with() {
	local package

	[ -d "$here/debs" ] || skip "needs tests/debs, from tests/setup"
	mkdir debs
	for package; do
		cp "$here/debs/${package}"_*.deb debs
	done
	new_world
	inside sh -c 'rm -f /etc/rc?.d/*'
	inside sh -c "dpkg --no-triggers -i $T/debs/*.deb" >world.log 2>&1 || { cat world.log && return 1; }
	printf '%s\n' '#!/bin/sh' 'echo started' 'while :; do sleep 0.05; done' | write_inside /usr/local/bin/app 755
}

sysv() {
	world_with initscripts insserv startpar sysv-rc
	example 'BEGIN INIT INFO' | write_inside /etc/init.d/app 755
}

# Leaves out other services: whatever else this system has must not run.
links() { inside sh -c 'cd /etc && ls -d rc?.d/[SK]??app' | tr '\n' ' '; }

runs() { inside daemonize --status -p /run/app.pid; }

does_not_run() {
	run -3 runs
	none_runs app
}

# enter RUNLEVEL PREVIOUS: enters it as init does, with our service only.
enter() {
	inside sh -c 'cd "/etc/rc$1.d" && ls | grep -v "app$" | xargs -r rm
		RUNLEVEL=$1 PREVLEVEL=$2 runlevel=$1 previous=$2 exec /etc/init.d/rc "$1"' sh "$@"
}

@test "insserv accepts the README's init script silently, and puts it where it belongs" {
	sysv
	for command in 'insserv app' 'update-rc.d app remove' 'update-rc.d app defaults'; do
		# shellcheck disable=SC2086 # words
		run -0 inside $command
		expect "$output" ""
	done
	expect "$(links)" "rc0.d/K??app rc1.d/K??app rc2.d/S??app rc3.d/S??app rc4.d/S??app rc5.d/S??app rc6.d/K??app "
	# It is stopped before the file systems are unmounted.
	expect "$(inside ls /etc/rc0.d | grep -x -e 'K..app' -e 'K..umountfs' | cut -c 4- | tr '\n' ' ')" 'app umountfs '
}

@test "SysV's rc starts it in its runlevel and stops it at shutdown, and service(8) controls it meanwhile" {
	sysv
	inside update-rc.d app defaults
	enter 2 N
	runs
	run -0 inside service app status
	expect "$output" "running (pid *)"
	expect "$(runs)" "$output"
	inside service app start
	expect "$(runs)" "$output"
	inside service app restart
	[ "$(runs)" != "$output" ]
	inside service app stop
	does_not_run
	run -3 inside service app status
	inside service app start
	runs
	enter 0 2
	does_not_run
}

# openrc: makes a world that OpenRC seems to have booted.
openrc() {
	world_with insserv libeinfo1 librc1 openrc
	inside sh -c 'mkdir -p /run/openrc && touch /run/openrc/softlevel'
	example openrc-run | write_inside /etc/init.d/app 755
}

@test "OpenRC starts, queries, restarts and stops it with the manual's script" {
	openrc
	inside rc-update add app default
	run -3 inside rc-service app status
	run -0 inside rc-service app start
	runs
	expect "$(inside rc-service app status)" "*$(runs)"
	inside test -e /run/openrc/started/app
	first=$(runs)
	inside rc-service app restart
	expect "$(runs)" "running*"
	[ "$(runs)" != "$first" ]
	inside sh -c 'kill -KILL $(cat /run/app.pid)'
	wait_until 10 inside sh -c '! daemonize --status -p /run/app.pid'
	run -1 inside rc-service app status
	inside rc-service app restart
	runs
	inside rc-service app stop
	does_not_run
}

@test "OpenRC reports a failed start" {
	openrc
	printf '%s\n' '#!/bin/sh' 'echo out of order' 'exit 7' | write_inside /usr/local/bin/app 755
	run -1 inside rc-service app start
	expect "$output" "*exited with status 7*out of order*app failed to start*"
	does_not_run
}
