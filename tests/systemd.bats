#!/usr/bin/env bats
# bats file_tags=around
# The units of the manual, word for word, under a real systemd, which is PID 1 of a world of its own.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # inner shells; a test is a subshell; helper.bash and "run" assign

load helper
load world

eval "tear_down_$(declare -f teardown)"

# The control group of a world outlives it.
teardown() {
	tear_down_teardown
	[ -z "${cgroup-}" ] || wait_until 10 find "$cgroup" -depth -type d -exec rmdir {} +
}

# boot TEXT: boots systemd without any service, and then gives it that unit of the manual.
boot() {
	need_root
	need systemctl systemd-analyze
	cgroup=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/daemonize.${T##*.}
	mkdir "$cgroup" || skip "needs a cgroup2 file system that can be written"
	new_world sh -c 'cd /lib/systemd && rm -rf /etc/fstab /etc/systemd/system/* system/*.wants system-generators
		exec env -i container=other PATH=/usr/bin:/bin /lib/systemd/systemd --unit=basic.target'
	wait_until 10 inside systemctl is-active basic.target
	example "$1" | write_inside /etc/systemd/system/app.service
	printf '%s\n' '#!/bin/sh' 'echo started, umask $(umask)' 'while :; do sleep 0.05; done' |
		write_inside /usr/local/bin/app 755
	inside systemctl daemon-reload
}

shows() { expect "$(inside systemctl show --value -p "$1" app)" "$2"; }

# is_up: it runs, both in systemd's view and in fact; sets pid.
is_up() {
	pid=$(inside systemctl show --value -p MainPID app)
	shows SubState running && only_runs app "$pid"
}

is_up_again() { is_up && [ "$pid" != "$first" ]; }

# with_pidfile: the pidfile says the same.
with_pidfile() {
	expect "$(inside cat /run/app.pid)" "$pid"
	expect "$(inside daemonize --status -p /run/app.pid)" "running (pid $pid)"
}

@test "systemd-analyze verify has nothing to say about the units" {
	for type in exec forking; do
		example "Type=$type" >app.service
		# There is no app here, but any file that can be executed will do.
		sed -i "s:/usr/local/bin/app:$T/bin/target:; s:/usr/local/bin/daemonize:$T/bin/daemonize:" app.service
		run -0 --separate-stderr systemd-analyze verify "$T/app.service"
		expect "$output$stderr" ""
	done
}

@test "Type=forking: systemd finds the daemon by its pidfile, restarts, stops and starts it" {
	boot Type=forking
	inside systemctl start app
	is_up
	with_pidfile
	expect "$(inside cat /var/log/app.log)" "started, umask 0022"
	first=$pid
	inside systemctl restart app
	is_up_again
	with_pidfile
	inside systemctl stop app
	shows ActiveState inactive
	none_runs app
	inside systemctl start app
	is_up
	with_pidfile
}

@test "Type=forking: systemd restarts the daemon after a crash" {
	boot Type=forking
	inside systemctl start app
	is_up
	first=$pid
	inside kill -KILL "$pid"
	wait_until 10 is_up_again
	is_up
	with_pidfile
}

@test "Type=forking: systemd notices when --stop stops the daemon" {
	boot Type=forking
	inside systemctl start app
	is_up
	inside daemonize --stop -p /run/app.pid
	wait_until 10 shows ActiveState inactive
	shows Result success
	none_runs app
}

@test "Type=forking: systemctl start fails when the start does" {
	boot Type=forking
	printf '#!/bin/sh\nexit 7\n' | write_inside /usr/local/bin/app 755
	inside sed -i /Restart/d /etc/systemd/system/app.service
	inside systemctl daemon-reload
	run -1 inside systemctl start app
	shows Result exit-code
	expect "$(inside systemctl status app)" "*daemonize*status=4*"
}

@test "Type=exec: with -f systemd starts the daemon, restarts it after a crash, and stops it" {
	boot Type=exec
	inside systemctl start app
	wait_until 10 is_up
	is_up
	first=$pid
	inside kill -KILL "$pid"
	wait_until 10 is_up_again
	inside systemctl stop app
	shows ActiveState inactive
	none_runs app
}
