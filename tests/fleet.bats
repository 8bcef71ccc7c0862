#!/usr/bin/env bats
# bats file_tags=around
# Many hosts, controlled over ssh by pdsh and by Ansible as in the manual. A host is a real sshd with its own
# address, /run, /root, /srv and /var/log; they share the test's network.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # inner shells; a test is a subshell; helper.bash assigns

load helper
load world

# fleet NUMBER: boots that many hosts, web01 (127.0.0.1) and its neighbours, in a network of their own.
fleet() {
	need_root
	need ip pdsh ssh ssh-keygen unshare /usr/sbin/sshd
	hosts=$1 HOME=$T network=(nsenter --net=network) starts=()
	ssh-keygen -q -t ed25519 -N '' -f host_key
	ssh-keygen -q -t ed25519 -N '' -f user_key
	printf '%s\n' "HostKey $T/host_key" "AuthorizedKeysFile $T/user_key.pub" 'StrictModes no' 'UsePAM no' \
		'PidFile none' "SetEnv PATH=$PATH DAEMONIZE_TEST=$T" >sshd_config
	echo "* $(cat host_key.pub)" >known_hosts
	printf '%s\n' "IdentityFile $T/user_key" "UserKnownHostsFile $T/known_hosts" 'BatchMode yes' >ssh_config
	printf '%s\n' '#!/bin/sh' 'echo started' 'while :; do sleep 0.2; done' >server
	: >network
	unshare --net=network ip link set lo up
	for ((n = 1; n <= hosts; n++)); do
		name=$(printf 'web%02d' "$n")
		printf 'Host %s\nHostName 127.0.0.%d\n' "$name" "$n" >>ssh_config
		boot "127.0.0.$n" "$T/$name.pid" 3>&- &
		starts+=($!)
	done
	wait "${starts[@]}"
	export PDSH_SSH_ARGS_APPEND="-F $T/ssh_config"
}

# boot ADDRESS PIDFILE: boots a host.
boot() {
	T=$T "${network[@]}" unshare --mount sh -euc 'for directory in /run /root /srv /var/log; do
			mount -t tmpfs none $directory
		done
		mkdir -m 755 /run/sshd /srv/app
		install -m 755 "$T/server" /srv/app
		exec daemonize --notify -p "$2" -O "$2.log" /usr/sbin/sshd -D -e -f "$T/sshd_config" \
			-o "ListenAddress=$1"' sh "$@"
}

# here COMMAND...: runs it in the network of the hosts.
here() { timeout 60 "${network[@]}" "$@" </dev/null; }

# line_with TEXT: the manual's line that contains it.
line_with() { example "pdsh" | sed -e ':join; /\\$/ { N; s/\\\n *//; b join; }' | sed -n "s/^\\$ //; /$1/p"; }

# on_each PATTERN: each host has said this, and nothing else.
on_each() {
	expect "${#lines[@]}" "$hosts"
	for ((n = 0; n < hosts; n++)); do
		# shellcheck disable=SC2053
		expect "$(printf '%s\n' "${lines[@]}" | grep -c "^web$(printf %02d $((n + 1))): $1\$")" 1
	done
}

# servers: the PIDs of all the servers there are.
servers() { ours | xargs -r ps -o pid=,args= -p | awk '$2 " " $3 == "/bin/sh /srv/app/server" { print $1 }'; }

@test "pdsh starts, queries and stops a daemon on twenty hosts, with one line each" {
	fleet 20
	run -0 here sh -c "$(line_with 'server')"
	expect "$output" ""
	expect "$(servers | wc -l)" 20
	run -0 here sh -c "$(line_with '--status')"
	on_each 'running (pid [0-9]*)'
	expect "$(tr -d ')' <<<"$output" | cut -d ' ' -f 4 | sort -n)" "$(servers | sort -n)"
	run -3 here sh -c "$(line_with 'server')"
	expect "$(grep -c 'daemonize: already running (pid [0-9]*)$' <<<"$output")" 20
	run -0 here sh -c "$(line_with '--stop')"
	expect "$output$(servers)" ""
}

@test "the daemons outlive the connections, and the sshds that they came through" {
	fleet 3
	run -0 here ssh -F ssh_config web01 daemonize -P -p /run/app.pid /srv/app/server
	expect "$(servers)" "$output"
	run -0 here pdsh -S -R ssh -w 'web[01-03]' daemonize --ok-if-running -p /run/app.pid /srv/app/server
	expect "$output" ""
	daemonize --stop -p web01.pid -p web02.pid -p web03.pid
	run -255 here ssh -F ssh_config web01 true
	expect "$(servers | wc -l)" 3
}

@test "pdsh names the one host of many where the start fails, with the reason" {
	fleet 3
	here ssh -F ssh_config web02 rm /srv/app/server
	run -127 here pdsh -S -R ssh -w 'web[01-03]' daemonize -p /run/app.pid /srv/app/server
	expect "$(grep -v '^pdsh@' <<<"$output")" "web02: daemonize: cannot find '/srv/app/server'*"
	expect "$(servers | wc -l)" 2
}

# play OK CHANGED FAILED HOST...: runs the playbook, which has this effect on each of these.
play() {
	run here ansible-playbook -i web01,web02,web03 play.yml
	for host in "${@:4}"; do
		expect "$(grep "^$host *:" <<<"$output" | tr -s ' ')" "$host : ok=$1 changed=$2 * failed=$3 *"
	done
}

@test "Ansible starts it where it does not run, and reports truly what it changed" {
	need ansible-playbook
	fleet 3
	export ANSIBLE_SSH_COMMON_ARGS="-F $T/ssh_config" ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3 \
		ANSIBLE_PIPELINING=1
	example 'hosts: all' >play.yml
	play 1 1 0 web01 web02 web03
	expect "$(servers | wc -l)" 3
	play 1 0 0 web01 web02 web03
	expect "$(servers | wc -l)" 3
	here ssh -F ssh_config web01 'kill -KILL $(cat /run/app.pid)'
	here ssh -F ssh_config web02 'daemonize --stop -p /run/app.pid && rm /srv/app/server'
	play 1 1 0 web01
	expect "$(grep -c '^web02 *: ok=0 *changed=0 .* failed=1 ' <<<"$output")" 1
	expect "$output" "*cannot find '/srv/app/server'*"
	expect "$(servers | wc -l)" 2
	sed -i '/daemonize -s 1/ { N; s/daemonize .*/daemonize --stop -v -p \/run\/app.pid/; }; /failed_when/d
		s/changed_when: .*/changed_when: "'\''sent signal'\'' in app.stderr"/' play.yml
	play 1 1 0 web01 web03
	expect "$(servers)" ""
	play 1 0 0 web01 web02 web03
}
