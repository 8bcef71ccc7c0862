#!/usr/bin/env bats
# bats file_tags=around
# Scripts written for bmc/daemonize, in the shapes found in the wild, run unchanged, even if bmc/daemonize has
# started the daemon that is running.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # scripts; a test is a subshell; helper.bash and "run" assign

load helper

# script NAME: standard input, less its indentation, becomes a script, which finds these in its environment.
script() {
	{ echo '#!/bin/sh' && sed 's/^		//'; } >"$1"
	chmod 755 "$1"
	script=$T/$1
	export RUN=$T PROG=$T/bin/target ARGS="dump $report" RUNAS
	RUNAS=$(as_nobody id -un)
}

# service STATUS VERB: the script exits with that status, and does not hang.
service() {
	note service "$@"
	run "-$1" --separate-stderr timeout 20 "$script" "${@:2}"
}

# is_up: the pidfile names the only daemon there is, which was started last; sets pid.
is_up() {
	reported "$report"
	expect "$(cat run.pid)" "$pid"
	expect "$(ours)" "$pid"
	rm "$report"
	service 0 status
}

# crashes: kills the daemon, which leaves its files behind.
crashes() {
	kill -KILL "$pid"
	wait_until 10 gone "$pid"
	[ -e run.pid ]
}

# ---- An exporter of Prometheus ----

# exporter: as on Red Hat's kin and on Debian: stop waits until the daemon has exited.
exporter() {
	script exporter <<-'END'
		. /lib/lsb/init-functions
		PID=$RUN/run.pid LOCK=$RUN/run.lock LOG=$RUN/pub/run.log

		start() {
			daemonize -u $RUNAS -p $PID -l $LOCK -a -e $LOG -o $LOG $PROG $ARGS
			RETVAL=$?
			[ $RETVAL -eq 0 ] && touch $LOCK
			return $RETVAL
		}

		stop() {
			killproc -p $PID $PROG
			RETVAL=$?
			[ $RETVAL -eq 0 ] && rm -f $LOCK $PID
			return $RETVAL
		}

		case "$1" in
		start) start ;;
		stop) stop ;;
		status) status_of_proc -p $PID $PROG exporter ;;
		restart) stop; start ;;
		condrestart) [ ! -f $LOCK ] || { stop; start; } ;;
		*) echo "Usage: $0 {start|stop|status|restart|condrestart}" >&2; exit 2 ;;
		esac
	END
}

@test "an exporter's init script starts and stops it, and leaves no file but its log" {
	exporter
	service 3 status
	service 0 start
	expect "$output$stderr" ""
	is_up
	expect "$(stat -c %u run.pid run.lock | sort -u)" "$(id -u)"
	service 0 stop
	nothing_runs
	[ ! -e run.pid ] && [ ! -e run.lock ] && [ -e pub/run.log ]
	service 3 status
	service 0 stop
}

@test "an exporter's init script says so when it is already running" {
	exporter
	service 0 start
	is_up
	service 3 start
	expect "$stderr" "daemonize: already running (pid $pid)"
	service 0 status
	expect "$(ours)" "$pid"
}

@test "an exporter's init script handles restart and condrestart, whether it is running or not" {
	exporter
	service 0 restart
	is_up
	first=$pid
	service 0 restart
	is_up
	service 0 condrestart
	is_up
	[ "$pid" != "$first" ]
	service 0 stop
	service 0 condrestart
	nothing_runs
}

@test "an exporter's init script starts it again after a crash, whatever the old pidfile holds" {
	exporter
	service 0 start
	is_up
	crashes
	service 0 start
	is_up
	crashes
	echo "no number" >run.pid
	service 0 start
	is_up
	crashes
	: >run.pid
	service 0 start
	is_up
}

@test "an exporter's init script reports that the program is missing, and leaves no pidfile" {
	exporter
	PROG=$T/nosuch service 127 start
	expect "$stderr" "daemonize: cannot find '$T/nosuch'*"
	[ ! -e run.pid ]
	service 3 status
}

# ---- Scripts that do not wait ----

