#!/usr/bin/env bats
# Wherever it is called from, the caller gets the truth at once, and the daemon outlives the caller.
# What the daemon inherits from odd callers is in detach.bats.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # inner shells; a test is a subshell; helper.bash assigns

load helper

# at_once COMMAND...: a command that would hang if the daemon held its streams.
at_once() { timeout 10 "$@"; }

# ---- cron ----

# What cron(8) gives a job: hardly any environment, a pipe, a session without a terminal.
cron_job() {
	(cd / && at_once setsid --wait env -i DAEMONIZE_TEST="$T" HOME=/ LOGNAME="$(id -un)" \
		PATH=/usr/bin:/bin SHELL=/bin/sh /bin/sh -c "$1" </dev/null 2>&1) | cat
}

@test "a cron job returns at once, has nothing to mail, and its daemon keeps running" {
	run -0 cron_job "'$T/bin/daemonize' -p '$T/app.pid' '$T/bin/target' dump '$report'"
	expect "$output" ""
	reported "$report"
	expect "$(cat app.pid)" "$pid"
	alive "$pid"
}

@test "a cron line with --ok-if-running silently keeps a daemon alive" {
	line="'$T/bin/daemonize' --ok-if-running -p '$T/app.pid' '$T/bin/target' dump '$report'"
	expect "$(cron_job "$line")" ""
	reported "$report"
	first=$pid
	expect "$(cron_job "$line")" ""
	expect "$(ours)" "$first"
	kill "$first"
	wait_until 10 gone "$first"
	rm "$report"
	expect "$(cron_job "$line")" ""
	reported "$report"
	[ "$pid" != "$first" ]
}

# ---- Shells ----

@test "x=\$(daemonize -P ...) is the daemon's PID" {
	run -0 at_once sh -c 'x=$(daemonize -P target dump "$0"); echo "$x"' "$report"
	reported "$report"
	expect "$output" "$pid"
}

@test "a daemon started by a subshell in the background keeps running" {
	at_once sh -c '(daemonize target dump "$0" &)' "$report"
	reported "$report"
	alive "$pid"
}

@test "a shell that waits for its children does not wait for the daemon" {
	at_once bash -c 'daemonize target dump "$0" & wait' "$report"
	reported "$report"
	alive "$pid"
}

@test "set -e stops a script at a refused start" {
	start -p app.pid
	run -3 sh -ec 'daemonize -p app.pid true; echo not reached'
	expect "$output" "daemonize: already running (pid $pid)"
}

@test "timeout(1) neither waits for the daemon nor kills it" {
	timeout 60 daemonize target dump "$report"
	reported "$report"
	alive "$pid"
}

@test "flock(1) does not pass its lock on to the daemon" {
	flock app.lock daemonize target dump "$report"
	reported "$report"
	flock --nonblock app.lock true
}

@test "xargs -P starts several in parallel" {
	printf '%s\n' a b c d | at_once xargs -P 4 -I @ daemonize -p @.pid target dump "$T/pub/@"
	for name in a b c d; do
		reported "pub/$name"
		expect "$(cat $name.pid)" "$pid"
	done
}

# ---- make ----

@test "make returns at once, and its jobserver's fds do not reach the daemon" {
	printf 'all:\n\t+daemonize target dump %s\n' "$report" >Makefile
	MAKEFLAGS='' at_once make -s -j 2 | cat
	reported "$report"
	expect "$(field 'fd.3')$(field 'fd.4')" ""
	alive "$pid"
}

@test "make reports a failed start" {
	printf 'all:\n\tdaemonize nosuch-command\n' >Makefile
	MAKEFLAGS='' run -2 make -s
	expect "$output" "*daemonize: *'nosuch-command'*Error 127*"
}

# ---- ssh: a real sshd, on the other end of a pipe instead of a network ----

# As root sshd insists on a directory in /run: it gets a /run of its own.
prepare_ssh() {
	need ssh ssh-keygen /usr/sbin/sshd unshare
	ssh-keygen -q -t ed25519 -N '' -f host_key
	ssh-keygen -q -t ed25519 -N '' -f user_key
	printf 'here %s\n' "$(cat host_key.pub)" >known_hosts
	cat >sshd_config <<-END
		HostKey $T/host_key
		AuthorizedKeysFile $T/user_key.pub
		StrictModes no
		UsePAM no
		AcceptEnv DAEMONIZE_TEST
	END
	cat >ssh_config <<-END
		HostKeyAlias here
		IdentityFile $T/user_key
		UserKnownHostsFile $T/known_hosts
		BatchMode yes
		LogLevel ERROR
		SendEnv DAEMONIZE_TEST
		ProxyCommand $T/connect
	END
	cat >connect <<-END
		#!/bin/sh
		[ -n "\$1" ] || [ "\$(id -u)" != 0 ] || exec unshare --mount "\$0" again
		[ -z "\$1" ] || { mount -t tmpfs none /run && mkdir -m 755 /run/sshd; } || exit
		exec /usr/sbin/sshd -i -f $T/sshd_config
	END
	chmod +x connect
}

