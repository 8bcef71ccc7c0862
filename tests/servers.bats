#!/usr/bin/env bats
# Real servers, started as their users would start them.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # inner shells; a test is a subshell; helper.bash and "run" assign

load helper
load world

# ---- Redis: stays in the foreground, logs to stdout, wants its own directory ----

start_redis() {
	daemonize -c . -p redis.pid -o redis.log "$@" -- \
		redis-server --port 0 --unixsocket redis.sock --unixsocketperm 700 &&
		own "$(cat redis.pid)"
}

redis() { timeout 10 redis-cli -s redis.sock "$@"; }

answers() { expect "$(redis ping)" PONG; }

times_ready() { grep -c 'ready to accept connections' redis.log; }

@test "redis answers, and its pidfile names it" {
	need redis-server redis-cli
	start_redis
	expect "$(cat "/proc/$(cat redis.pid)/comm")" redis-server
	wait_until 10 answers
	expect "$(redis info server | grep ^process_id | tr -d '\r')" "process_id:$(cat redis.pid)"
	grep -q 'ready to accept connections' redis.log
}

@test "redis is not started twice, and the first one keeps running" {
	need redis-server redis-cli
	start_redis
	wait_until 10 answers
	fails 3 "daemonize: already running (pid $(cat redis.pid))" start_redis
	answers
	expect "$(times_ready)" 1
}

@test "kill \$(cat redis.pid) terminates redis, and -w starts it again as soon as it has exited" {
	need redis-server redis-cli
	start_redis
	wait_until 10 answers
	redis set key value
	first=$(cat redis.pid)
	kill "$(cat redis.pid)"
	start_redis -w 10
	gone "$first"
	wait_until 10 answers
	expect "$(redis get key)" value
	expect "$(times_ready)" 2
}

@test "redis can be started again at once after a crash" {
	need redis-server redis-cli
	start_redis
	wait_until 10 answers
	first=$(cat redis.pid)
	kill -SEGV "$first"
	wait_until 10 gone "$first"
	start_redis
	wait_until 10 answers
}

@test "redis under -u writes to a log that only root could open" {
	need_root
	need redis-server redis-cli
	cd nobody
	install -m 600 /dev/null "$T/redis.log"
	daemonize -c . -u nobody -p "$T/redis.pid" -o "$T/redis.log" \
		redis-server --port 0 --unixsocket redis.sock
	own "$(cat "$T/redis.pid")"
	wait_until 10 answers
	expect "$(stat -c %U redis.sock) $(stat -c %U "$T/redis.pid")" "nobody root"
	grep -q 'ready to accept connections' "$T/redis.log"
}

# ---- sshd: closes every fd that it finds, the one with the lock included ----

# In its own network, and with its own directory for privilege separation.
start_sshd() {
	unshare --net --mount sh -c 'mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec "$@"' sh \
		daemonize -p "$T/sshd.pid" -O "$T/sshd.log" /usr/sbin/sshd -D -e -f "$T/sshd_config"
}

listens() { expect "$(grep -c 'Server listening on 0.0.0.0' sshd.log)" "$1"; }

@test "sshd, which closes every fd, is found running, and can be started again after it exits" {
	need_root
	need unshare ssh-keygen /usr/sbin/sshd
	ssh-keygen -q -t ed25519 -N '' -f host_key
	echo "HostKey $T/host_key" >sshd_config
	echo 'PidFile none' >>sshd_config
	start_sshd
	wait_until 10 listens 1
	pid=$(cat sshd.pid)
	fails 3 "daemonize: already running (pid $pid)" start_sshd
	kill "$(cat sshd.pid)"
	wait_until 10 gone "$pid"
	start_sshd
	wait_until 10 listens 2
}

# ---- Each server of the manual's table: started until it is ready, asked, its log rotated, stopped ----

usual=()

# network: gives the test a network of its own, where every port is free.
network() {
	need_root
	need ip nsenter unshare
	: >network
	unshare --net=network ip link set lo up
	net=(nsenter --net=network) usual=(-p "$T/app.pid" -O "$T/app.log")
}

# start_server OPTION... [--] COMMAND...
start_server() {
	note daemonize "${usual[@]}" "$@"
	timeout 60 "${net[@]}" daemonize "${usual[@]}" "$@"
}

# ask PORT TEXT: the first line of the answer.
ask() {
	timeout 10 "${net[@]}" bash -c 'exec 9<>"/dev/tcp/127.0.0.1/$0" && printf "$1" >&9 && head -n 1 <&9' "$@" |
		tr -d '\r'
}

# rotate: rotates the log as logrotate(8) does at night.
rotate() {
	need logrotate
	example copytruncate | sed "s:/var/log/app.log:$T/app.log:" >logrotate.conf
	logrotate --force --state "$T/logrotate.state" logrotate.conf
}

# serves NAME [SIGNAL]: start_NAME starts it, ask_NAME succeeds if it is ready; SIGNAL stops it gracefully.
serves() {
	"start_$1"
	"ask_$1"
	# Process titles hide which test they belong to.
	# shellcheck disable=SC2046 # numbers
	own "$(cat app.pid)" $(pgrep -P "$(cat app.pid)")
	fails 3 "daemonize: already running (pid $(cat app.pid))" "start_$1"
	wait_until 10 test -s app.log
	rotate
	expect "$(zgrep -c . app.log.1*)" '[1-9]*'
	"ask_$1"
	expect "$(daemonize --status -p app.pid)" "running (pid $(cat app.pid))"
	daemonize --stop --signal "${2-TERM}" -t 30 -p app.pid
	nothing_runs
	# What it has written since stands at the beginning: a writer that kept its offset would leave a hole.
	[ -s app.log ]
	expect "$(tr -cd '\0' <app.log | wc -c)" 0
}