# hasty: kills, removes the files, and is done, although the daemon takes its time to exit.
hasty() {
	printf '%s\n' '#!/bin/sh' 'trap "sleep 0.3; exit 0" TERM' 'echo $$ >"$1"; echo up' \
		'while :; do sleep 0.05; done' >slow
	chmod 755 slow
	script hasty <<-'END'
		start() {
			daemonize -u "$RUNAS" -p "$RUN/run.pid" -l "$RUN/run.lock" -a -e "$RUN/run.log" \
				-o "$RUN/run.log" "$RUN/slow" "$RUN/pub/slow.pid"
		}
		stop() { kill "$(cat "$RUN/run.pid")" && rm -f "$RUN/run.lock" "$RUN/run.pid"; }
		case $1 in
		start) start ;;
		stop) stop ;;
		status) kill -0 "$(cat "$RUN/run.pid")" ;;
		restart) stop && start ;;
		esac
	END
}

slow_is_up() { test -s pub/slow.pid && expect "$(cat run.pid)" "$(cat pub/slow.pid)"; }

@test "a script that does not wait for the old daemon to exit can still restart" {
	hasty
	service 0 start
	wait_until 10 slow_is_up
	for _ in 1 2 3; do
		pid=$(cat run.pid)
		rm pub/slow.pid
		service 0 restart
		wait_until 10 slow_is_up
		[ "$(cat run.pid)" != "$pid" ]
		wait_until 10 gone "$pid"
		service 0 status
	done
	expect "$(grep -c up run.log)" 4
}

# ---- One file for both ----

one_file() {
	script one_file <<-'END'
		F=$RUN/run.pid
		case $1 in
		start) daemonize -p $F -l $F $PROG $ARGS ;;
		stop) kill `cat $F` ;;
		status) [ -f $F ] && kill -0 `cat $F` ;;
		esac
	END
}

@test "a script with -p and -l on one file starts, refuses, stops and starts again" {
	one_file
	service 1 status
	service 0 start
	is_up
	service 3 start
	expect "$stderr" "daemonize: already running (pid $pid)"
	service 0 stop
	wait_until 10 gone "$pid"
	service 0 start
	is_up
	crashes
	service 0 start
	is_up
}

@test "a script with -l alone runs one at a time" {
	script sync <<-'END'
		daemonize -l $RUN/sync.lock $PROG $ARGS || echo "syncs already"
	END
	service 0
	expect "$output$stderr" ""
	reported "$report"
	service 0
	expect "$output" "syncs already"
	expect "$(ours)" "$pid"
	kill "$pid"
	wait_until 10 gone "$pid"
	rm "$report"
	service 0
	expect "$output" ""
	reported "$report"
}

# ---- Java ----

# java: a stand-in for it: it reads its directory, writes to both streams, dumps on QUIT, and has a shutdown hook.
java_service() {
	mkdir app
	echo 'port: 8080' >app/application.yml
	cat >bin/java <<-'END'
		#!/bin/sh
		trap 'echo "Full thread dump"' QUIT
		trap 'echo "shutdown hook"; exit 143' TERM
		echo "started with $* on $(cat application.yml)"
		echo 'WARNING: illegal reflective access' >&2
		while :; do sleep 0.02; done
	END
	chmod 755 bin/java
	script service <<-'END'
		APP=$RUN/app PID=$RUN/run.pid
		case $1 in
		start) daemonize -c $APP -o $APP/out.log -e $APP/err.log -p $PID $RUN/bin/java -Xmx64m -jar app.jar ;;
		stop)
			kill $(cat $PID)
			while kill -0 $(cat $PID) 2>/dev/null; do sleep 0.1; done
			rm -f $PID
			;;
		dump) kill -3 $(cat $PID) ;;
		esac
	END
}

started_twice() { [ "$(grep -c 'started with' app/out.log)" = 2 ]; }

@test "a Java service runs in its directory, has a log for each stream, and gets all its signals" {
	java_service
	# As from a shell that puts a command into the background: QUIT is ignored.
	run -0 --separate-stderr timeout 20 sh -c '"$0" start & wait' "$script"
	expect "$output$stderr" ""
	wait_until 10 grep -qx 'started with -Xmx64m -jar app.jar on port: 8080' app/out.log
	wait_until 10 grep -qx 'WARNING: illegal reflective access' app/err.log
	service 0 dump
	wait_until 10 grep -qx 'Full thread dump' app/out.log
	alive "$(cat run.pid)"
	own "$(cat run.pid)"
	service 0 stop
	expect "$(tail -n 1 app/out.log)" 'shutdown hook'
	nothing_runs
	service 0 start
	wait_until 10 started_twice
}

