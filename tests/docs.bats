#!/usr/bin/env bats
# bats file_tags=around
# Runs every example of the README and of the manual, word for word: each does what they say.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # other shells; a test is a subshell; helper.bash assigns

load helper
load world

# ---- What is to be run ----

# Examples that are more than single commands are tested as a whole: a text in the example, and the file that tests it.
elsewhere=(
	'BEGIN INIT INFO' sysv.bats
	'openrc-run' sysv.bats
	'Type=exec' systemd.bats
	'Type=forking' systemd.bats
	'pdsh' fleet.bats
	'hosts: all' fleet.bats
	'the port is already in use' docs.bats
	'copytruncate' docs.bats
	'done <.env' docs.bats
	'PATH=/usr/local/bin:/usr/bin:/bin' docs.bats
)

# Every command of the examples on standard input, on a line of its own.
each_command() {
	awk -v RS='\f\n' '{
		gsub(/\\\n[ \t]*/, "")
		gsub(/&&\n[ \t]*/, "\\&\\& ")
		prompts = /^[$#] /
		n = split($0, line, "\n")
		for (i = 1; i <= n; i++)
			if (line[i] != "" && (!prompts || sub(/^[$#] /, "", line[i])))
				print line[i]
	}'
}

# All of them, and those in the README's text.
commands() {
	examples | each_command
	grep -o '`\./daemonize [^`]*`' "$here/../README.md" | tr -d '`'
}

# command_with TEXT: the command that is TEXT, or the only one that contains it.
command_with() {
	local found

	found=$(commands | grep -Fx -e "$1" || commands | grep -F -e "$1") || expect "$1" "in the pages" || return
	found=$(sort -u <<<"$found")
	[[ $found != *$'\n'* ]] || expect "$found" "just one" || return
	echo "$found"
}

# ---- Where it is run ----

# Who has the prompt "$": an ordinary user, or root. The prompt "#" is always root's.
me=me

# A new world with an ordinary user and with the programs in the pages, which are all one script.
start_world() {
	[ -z "${world-}" ] || end_world
	new_world
	home=/home/me
	[ "$me" != root ] || home=/root
	echo 'me:x:4711:4711::/home/me:/bin/sh' | inside tee -a /etc/passwd >passwd
	echo 'me:x:4711:' | inside tee -a /etc/group >group
	inside install -d -o me -g me /home/me
	for file in "$home/app" "$home/server" /srv/app/app /srv/app/server; do
		write_app "$file" 'trap "echo heard HUP" HUP' "trap 'exit 0' TERM" \
			'echo started as $(id -un) in $PWD: "$@"' 'while :; do sleep 0.02; done'
	done
}

end_world() {
	kill -KILL "$world"
	wait_until 10 gone "$world"
	rm -rf world world.up clone
}

# write_app FILE LINE...
write_app() { printf '%s\n' '#!/bin/sh' "${@:2}" | write_inside "$1" 755; }

# as USER SCRIPT: runs it at home, as cron would: with hardly any environment.
as() {
	note as "$@"
	inside setpriv --reuid="$1" --regid="$1" --init-groups env -i DAEMONIZE_TEST="$T" LOGNAME="$1" \
		HOME="$(inside getent passwd "$1" | cut -d: -f6)" \
		SHELL=/bin/sh PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		sh -c 'cd && eval "$0"' "$2" </dev/null 3>&-
}

# try STATUS TEXT [USER]: runs the command that contains TEXT, with $before and $after added to it.
try() {
	run "-$1" --separate-stderr as "${3:-$me}" "${before-}$(command_with "$2")${after-}"
}

# is_up PIDFILE [NAME]: sets pid.
is_up() {
	pid=$(inside cat "$1") && expect "$(inside ps -o args= -p "$pid")" "*${2-/app}*"
}

is_dead() { run -1 inside daemonize --status -p "$1"; }

is_gone() { run -3 inside daemonize --status -p "$1"; }

silent() { expect "$output$stderr" ""; }

has_line() { grep -qx -e "$2" <(inside cat "$1"); }

# ---- The README's tasks ----

@test "README: a script starts the daemon, or exits" {
	for me in me root; do
		start_world
		after='; echo went on' try 0 '-O app.log ./app || exit'
		expect "$output$stderr" "went on"
		is_up "$home/app.pid"
		wait_until 10 has_line "$home/app.log" "started as $me in /:"
		after='; echo went on' try 3 '-O app.log ./app || exit'
		expect "$output" ""
		as "$me" 'daemonize --stop -p app.pid'
		write_app "$home/app" 'echo Oh' 'exit 9'
		after='; echo went on' try 4 '-O app.log ./app || exit'
		expect "$output$stderr" "daemonize: ./app exited with status 9 after * s"$'\n    Oh'
	done
}

@test "README: a script may run twice" {
	for me in me root; do
		start_world
		try 0 'daemonize --ok-if-running -p app.pid ./app'
		is_up "$home/app.pid"
		first=$pid
		try 0 'daemonize --ok-if-running -p app.pid ./app'
		silent
		is_up "$home/app.pid"
		expect "$pid" "$first"
	done
}

@test "README: a crontab line keeps it running" {
	for me in me root; do
		start_world
		run_cron_line '-p $HOME/app.pid'
		is_up "$home/app.pid"
		first=$pid
		run_cron_line '-p $HOME/app.pid'
		is_up "$home/app.pid"
		expect "$pid" "$first"
		inside kill -KILL "$pid"
		wait_until 10 is_dead "$home/app.pid"
		run_cron_line '-p $HOME/app.pid'
		is_up "$home/app.pid"
	done
}

# run_cron_line TEXT [USER [PATH]]: as cron(8) does.
run_cron_line() {
	line=$(command_with "$1")
	expect "$line" '[*] [*] [*] [*] [*] *'
	run -0 --separate-stderr as "${2:-$me}" "${3:-PATH=/usr/bin:/bin}; ${line#* * * * * }"
	silent
}

@test "README: it is restarted after a crash" {
	for me in me root; do
		start_world
		try 0 'daemonize --restart 1 -p app.pid -O app.log ./app'
		silent
		is_up "$home/app.pid" 'daemonize: keeper of pid '
		inside pkill -KILL -P "$pid"
		wait_until 10 started_twice
		inside daemonize --stop -p "$home/app.pid"
		is_gone "$home/app.pid"
	done
}
started_twice() { [ "$(inside grep -c '^started as' "$home/app.log")" = 2 ]; }

@test "README: the shell gets its PID" {
	for me in me root; do
		start_world
		after='; cat /proc/$pid/comm' try 0 'pid=$(daemonize -P ./app)'
		expect "$output" app
	done
}

@test "README: it runs as another user" {
	start_world
	try 0 '-O /var/log/app.log /srv/app/app' root
	is_up /run/app.pid
	wait_until 10 has_line /var/log/app.log 'started as www-data in /:'
}

@test "README: it runs in its own directory" {
	start_world
	try 0 'daemonize -c /srv/app' root
	is_up /run/app.pid
	expect "$(inside readlink "/proc/$pid/cwd")" /srv/app
}

@test "README: Redis says that it is ready" {
	need redis-server redis-cli
	for me in me root; do
		start_world
		after='; redis-cli ping' try 0 'daemonize --notify -t 30 -p redis.pid'
		expect "$output" PONG
		is_up "$home/redis.pid" redis-server
	done
}

@test "README: it is up when it answers" {
	need curl python3
	for me in me root; do
		start_world
		after='; curl -fsI http://localhost:8000/' try 0 'curl -fs http://localhost:8000/'
		expect "$output" 'HTTP/1.0 200 OK*'
		is_up "$home/www.pid" http.server
	done
}

@test "README: it is asked for its status, signalled, and stopped" {
	for me in me root; do
		start_world
		try 3 'daemonize --status -v -p app.pid'
		as "$me" 'daemonize -p app.pid -O app.log ./app'
		is_up "$home/app.pid"
		try 0 'daemonize --status -v -p app.pid'
		expect "$output" "running (pid $pid)*$me*"
		wait_until 10 has_line "$home/app.log" "started as $me in /:"
		try 0 'daemonize --signal HUP -p app.pid'
		silent
		wait_until 10 has_line "$home/app.log" 'heard HUP'
		try 0 'daemonize --stop --kill-after 20 -p app.pid'
		silent
		is_gone "$home/app.pid"
	done
}

@test "README: it is stopped by force" {
	for me in me root; do
		start_world
		write_app "$home/app" 'trap "" TERM' 'echo started' 'while :; do sleep 0.02; done'
		as "$me" 'daemonize -p app.pid -O app.log ./app'
		wait_until 10 has_line "$home/app.log" started
		run -0 as "$me" "$(command_with '--kill-after 20 -p app.pid' | sed 's/20/0.1/')"
		is_gone "$home/app.pid"
	done
}

@test "README: it is stopped by another signal" {
	for me in me root; do
		start_world
		write_app "$home/app" 'trap "" TERM' 'trap "echo heard QUIT; exit" QUIT' 'while :; do sleep 0.02; done'
		as "$me" 'daemonize -p app.pid -O app.log ./app'
		try 0 '--signal QUIT -t 60'
		silent
		is_gone "$home/app.pid"
		has_line "$home/app.log" 'heard QUIT'
	done
}

@test "README: it is stopped with all its descendants" {
	for me in me root; do
		start_world
		write_app "$home/app" 'tail -f /dev/null &' 'setsid tail -f /dev/null &' 'echo started' 'wait'
		as "$me" 'daemonize -p app.pid -O app.log ./app'
		wait_until 10 has_line "$home/app.log" started
		try 0 'daemonize --stop --tree -p app.pid'
		silent
		is_gone "$home/app.pid"
		none_runs tail
	done
}

@test "manual: a pipeline runs as a daemon, and is stopped as a whole" {
	for me in me root; do
		start_world
		try 0 './app | grep error'
		is_up "$home/app.pid" sh
		try 0 'daemonize --stop --tree -p app.pid'
		silent
		is_gone "$home/app.pid"
		none_runs app
		none_runs grep
	done
}

@test "README: it is restarted" {
	for me in me root; do
		start_world
		as "$me" 'daemonize -p app.pid ./app'
		is_up "$home/app.pid"
		first=$pid
		try 0 'daemonize --stop -p app.pid && daemonize -p app.pid ./app'
		silent
		is_up "$home/app.pid"
		[ "$pid" != "$first" ]
		only_runs app "$pid"
	done
}

@test "README: it starts when the old one has exited" {
	for me in me root; do
		start_world
		as "$me" 'daemonize -p app.pid ./app'
		is_up "$home/app.pid"
		first=$pid
		try 0 'daemonize -w 60 -p app.pid ./app' &
		wait_until 10 inside pgrep -f 'daemonize -w'
		inside kill "$first"
		wait $!
		is_up "$home/app.pid"
		[ "$pid" != "$first" ]
	done
}

@test "README: several are started, and stopped in parallel" {
	for me in me root; do
		start_world
		try 0 'for n in 1 2 3'
		for n in 1 2 3; do
			is_up "$home/app$n.pid" "app $n"
		done
		try 0 '-p app?.pid'
		silent
		for n in 1 2 3; do
			is_gone "$home/app$n.pid"
		done
		none_runs app
	done
}

@test "README: it logs to syslog" {
	need busybox logger
	for me in me root; do
		start_world
		inside busybox syslogd -n -O /var/log/messages 3>&- &
		wait_until 10 inside test -S /dev/log
		try 0 '|logger -t app'
		is_up "$home/app.pid"
		wait_until 10 inside grep -q "app: started as $me in /:" /var/log/messages
	done
}

@test "README: it runs under a supervisor, without a fork" {
	for me in me root; do
		start_world
		write_app "$home/app" 'echo $$ $PWD'
		before='echo $$; exec ' try 0 'daemonize -f -O - ./app'
		expect "${lines[1]}" "${lines[0]} /"
	done
}

@test "README: it gets a lower priority" {
	for me in me root; do
		start_world
		try 0 'daemonize -p app.pid nice -n 5 /srv/app/app'
		is_up "$home/app.pid" /srv/app/app
		expect "$(inside ps -o ni= -p "$pid")" "*5"
	done
}

@test "README: logrotate copies its log and empties it, while it runs" {
	need logrotate
	start_world
	example copytruncate | write_inside /etc/logrotate.d/app
	write_app /srv/app/app 'trap "echo heard HUP" HUP' 'echo started' 'while :; do sleep 0.02; done'
	as root 'daemonize -p /run/app.pid -O /var/log/app.log /srv/app/app'
	wait_until 10 has_line /var/log/app.log started
	run -0 inside logrotate --force --state /run/logrotate /etc/logrotate.d/app
	expect "$output" ""
	expect "$(inside zcat /var/log/app.log.1.gz)" started
	as root 'daemonize --signal HUP -p /run/app.pid'
	wait_until 10 has_line /var/log/app.log 'heard HUP'
	expect "$(inside head -n 1 /var/log/app.log)" 'heard HUP'
}

# ---- The README's transcript ----

@test "README: the transcript is what a shell really prints" {
	need python3 setsid ss
	transcript=$(example 'the port is already in use')
	# A slow machine may need longer than -s to fail. What varies is left out, and the line "..." stands for any.
	shown=$(sed -E '/^\$/d; s/[0-9.]+ s$/0 s/; s/[][*?\]/\\&/g; s/^ +\.\.\.$/*/' <<<"$transcript")
	for me in me root; do
		start_world
		as "$me" "$(sed -n '1s/^\$ \(.*\)&.*/\1/p' <<<"$transcript")" 3>&- &
		wait_until 10 inside sh -c 'ss -ltn | grep -q 127.0.0.1:8000'
		run -0 as "$me" "exec 2>&1; $(sed -n '2,$s/^\$ //p' <<<"$transcript" | sed 's/ -s 3 / -s 60 /')"
		expect "$(sed -E 's/[0-9.]+ s$/0 s/' <<<"$output")" "$shown"
	done
}

# ---- Its pictures ----

@test "README: the picture of a terminal shows what failed starts really print" {
	need python3
	start_world
	run -0 inside env PATH=/usr/bin:/bin DAEMONIZE=/usr/local/bin/daemonize "$here/pictures/terminal"
	python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.stdin)' <<<"$output"
	shown() { grep -E '>(\$|daemonize:|\[exit)' | sed 's/[0-9.]* s\b/0 s/; s/pid [0-9]*/pid 0/'; }
	expect "$(shown <<<"$output" | wc -l)" 15
	expect "$(shown <<<"$output" | sed 's/y="[0-9]*"//')" "$(shown <"$here/pictures/failed-start.svg" | sed 's/y="[0-9]*"//; s/[][*?\]/\\&/g')"
}

@test "README: the chart shows the published figures" {
	need python3
	"$here/pictures/chart" <"$here/README.md" >chart.svg
	python3 -c 'import xml.dom.minidom; xml.dom.minidom.parse("chart.svg")'
	cmp chart.svg "$here/pictures/speed.svg"
	run -1 "$here/pictures/chart" <"$here/../README.md"
}

# ---- The README's builds ----

# The sources in the home of $me, and a compiler that is in a hurry.
clone() {
	need cc make
	start_world
	mkdir clone
	tar -C "$here/.." --exclude ./.git --exclude ./tests/debs -cf - . | tar -xf - -C clone
	mkdir clone/tests/debs
	make -s -C clone clean
	inside mv "$T/clone" "$home/clone"
	inside chown -R "$me:" "$home/clone"
	stub cc "exec $(command -v cc) \"\$@\" -O0"
	before="cd $home/clone || exit; "
}

# stub NAME LINE...: a program that PATH has before the real one.
stub() { write_app /usr/local/bin/"$1" "${@:2}"; }

@test "README: the quick start works" {
	for me in me root; do
		clone
		try 0 'make && ./daemonize'
		is_up "$home/clone/clock.pid" 'while date'
		wait_until 10 inside test -s "$home/clone/clock.log"
		try 0 './daemonize --status -v'
		expect "$output" "running (pid $pid)*"
		try 0 './daemonize --stop'
		silent
		is_gone "$home/clone/clock.pid"
	done
}

@test "README: the test suite is set up and run" {
	for me in me root; do
		clone
		stub bats 'echo bats "$@"' 'for last; do :; done' '[ -x daemonize ] && [ -x tests/target ] && [ -e "$last" ]'
		try 0 'tests/setup && make check' root
		expect "${lines[-1]}" "bats*tests"
		try 0 'bats tests/fds.bats'
		expect "$output" "bats tests/fds.bats"
		[ -e "$here/fds.bats" ]
	done
}

@test "README: make, make lint and make fuzz work" {
	for me in me root; do
		clone
		try 0 'make     '
		run -0 inside "$home/clone/daemonize" --version
		for tool in clang-format clang-tidy cppcheck gcc mandoc shellcheck; do
			stub $tool 'exit 0'
		done
		try 0 'make lint'
		expect "$output" "lint: clang-format*lint: mandoc"
		stub clang 'while [ "$1" != -o ]; do shift; done' 'printf "#!/bin/sh\n" >"$2" && chmod 755 "$2"'
		try 0 'make fuzz'
		expect "${lines[-1]}" "ok *"
	done
}

@test "README: make static needs no shared libraries" {
	need musl-gcc
	for me in me root; do
		clone
		stub musl-gcc "exec $(command -v musl-gcc) \"\$@\" -O0"
		try 0 'make static'
		run -0 inside "$home/clone/daemonize" --version
		expect "$(grep -c ld-musl "/proc/$world/root$home/clone/daemonize")" 0
	done
}

@test "README: it is installed for all and uninstalled, and installed for one user" {
	for me in me root; do
		clone
		inside rm /usr/local/bin/daemonize
		try 0 'make install    ' root
		run -0 inside /usr/local/bin/daemonize --version
		inside test -e /usr/local/share/man/man1/daemonize.1
		try 0 'make uninstall' root
		expect "$(inside find /usr/local -path '*daemonize*' -type f)" ""
		try 0 'make install PREFIX'
		run -0 inside "$home/.local/bin/daemonize" --version
	done
}

# ---- The manual ----

@test "manual: a server is started, asked for its status, and stopped" {
	for me in me root; do
		start_world
		try 0 'daemonize -s 1 -p app.pid -O app.log ./server --port 8080'
		silent
		is_up "$home/app.pid" 'server --port 8080'
		try 0 'daemonize --status -v -p app.pid'
		expect "$output" "running (pid $pid)*server --port 8080*"
		try 0 'daemonize --stop -p app.pid'
		is_gone "$home/app.pid"
	done
}

@test "manual: a server that survives two seconds runs as another user in its own directory" {
	start_world
	write_app /srv/app/server 'sleep 1.5' 'exit 9'
	try 4 '-u www-data -c /srv/app' root
	write_app /srv/app/server 'echo $(id -un) in $PWD' 'exec sleep 60'
	try 0 '-u www-data -c /srv/app' root
	is_up /run/app.pid 'sleep 60'
	has_line /var/log/app.log 'www-data in /srv/app'
}

@test "manual: a crontab line keeps it running" {
	start_world
	path=$(example 'PATH=/usr/local/bin:/usr/bin:/bin' | head -n 1)
	run_cron_line 'ok-if-running -p /run/app.pid /srv/app/server' root "$path"
	is_up /run/app.pid /srv/app/server
	first=$pid
	run_cron_line 'ok-if-running -p /run/app.pid /srv/app/server' root "$path"
	is_up /run/app.pid /srv/app/server
	expect "$pid" "$first"
}

@test "manual: Redis is ready for connections" {
	need redis-server redis-cli
	start_world
	after='; redis-cli ping' try 0 '-O /var/log/redis.log' root
	expect "$output" PONG
	is_up /run/redis.pid redis-server
	wait_until 10 inside grep -q 'eady to accept connections' /var/log/redis.log
}

@test "manual: servers are ready when a command says so" {
	need curl nginx pg_isready redis-server redis-cli
	start_world
	write_inside /etc/nginx/conf.d/test.conf <<<'server { listen 8080; location / { return 200 served; } }'
	after='; curl -fs http://localhost:8080/' try 0 'curl -fs http://localhost:8080/' root
	expect "$output" served
	is_up /run/nginx.pid nginx
	start_world
	postgres=$(command_with 'pg_isready' | grep -o '/[^ ]*/postgres ')
	inside install -d -o postgres /run/postgresql /var/lib/postgresql/data
	as postgres "${postgres%/postgres *}/initdb --no-sync -A trust -D /var/lib/postgresql/data"
	after='; psql -U postgres -Atc "select 6 * 7"' try 0 'pg_isready' root
	expect "$output" 42
	is_up /run/postgres.pid postgres
	start_world
	after='; redis-cli -s x.sock ping' try 0 'redis-cli -s x.sock'
	expect "$output" PONG
	is_up "$home/redis.pid" redis-server
}

@test "manual: a server is ready when its log says so, or when its socket exists" {
	start_world
	write_app "$home/server" 'sleep 0.5' 'echo Started >&2' 'exec sleep 60'
	before='echo Started >app.log; ' after='; cat app.log' try 0 'grep -q Started app.log'
	expect "$output" Started
	is_up "$home/app.pid" 'sleep 60'
	as me 'daemonize --stop -p app.pid'
	need python3
	write_app "$home/server" 'sleep 0.5' \
		'exec python3 -c "import socket, time; socket.socket(socket.AF_UNIX).bind(\"app.sock\"); time.sleep(60)"'
	before='touch app.sock; ' after='; ls -l app.sock' try 0 'test -S app.sock'
	expect "$output" 's*'
	is_up "$home/app.pid" python3
}

@test "manual: it is stopped, by force if need be, and started again" {
	start_world
	as root 'daemonize -p /run/app.pid /srv/app/server'
	is_up /run/app.pid /srv/app/server
	first=$pid
	try 0 '--kill-after 20 -p /run/app.pid' root
	is_up /run/app.pid /srv/app/server
	[ "$pid" != "$first" ]
}

@test "manual: it is kept running where there is no service manager" {
	for me in me root; do
		start_world
		try 0 'daemonize --restart 1 -p app.pid -O app.log ./server'
		silent
		is_up "$home/app.pid" 'daemonize: keeper of pid '
		inside pkill -KILL -P "$pid"
		wait_until 10 grep -q 'killed by signal 9 (KILL) after .* s; starting it again in 1.00 s' <(inside cat "$home/app.log")
		wait_until 10 started_twice
	done
}

# write_version N: the next one to be deployed. It records that it has started, and whether another was still running.
write_version() {
	write_app "$home/app.new" "trap 'trap \"\" TERM; rm $home/running; exit' TERM" 'set -C' \
		"{ true >$home/running; } 2>/dev/null || echo another runs >>$home/trouble" \
		"echo $1 >>$home/versions" 'while :; do sleep 0.02; done'
}

is_version() { expect "$(inside tail -n 1 "$home/versions")" "$1"; }

# while_started STATUSES LINE COMMAND...: meanwhile others start it again and again, and get no other exit statuses.
while_started() {
	write_version 0
	as "$me" 'mv app.new app'
	for n in 1 2; do
		as "$me" "PATH=/usr/local/bin:/usr/bin:/bin; until [ -e $T/end ]; do $2 || echo \$?; done" >"others.$n" 2>&1 3>&- &
		others[n]=$!
	done
	wait_until 10 is_version 0
	"${@:3}"
	: >end
	wait "${others[@]}"
	rm end
	expect "$(sort -u others.* | grep -vxE "$1")" ""
	expect "$(inside sh -c "cat $home/trouble 2>&1")" '*No such file*'
	inside sort -nc "$home/versions"
	as "$me" 'daemonize --stop -p app.pid'
}

# deploy TIMES COMMAND
deploy() {
	for ((n = 1; n <= $1; n++)); do
		write_version "$n"
		try 0 "$2"
		silent
		wait_until 10 is_version "$n"
	done
}

@test "manual: a new version is deployed while cron may start it, too" {
	need flock
	for me in me root; do
		start_world
		while_started 0 'daemonize --ok-if-running -p app.pid ./app' deploy 5 "$(command_with '-p app.pid && daemonize --ok-if-running')"
		start_world
		line=$(command_with 'flock -n')
		expect "$line" '[*] [*] [*] [*] [*] *'
		while_started 1 "${line#* * * * * }" deploy 2 "$(command_with 'flock deploy.lock')"
	done
}

# contain LINE...: runs a server of these lines in a container with the manual's entry point; sets first and container.
contain() {
	write_app /srv/app/server "$@"
	words=$(command_with 'ENTRYPOINT' | sed 's/^ENTRYPOINT//' | tr -d '[],')
	{ eval "inside unshare --pid --fork --mount-proc --kill-child $words" || exit; } >container.log 2>&1 3>&- &
	container=$!
	own "$container"
	wait_until 10 grep -q ^started container.log
	wait_until 10 inside pgrep -f '^daemonize: keeper of pid'
	first=$(inside pgrep -f '^daemonize: keeper of pid')
}

is_up_again() { expect "$(grep -c ^started container.log)" 2; }

# has_child: the first process has one, and no zombies.
has_child() { expect "$(inside ps -o stat=,args= --ppid "$first")" "[^Z]*/srv/app/server"; }

ends_with() {
	inside kill -TERM "$first"
	wait "$container" || status=$?
	expect "$status" "$1"
}

@test "manual: a container's first process reaps orphans, restarts the server, and exits with its status" {
	need unshare
	start_world
	contain 'trap "exit 7" TERM' '(sh -c "sleep 0.2; : >/orphan.ended" &)' 'echo started' 'while :; do sleep 0.02; done'
	wait_until 10 inside test -e /orphan.ended
	wait_until 10 has_child
	inside pkill -KILL -P "$first"
	wait_until 10 is_up_again
	ends_with 7
	contain 'echo started' 'exec sleep 60'
	ends_with 143
}

@test "manual: a shell variable gets the PID" {
	for me in me root; do
		start_world
		after='; cat /proc/$pid/comm' try 0 'pid=$(daemonize -P sleep 60)'
		expect "$output" sleep
	done
}

@test "manual: it gets a lower priority" {
	for me in me root; do
		start_world
		try 0 'nice -n 5 /srv/app/server'
		is_up "$home/app.pid" /srv/app/server
		expect "$(inside ps -o ni= -p "$pid")" "*5"
	done
}

@test "manual: it has a second log" {
	for me in me root; do
		start_world
		write_app /srv/app/server 'echo first' 'echo second >&3' 'exec sleep 60'
		try 0 '3>>access.log'
		wait_until 10 has_line "$home/access.log" second
		has_line "$home/app.log" first
	done
}

@test "manual: a server is up when its port is open, and a Python script's output is logged at once" {
	need memcached python3
	start_world
	after='; bash -c "exec 9<>/dev/tcp/localhost/11211 && echo version >&9 && head -n 1 <&9"' try 0 '/dev/tcp/localhost/11211'
	expect "$output" "VERSION *"
	is_up "$home/memcached.pid" memcached
	printf '%s\n' 'import time' 'print("hello")' 'time.sleep(60)' | write_inside "$home/app.py"
	try 0 'PYTHONUNBUFFERED=1'
	is_up "$home/app.pid" app.py
	wait_until 10 has_line "$home/app.log" hello
}

@test "manual: it gets its environment from a file, with blanks and quotes" {
	start_world
	printf '%s\n' '# A comment' '' 'BLANKS=one  two ' "QUOTES=it's \"so\" \$HOME \\n" 'EMPTY=' | write_inside "$home/.env"
	printf 'LAST=a=b' | inside tee -a "$home/.env" >written
	write_app "$home/app" 'env >told' 'exec sleep 60'
	example 'done <.env' | sed 's/ -p app.pid/ -c .&/' | write_inside "$home/start" 755
	as me ./start
	is_up "$home/app.pid" 'sleep 60'
	wait_until 10 has_line "$home/told" LAST=a=b
	has_line "$home/told" 'BLANKS=one  two '
	has_line "$home/told" EMPTY=
	inside grep -qxF "QUOTES=it's \"so\" \$HOME \\n" "$home/told"
}

@test "manual: another user's daemon gets a priority that only root may set" {
	start_world
	try 0 'nice -n -5 daemonize' root
	is_up /run/app.pid /srv/app/server
	expect "$(inside ps -o ni=,user= -p "$pid")" '*-5 www-data'
}

@test "manual: another user's daemon gets a port below 1024" {
	need curl python3
	start_world
	try 0 'python3 -m http.server 80' root
	is_up /run/www.pid http.server
	wait_until 10 inside curl -fsI http://localhost:80/
	expect "$(inside ps -o user= -p "$pid")" www-data
	expect "$(inside grep CapEff "/proc/$pid/status")" '*0000000000000400'
}

@test "manual: it has a directory for its logs" {
	start_world
	write_app /srv/app/server 'echo one >>/var/log/app/other.log' 'echo two' 'exec sleep 60'
	try 0 '-O /var/log/app/app.log' root
	is_up /run/app.pid 'sleep 60'
	has_line /var/log/app/app.log two
	has_line /var/log/app/other.log one
}

@test "manual: its log is rotated by renaming it" {
	start_world
	write_app "$home/server" 'trap "echo HUP" HUP' 'echo " began"' 'while :; do sleep 0.02; done'
	try 0 '|while IFS= read'
	is_up "$home/app.pid" server
	wait_until 10 has_line "$home/app.log" ' began'
	as me 'mv app.log app.log.1; daemonize --signal HUP -p app.pid'
	wait_until 10 has_line "$home/app.log" HUP
	expect "$(inside cat "$home/app.log.1")" ' began'
}

# ---- The pages themselves ----

@test "daemonize(1) is short, and its examples come early" {
	need mandoc
	mandoc -O width=80 "$here/../man/daemonize.1" >page
	[ "$(wc -l <page)" -le 350 ]
	[ "$(col -b <page | sed -n '/^EXAMPLES/=')" -le 40 ]
}

# ---- All of them ----

@test "every example is run" {
	sed -En "s/.*(try [0-9]+|run_cron_line|command_with) '([^']+)'.*/\2/p" "$here/docs.bats" | sort -u >texts
	while IFS= read -r text; do
		found=$(command_with "$text") || { echo "$found" && false; }
		echo "$found" >>run
	done <texts
	for ((i = 0; i < ${#elsewhere[@]}; i += 2)); do
		example "${elsewhere[i]}" | each_command >>run
		grep -qF "${elsewhere[i]}" "$here/${elsewhere[i + 1]}"
		grep -q 'example ' "$here/${elsewhere[i + 1]}"
	done
	[ "$(commands | wc -l)" -ge 80 ]
	expect "$(commands | grep -Fxv -f run)" ""
}