start_redis_server() {
	start_server --notify -c "$T" "$@" redis-server --port 6379 --supervised systemd
}
ask_redis_server() { expect "$(ask 6379 'PING\r\n')" +PONG; }

start_postgres() {
	start_server --notify -u nobody "$postgres/postgres" -D "$T/nobody/data" -k "$T/nobody"
}
ask_postgres() { expect "$(timeout 10 "$postgres/psql" -h "$T/nobody" -U nobody -Atc 'select 6 * 7' postgres)" 42; }

start_nginx() { start_server -s 0.2 nginx -e stderr -c "$T/nginx.conf" -g 'daemon off;'; }
ask_nginx() { expect "$(ask 8080 'GET / HTTP/1.0\r\n\r\n')" 'HTTP/1.1 204 No Content'; }

start_memcached() { start_server -s 0.2 -u nobody "$@" memcached -l 127.0.0.1 -vv; }
ask_memcached() { expect "$(ask 11211 'version\r\n')" 'VERSION *'; }

start_sshd_server() { start_server --notify /usr/sbin/sshd -D -e -f "$T/sshd_config"; }
ask_sshd_server() { expect "$(ask 22 '')" 'SSH-2.0-*'; }

start_dnsmasq() {
	start_server -s 0.2 dnsmasq -k -C /dev/null -x '' -u root -8 - -q -h -R -z -i lo -A /app.test/127.0.0.9
}
# A question of 26 bytes over TCP; its answer ends with the address.
ask_dnsmasq() {
	expect "$(timeout 10 "${net[@]}" bash -c 'exec 9<>/dev/tcp/127.0.0.1/53 &&
		printf "\0\x1a\x12\x34\1\0\0\1\0\0\0\0\0\0\3app\4test\0\0\1\0\1" >&9 && head -c 44 <&9' |
		tail -c 4 | od -An -tu1)" ' 127   0   0   9'
}

start_http() { start_server -s 0.5 -c "$T/pub" python3 -m http.server --bind 127.0.0.1 8000; }
ask_http() { expect "$(wait_until 10 connects 8000 && ask 8000 'GET / HTTP/1.0\r\n\r\n')" 'HTTP/1.0 200 OK'; }

# connects PORT: for a server that cannot say when it is ready.
connects() { "${net[@]}" bash -c ': <>"/dev/tcp/127.0.0.1/$0"' "$1"; }

@test "redis, in the foreground by default, says when it is ready" {
	network
	need redis-server
	serves redis_server
}

@test "PostgreSQL, in the foreground by default, says when it is ready" {
	network
	postgres=$(printf '%s\n' /usr/lib/postgresql/*/bin | tail -n 1)
	need "$postgres/initdb"
	as_nobody "$postgres/initdb" --no-sync -A trust -D nobody/data >/dev/null
	serves postgres INT
}

@test "nginx with 'daemon off;' serves" {
	network
	need nginx
	printf '%s\n' "pid $T/nginx.pid;" 'events { }' 'http {' 'access_log /dev/stdout;' \
		'server { listen 127.0.0.1:8080; return 204; }' '}' >nginx.conf
	serves nginx QUIT
}

@test "memcached, in the foreground without -d, serves" {
	network
	need memcached
	serves memcached
}

@test "sshd -D says when it is ready" {
	network
	# With its own /run, for privilege separation.
	net+=(unshare --mount sh -c 'mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec "$@"' sh)
	need ssh-keygen /usr/sbin/sshd
	ssh-keygen -q -t ed25519 -N '' -f host_key
	printf '%s\n' "HostKey $T/host_key" 'PidFile none' >sshd_config
	serves sshd_server
}

@test "dnsmasq -k serves" {
	network
	need dnsmasq
	serves dnsmasq
}

@test "Python's http.server, in the foreground by default, serves" {
	network
	need python3
	serves http INT
}

# ---- Restarts while others query it, and start it too ----

# others NAME: queries and starts it until $T/end exists. A start that is stopped before it is ready fails with 4.
others() {
	until [ -e end ]; do
		daemonize --status -p app.pid >>said || echo $? >>statuses
		"start_$1" --ok-if-running 2>/dev/null || echo "start $?" >>statuses
	done
}

# restarts NAME
restarts() {
	"start_$1"
	for n in 1 2 3; do
		others "$1" 3>&- &
		others[n]=$!
	done
	for _ in {1..5}; do
		daemonize --stop -t 30 -p app.pid
		"start_$1" --ok-if-running
	done
	: >end
	wait "${others[@]}"
	"ask_$1"
	own "$(cat app.pid)"
	daemonize --stop -t 30 -p app.pid
	nothing_runs
	expect "$(grep -vx -e 1 -e 3 -e 'start 4' statuses)" ""
	expect "$(grep -vx -e 'running (pid [0-9]*)' -e 'not running' -e 'not running, stale pidfile' said)" ""
}

@test "redis can be restarted while others query and start it" {
	network
	restarts redis_server
}

@test "memcached can be restarted while others query and start it" {
	network
	need memcached
	restarts memcached
}