# ---- systemd, Type=forking with PIDFile= ----

# systemd reads the pidfile as soon as the launcher has exited, and wants it to be root's.
@test "a unit's ExecStart with every option leaves a pidfile that can be read at once" {
	script start <<-'END'
		exec daemonize -a -E TERM=xterm -u "$RUNAS" -c "$RUN/pub" -e "$RUN/run.log" -o "$RUN/run.log" \
			-p "$RUN/run.pid" -v "$PROG" $ARGS
	END
	for _ in {1..10}; do
		service 0
		pid=$(cat run.pid)
		expect "$(stat -c %u run.pid) $(readlink "/proc/$pid/exe")" "$(id -u) $PROG"
		[ "$stderr" != "" ]
		reported "$report"
		expect "$(field env.TERM) $(field cwd)" "xterm $T/pub"
		expect "$(ours)" "$pid"
		daemonize --stop -p run.pid
		rm "$report"
	done
}

# ---- A process namespace, as on WSL ----

# enter: starts an init in a namespace of its own, unless it runs already, and runs a command beside it.
@test "a script that starts an init under unshare, and enters its namespace, can be run again and again" {
	need_root
	need unshare nsenter pgrep
	cp bin/target bin/fakeinit
	script enter <<-'END'
		find_init() { pgrep -f -x "$RUN/bin/fakeinit $ARGS"; }
		if [ -z "$(find_init)" ]; then
			daemonize /usr/bin/unshare -fp --mount-proc "$RUN/bin/fakeinit" $ARGS
			while [ -z "$(find_init)" ]; do sleep 0.05; done
		fi
		exec /usr/bin/nsenter -t "$(find_init)" -m -p "$@"
	END
	service 0 pgrep -x fakeinit
	expect "$output" 1
	service 0 pgrep -x fakeinit
	expect "$output" 1
	expect "$(pgrep -cf "^$T/bin/fakeinit")" 1
}

# ---- Where bmc/daemonize has been ----

# by_bmc FUNCTION: bmc/daemonize starts that script's daemon; sets pid.
by_bmc() {
	local bmc

	bmc=$(dpkg -L daemonize 2>/dev/null | grep 'bin/daemonize$') || skip "needs bmc/daemonize"
	"$1"
	mkdir old
	ln -s "$bmc" old/daemonize
	PATH=$T/old:$PATH service 0 start
	wait_until 10 test -s run.pid
	pid=$(cat run.pid)
	reported "$report"
	expect "$(cat run.pid)" "$pid"
	rm "$report"
}

# replaces_bmc FUNCTION: status, a second start, stop and start work as if the daemon were ours.
replaces_bmc() {
	by_bmc "$1"
	service 0 status
	service 3 start
	expect "$stderr" "daemonize: already running (pid $pid)"
	expect "$(daemonize --status -p run.pid)" "running (pid $pid)"
	expect "$(ours)" "$pid"
	service 0 stop
	wait_until 10 gone "$pid"
	service 0 start
	is_up
	expect "$(stat -c %u run.pid)" "$(id -u)"
	daemonize --stop -p run.pid
}

# outlives_bmc FUNCTION: a start works if that daemon has crashed.
outlives_bmc() {
	by_bmc "$1"
	crashes
	expect "$(daemonize --status -p run.pid)" "not running, stale pidfile"
	service 0 start
	is_up
	expect "$(stat -c %u run.pid)" "$(id -u)"
}

@test "an exporter started by bmc/daemonize is found, stopped and restarted" {
	need_root
	replaces_bmc exporter
}

@test "an exporter started by bmc/daemonize that has crashed is restarted" {
	need_root
	outlives_bmc exporter
}

@test "-p and -l on one file: a daemon started by bmc/daemonize is found, stopped and restarted" {
	replaces_bmc one_file
}

@test "-p and -l on one file: a daemon started by bmc/daemonize that has crashed is restarted" {
	outlives_bmc one_file
}
