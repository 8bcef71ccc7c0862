#!/usr/bin/env bats
# Real servers, started as their users would.
# shellcheck disable=SC2030,SC2031,SC2154 # a test is a subshell; helper.bash and "run" assign

load helper

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

@test "redis is not started twice, and the first one goes on" {
	need redis-server redis-cli
	start_redis
	wait_until 10 answers
	fails 3 "daemonize: already running (pid $(cat redis.pid))" start_redis
	answers
	expect "$(times_ready)" 1
}

@test "redis ends on kill \$(cat redis.pid), and starts again as soon as it has" {
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

# In a network of its own, and with a directory of its own for its privilege separation.
start_sshd() {
	unshare --net --mount sh -c 'mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec "$@"' sh \
		daemonize -p "$T/sshd.pid" -O "$T/sshd.log" /usr/sbin/sshd -D -e -f "$T/sshd_config"
}

listens() { expect "$(grep -c 'Server listening on 0.0.0.0' sshd.log)" "$1"; }

@test "sshd, which closes every fd, is found running, and can be started again when it is not" {
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