# over_ssh OPTION... COMMAND
over_ssh() { at_once ssh -F ssh_config "$@" </dev/null; }

@test "ssh host daemonize returns at once, and the daemon outlives the connection" {
	prepare_ssh
	run -0 over_ssh here "$T/bin/daemonize -p $T/app.pid $T/bin/target dump $report"
	expect "$output" ""
	reported "$report"
	expect "$(cat app.pid)" "$pid"
	alive "$pid"
}

@test "ssh -t host daemonize returns at once, and the daemon outlives the terminal" {
	prepare_ssh
	run -0 over_ssh -tt here "tty; $T/bin/daemonize -p $T/app.pid $T/bin/target dump $report"
	expect "$output" "*/dev/pts/*" # a login shell may have more to say
	reported "$report"
	expect "$(field tty)" none
	alive "$pid"
}

@test "ssh host daemonize passes on the exit status and the message of a failure" {
	prepare_ssh
	fails 127 "daemonize: *'nosuch-command'*" over_ssh here "$T/bin/daemonize nosuch-command"
}

# ---- Containers ----

new_container=(unshare --pid --fork --mount-proc --kill-child --)

# container COMMAND...: in the new container that runs in the background.
container() { nsenter --target "$(pgrep -P $!)" --pid --mount --wd="$T" -- "$@"; }

@test "-f as a container's first process becomes the daemon, PID 1" {
	need_root
	need unshare
	"${new_container[@]}" daemonize -f -p app.pid target dump "$report" 3>&- &
	own $!
	reported "$report"
	expect "$pid" 1
	expect "$(cat app.pid)" 1
	expect "$(field tty)" none
}

@test "a container's first process cannot detach, since the container would end with it; the message suggests -f" {
	need_root
	need unshare
	for options in "-p app.pid -O app.log" "--ok-if-running -l app.lock" "-P --notify"; do
		# shellcheck disable=SC2086 # options
		fails 1 "daemonize: cannot detach: this is the first process of a PID namespace, which ends with it; use -f" \
			"${new_container[@]}" "$T/bin/daemonize" $options target dump "$report"
	done
	for file in app.pid app.log app.lock "$report"; do
		[ ! -e "$file" ]
	done
}

# bats test_tags=needs:zombies
@test "where nothing reaps zombies, a dead daemon does not block the next start" {
	need_root
	need unshare nsenter
	"${new_container[@]}" sh -c 'daemonize -p app.pid target dump "$0"; exec sleep 60' "$report" 3>&- &
	own $!
	reported "$report"
	expect "$(container cat app.pid)" "$pid"
	container kill -KILL "$pid"
	wait_until 10 container grep '^State:.Z' "/proc/$pid/status"
	rm "$report"
	container daemonize -p app.pid target dump "$report"
	container grep '^State:.Z' "/proc/$pid/status"
	dead=$pid
	reported "$report"
	[ "$pid" != "$dead" ]
}

@test "where nothing reaps zombies, a start that times out does not hang" {
	need_root
	need unshare nsenter
	"${new_container[@]}" sh -c ': >up; exec sleep 60' 3>&- &
	own $!
	wait_until 10 test -e up
	run -124 container timeout -s KILL 30 "$T/bin/daemonize" --notify -t 0.2 -p app.pid target dump "$report"
	expect "$output" "daemonize: gave up waiting: target is not ready after * s*"
	[ ! -e app.pid ]
}

@test "a container's first process learns why a start failed, and no pidfile stays" {
	need_root
	need unshare
	printf '\177ELF\0\0\0\0broken' >broken
	chmod +x broken
	run -0 "${new_container[@]}" sh -c 'daemonize -p app.pid ./broken; echo "status $?"; [ -e app.pid ] || echo "no pidfile"'
	expect "$output" "daemonize: *'./broken'*status 126*no pidfile"
}
