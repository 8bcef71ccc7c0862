# What every test file loads. Each test has its own directory $T, which anyone may enter, with copies of
# the program and of the target in $T/bin (first in PATH), $T/nobody, which belongs to nobody, and $T/pub,
# where any user may write. $report is where "start" has the target report.
# Whatever a test starts carries DAEMONIZE_TEST=$T in its environment; teardown kills it, by PID.
# Files tagged "around" test what is around the program, and do not depend on its build.
# shellcheck shell=bash

bats_require_minimum_version 1.5.0
BATS_TEST_TIMEOUT=${BATS_TEST_TIMEOUT:-120}

here=${BASH_SOURCE[0]%/*}

setup() {
	local program=${DAEMONIZE:-$here/../daemonize} target=${TARGET:-$here/target}

	T=$(mktemp -d "${TMPDIR:-/tmp}/daemonize.XXXXXX")
	T=$(cd "$T" && pwd -P)
	umask 022
	mkdir "$T/bin" "$T/nobody" "$T/pub"
	chmod 755 "$T"
	chmod 1777 "$T/pub"
	cp "$program" "$T/bin/daemonize"
	cp "$target" "$T/bin/target"
	# The same PATH for every caller, with sbin for the servers. Messages would name a directory that only root may search.
	export DAEMONIZE_TEST=$T PATH=$T/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	caller=() owned=() report=$T/pub/report
	cd "$T" || return
	if is_root; then chown nobody nobody; else export XDG_RUNTIME_DIR=$T/nobody; fi
}

# shellcheck disable=SC2154 # output, stderr and status are those of the last "run"
teardown() {
	if [ -z "${BATS_TEST_COMPLETED-}" ]; then
		sed 's/^/ran: /' "$T/.commands" 2>/dev/null || true
		printf 'status %s\nstdout: %s\nstderr: %s\n' "${status-}" "${output-}" "${stderr-}"
	fi
	end_all
	cd /
	[[ $(</proc/mounts) != *" $T/"* ]] ||
		awk -v t="$T/" 'index($2, t) == 1 { print $2 }' /proc/mounts | xargs -r umount
	rm -rf "$T"
}

is_root() { [ "$EUID" = 0 ]; }

# lacks NAME: the program under test was built for, or runs on, a system without it: LACKS=proc,subreaper.
# Tests of what cannot be promised there at all are tagged needs:NAME; whatever sets LACKS leaves them out.
lacks() { [[ ,${LACKS-}, == *,$1,* ]]; }

# known HOW [ELSE]: how a message describes a death. Without a subreaper, only init knows the details.
known() { if lacks subreaper; then echo "${2-ended}"; else echo "$1"; fi; }

# ---- Processes ----

# The PIDs of what this test has started and is still running. A server that shows its state in ps
# overwrites its environment with it; then a path on its command line identifies it.
ours() {
	local path pid
	local -A seen=()

	for path in $(grep -lsz "^DAEMONIZE_TEST=$T\$" /proc/[0-9]*/environ
		grep -lsF "$T/" /proc/[0-9]*/cmdline) "${owned[@]/#//proc/}"; do
		pid=${path#/proc/} pid=${pid%%/*}
		[ -z "${seen[$pid]-}" ] && alive "$pid" && [ "$pid" != "$$" ] && echo "$pid"
		seen[$pid]=yes
	done
	return 0
}

# own PID: a process of this test that has lost its environment.
own() { owned+=("$@"); }

nothing_runs() { expect "$(ours)" ""; }

alive() { [ -e "/proc/$1" ] && ! gone "$1"; }

# A zombie is gone, though kill -0 calls it alive; but not for a program that cannot tell.
gone() {
	if lacks zombies; then
		[ ! -e "/proc/$1" ]
		return
	fi
	! grep -qsE '^State:[[:space:]]+[^ZX[:space:]]|^Threads:[[:space:]]+([2-9]|[0-9]{2})' "/proc/$1/status"
}

end_all() {
	local pids

	pids=$(ours)
	[ -n "$pids" ] || return 0
	# shellcheck disable=SC2086 # a list
	kill -KILL $pids 2>/dev/null || true
	wait_until 10 nothing_runs
}

# ---- Starting ----

note() { printf '%q ' "$@" >>"$T/.commands" && echo >>"$T/.commands"; }

daemonize() {
	note daemonize "$@"
	command daemonize "$@"
}

# from OPTION...: the next starts come from such an odd caller ("target with").
from() { caller=(target with "$@" --); }

# start OPTION...: daemonizes the target and waits for its report; sets pid.
start() {
	note "${caller[@]}" daemonize "$@" target dump "$report"
	rm -f "$report" # of an earlier start
	"${caller[@]}" "$T/bin/daemonize" "$@" target dump "$report" && reported "$report"
}

# reported FILE: waits for a target's report; sets pid.
reported() { wait_until 30 test -e "$1" && pid=$(field pid "$1"); }

# field NAME [FILE]: the value(s) of NAME in a report.
field() {
	awk -v key="$1=" 'index($0, key) == 1 { print substr($0, length(key) + 1) }' "${2:-$report}"
}

as_nobody() {
	note as_nobody "$@"
	if is_root; then
		XDG_RUNTIME_DIR=$T/nobody \
			setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups -- "$@"
	else
		command "$@"
	fi
}

# ---- Expecting ----

# expect VALUE PATTERN: the value matches the glob pattern.
expect() {
	# shellcheck disable=SC2053 # a pattern
	[[ $1 == $2 ]] || { printf 'is:        %s\nshould be: %s\n' "$1" "$2" && false; }
}

# fails STATUS PATTERN COMMAND...: exits with it, nothing on stdout and one line on stderr, which matches.
# shellcheck disable=SC2154 # stderr_lines is from "run"
fails() {
	run "-$1" --separate-stderr "${@:3}"
	expect "$output" "" && expect "$stderr" "$2" && expect "${#stderr_lines[@]}" 1
}

# tells STATUS LINE COMMAND...: exits with it, and says this. Without /proc, a sanitizer says more.
tells() {
	run "-$1" "${@:3}"
	expect "$(grep -e '^daemonize: ' -e '^running' <<<"$output")" "$2"
}

# wait_until SECONDS COMMAND...: polls; if it never succeeds, shows what it said last.
wait_until() {
	local end=$((SECONDS + $1 + 1)) said

	until said=$("${@:2}" 2>&1); do
		[ "$SECONDS" -lt "$end" ] || { printf 'waited in vain for: %s\n%s\n' "${*:2}" "$said" && return 1; }
		sleep 0.02
	done
}

need_root() { is_root || skip "needs root"; }

need() {
	local tool

	for tool; do
		command -v "$tool" >/dev/null || skip "needs $tool"
	done
}
