#!/usr/bin/env bats
# --stop --tree and --signal --tree reach a daemon and all that it has started, in any session, and nothing
# else; and --stop says which processes it leaves.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # inner shells; a test is a subshell; helper.bash assigns

load helper

# "member NAME [LINE]" is a process that writes its PID to pub/NAME, and its signals to pub/told, and exits on
# TERM, after running LINE. "app LINE..." makes the daemon "app", a script of these lines.
member() {
	[ -e bin/member ] || printf '%s\n' '#!/bin/sh' 'name=$1 lines=$2' \
		'for signal in HUP TERM; do trap "echo $signal $name >>$DAEMONIZE_TEST/pub/told" $signal; done' \
		'trap "echo TERM $name >>$DAEMONIZE_TEST/pub/told; ${lines:-:}; exit" TERM' \
		'echo $$ >"$DAEMONIZE_TEST/pub/$name.new"' \
		'mv "$DAEMONIZE_TEST/pub/$name.new" "$DAEMONIZE_TEST/pub/$name"' \
		'while :; do sleep 0.02; done' >bin/member
	chmod 755 bin/member
}
app() {
	member
	printf '%s\n' '#!/bin/sh' "$@" >bin/app
	chmod 755 bin/app
}

# up NAME...: starts the app, and waits until these have their PIDs in pub; sets pid.
up() {
	daemonize -p app.pid app
	pid=$(cat app.pid)
	has_members "$@"
}
has_members() {
	local name

	for name; do
		wait_until 10 test -e "pub/$name"
	done
}

# told SIGNAL NAME...: these processes, and no others, have got these signals, once each.
told() { expect "$(LC_ALL=C sort pub/told | xargs)" "$*"; }

# silent COMMAND...: it succeeds, and says nothing.
silent() {
	run -0 --separate-stderr "$@"
	expect "$output$stderr" ""
}

lives() { expect "$(alive "$1" && echo "$1 lives")" "$1 lives"; }

# A tree in which every process has left something: its process group, its session, its parent.
everybody() {
	app 'member a.child &' '(member b.orphan &)' 'setsid member c.session &' \
		'setsid sh -c "trap : HUP; member d.deep & member e.deeper & while :; do sleep 0.02; done" &' \
		'bash -c "set -m; member f.orphan_in_a_group_of_its_own &"' 'exec member g.daemon'
	up a.child b.orphan c.session d.deep e.deeper f.orphan_in_a_group_of_its_own g.daemon
}

@test "--stop --tree terminates every process of a pipeline" {
	daemonize -p app.pid sh -c 'tail -f /dev/null | sed s/a/b/ | cat'
	silent daemonize --stop --tree -p app.pid
	nothing_runs
	[ ! -e app.pid ]
}

# bats test_tags=needs:proc
@test "--stop --tree sends TERM once to each process, in any session, and waits until all have exited" {
	everybody
	silent daemonize --stop --tree -p app.pid
	nothing_runs
	[ ! -e app.pid ]
	told TERM a.child TERM b.orphan TERM c.session TERM d.deep TERM e.deeper TERM f.orphan_in_a_group_of_its_own \
		TERM g.daemon
}

# bats test_tags=needs:proc
@test "--signal --tree sends the signal once to each process of the tree" {
	everybody
	silent daemonize --signal HUP --tree -p app.pid
	all_told() { [ "$(wc -l <pub/told)" = 7 ]; }
	wait_until 10 all_told
	told HUP a.child HUP b.orphan HUP c.session HUP d.deep HUP e.deeper HUP f.orphan_in_a_group_of_its_own \
		HUP g.daemon
	[ -e app.pid ]
	silent daemonize --stop --tree --signal KILL -p app.pid
	nothing_runs
}

# bats test_tags=needs:proc
@test "--stop --tree -v names each process that it signals" {
	app 'setsid member a &' 'exec member b'
	up a b
	run -0 --separate-stderr daemonize -v --stop --tree -p app.pid
	for name in a b; do
		expect "$(grep -cx "daemonize: sent signal 15 (TERM) to pid $(cat pub/$name)" <<<"$stderr")" 1
	done
}

# bats test_tags=needs:proc
@test "--stop --tree waits for a process that has lost its parent and its session" {
	app "cd $T" 'setsid member b "sleep 0.5; echo done >pub/done" &' \
		'exec member a'
	up a b
	silent daemonize --stop --tree -p app.pid
	expect "$(cat pub/done)" "done"
	nothing_runs
}

# bats test_tags=needs:proc
@test "--stop --tree exits with 124 if one of the tree keeps running, names it, and leaves the pidfile" {
	app "setsid sh -c 'trap \"\" TERM; echo \$\$ >$T/pub/deaf; while :; do sleep 0.02; done' &" 'exec member c'
	up c deaf
	fails 124 "daemonize: gave up waiting: still running (pid $(cat pub/deaf)*) after [0-9].[0-9][0-9] s" \
		daemonize --stop --tree -t 1 -p app.pid
	gone "$pid"
	lives "$(cat pub/deaf)"
	expect "$(cat app.pid)" "$pid"
}

# bats test_tags=needs:proc
@test "--stop --tree --kill-after kills whatever is left" {
	app "setsid sh -c 'trap \"\" TERM; echo \$\$ >$T/pub/deaf; while :; do sleep 0.02; done' &" \
		'trap "" TERM' 'member a &' 'echo $$ >'"$T/pub/b" 'while :; do sleep 0.02; done'
	up deaf a b
	silent daemonize --stop --tree --kill-after 0.3 -p app.pid
	nothing_runs
	[ ! -e app.pid ]
}

is_stopped() { grep -q '^State:[[:space:]]*T' "/proc/$1/status"; }

# bats test_tags=needs:proc
@test "--stop --tree terminates a stopped process of the tree" {
	app 'setsid member a &' 'exec member b'
	up a b
	kill -STOP "$(cat pub/a)"
	wait_until 10 is_stopped "$(cat pub/a)"
	silent daemonize --stop --tree -p app.pid
	nothing_runs
	told TERM a TERM b
}

# bats test_tags=needs:proc
@test "--stop --tree finds a process that a dying one has started, in a session that it knows" {
	app "setsid member leader '(sleep 600 &)' &" 'exec member b'
	for _ in 1 2 3 4 5; do
		up leader b
		silent daemonize --stop --tree -p app.pid
		nothing_runs
		told TERM b TERM leader
		rm pub/*
	done
}

# bats test_tags=needs:proc
@test "--stop --tree --signal sends that signal once to each process, however long it waits" {
	app 'setsid member a &' 'exec member b'
	up a b
	fails 124 "daemonize: gave up waiting: still running (pid $pid and [1-9] more) after *" \
		daemonize --stop --tree --signal HUP -t 1 -p app.pid
	told HUP a HUP b
}

# bats test_tags=needs:proc
@test "--stop --tree --signal 0 sends nothing, and waits until all have exited" {
	app 'setsid member a &' "sh -c 'trap \"echo CONT >>$T/pub/told\" CONT; echo \$\$ >$T/pub/c; while :; do sleep 0.02; done' &" \
		'exec member b'
	up a b c
	"$T/bin/daemonize" --stop --tree --signal 0 -t inf -p app.pid &
	wait_until 10 grep -qE '^(7|73|168|271|281|336) ' "/proc/$!/syscall" # poll(2)
	kill "$pid"
	wait_until 10 gone "$pid"
	lives "$!"
	kill -KILL "$(cat pub/a)" "$(cat pub/c)"
	wait $!
	told TERM b
	[ ! -e app.pid ]
}

@test "--stop --tree succeeds when nothing runs, and terminates the trees of several pidfiles" {
	silent daemonize --stop --tree -p none.pid
	app 'exec member "$NAME"'
	for name in a b; do
		daemonize -E NAME=$name -p $name.pid app
	done
	has_members a b
	silent daemonize --stop --tree -p a.pid ./*.pid
	nothing_runs
	told TERM a TERM b
}

# ---- What they spare ----

# bats test_tags=needs:proc
@test "--stop --tree of a -f daemon terminates what it has started, and nothing else in its caller's session" {
	member
	app 'setsid member a &' 'member b &' 'exec member c'
	setsid sh -c 'member bystander & daemonize -f -p app.pid app & member other; :' 3>&- &
	has_members a b c bystander other
	silent daemonize --stop --tree -p app.pid
	told TERM a TERM b TERM c
	lives "$(cat pub/bystander)"
	lives "$(cat pub/other)"
}

# bats test_tags=needs:proc
@test "--stop --tree of a -f daemon spares others of its session even after the session's leader has exited" {
	member
	app '(member a &)' 'exec member b'
	setsid bash -c 'set -m 2>/dev/null; member bystander & while [ ! -e pub/bystander ]; do sleep 0.02; done
		daemonize -f -p app.pid app & while [ ! -e pub/a ]; do sleep 0.02; done; member other &' 3>&-
	has_members a b other
	silent daemonize --stop --tree -p app.pid
	told TERM a TERM b
	lives "$(cat pub/bystander)"
	lives "$(cat pub/other)"
}

# bats test_tags=needs:proc
@test "--stop --tree of a -f daemon in its caller's process group spares that group" {
	member
	app 'member a &' 'exec member b'
	setsid sh -c '(daemonize -f -p app.pid app & until [ -e pub/a ]; do sleep 0.02; done; member bystander &)' 3>&-
	has_members a b bystander
	silent daemonize --stop --tree -p app.pid
	told TERM a TERM b
	lives "$(cat pub/bystander)"
}

# bats test_tags=needs:proc
@test "--stop --tree of a -f daemon that leads its session terminates the whole session" {
	app 'bash -c "set -m; member a.orphan_in_a_group_of_its_own &"' 'exec member b'
	setsid daemonize -f -p app.pid app 3>&- &
	has_members a.orphan_in_a_group_of_its_own b
	silent daemonize --stop --tree -p app.pid
	nothing_runs
	told TERM a.orphan_in_a_group_of_its_own TERM b
}

# bats test_tags=needs:proc,needs:native,no-valgrind
@test "--stop --tree with too few fds to look for a tree spares the process group of the caller of -f" {
	app 'exec member a'
	setsid sh -c 'member bystander & daemonize -f -p app.pid app; :' 3>&- &
	has_members a bystander
	silent sh -c 'exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&-; ulimit -n 5; exec daemonize --stop --tree -p app.pid'
	told TERM a
	lives "$(cat pub/bystander)"
}

# bats test_tags=needs:proc
@test "--stop --tree of a -f daemon spares its session, however soon after the session's leader it started" {
	member
	app 'exec member a'
	for _ in 1 2 3 4 5; do
		setsid bash -c 'set -m; daemonize -f -p app.pid app & until [ -e pub/a ]; do sleep 0.02; done
			member bystander; :' 3>&- &
		has_members a bystander
		silent daemonize --stop --tree -p app.pid
		told TERM a
		lives "$(cat pub/bystander)"
		end_all
		rm pub/*
	done
}

# bats test_tags=needs:proc
@test "--stop --tree from within the tree spares itself and its callers, and says so" {
	app 'member a &' "sh -c 'while [ ! -e $T/pub/go ]; do sleep 0.02; done
		daemonize --stop --tree -p $T/app.pid 2>$T/pub/said; echo \$? >$T/pub/status.new
		mv $T/pub/status.new $T/pub/status' &" 'exec member b'
	up a b
	: >pub/go
	wait_until 20 test -e pub/status
	expect "$(cat pub/status)" 0
	expect "$(cat pub/said)" "daemonize: this command runs in the tree of pid $pid: it spared itself and its callers"
	told TERM a TERM b
	[ ! -e app.pid ]
}

# bats test_tags=needs:proc
@test "--signal --tree exits with 1 if one of the tree may not be signalled, and --stop --tree waits for it" {
	need_root
	chmod 777 pub
	app 'setsid member a &' 'until [ -e '"$T"'/pub/a ]; do sleep 0.02; done' \
		"exec setpriv --reuid=nobody --regid=$(id -g nobody) --clear-groups member b"
	up a b
	fails 1 "daemonize: cannot signal [0-9]* of the processes in the tree of pid $pid: Operation not permitted" \
		as_nobody daemonize --signal HUP --tree -p app.pid
	fails 124 "daemonize: gave up waiting: still running (pid $(cat pub/a)*) after *" \
		as_nobody daemonize --stop --tree -t 1 -p app.pid
	lives "$(cat pub/a)"
	gone "$pid"
}

@test "--stop --tree of a daemon that may not be signalled exits with 1, and signals nobody" {
	need_root
	app 'as_other member a &' 'exec member b'
	printf '%s\n' '#!/bin/sh' "exec setpriv --reuid=nobody --regid=$(id -g nobody) --clear-groups "'"$@"' >bin/as_other
	chmod 755 bin/as_other
	chmod 777 pub
	up a b
	fails 1 "daemonize: cannot signal pid $pid: Operation not permitted" as_nobody daemonize --stop --tree -p app.pid
	lives "$(cat pub/a)"
	[ ! -e pub/told ]
}

@test "--stop --tree with too few fds to look at any process terminates the daemon and its process group" {
	app 'member a &' 'exec member b'
	for limit in 4 5 6 7; do
		rm -f pub/*
		up a b
		run sh -c 'ulimit -n "$1" && exec daemonize --stop --tree -p app.pid' sh $limit 3>&-
		[ "$status" != 0 ] || nothing_runs
		end_all
	done
	expect "$status" 0
}

# ---- What is left without --tree ----

# bats test_tags=needs:proc
@test "--stop without --tree succeeds, and says how many of the daemon's process group still run" {
	app 'member a &' '(member b &)' 'setsid member c &' 'exec member d'
	up a b c d
	run -0 --separate-stderr daemonize --stop -p app.pid
	expect "$output" ""
	expect "$stderr" "daemonize: pid $pid has exited, but [2-4] of its process group are still running: --tree stops them too"
	expect "${#stderr_lines[@]}" 1
	told TERM d
}

@test "--stop without --tree says nothing of processes that exit with the daemon, or have their own group" {
	mkfifo pipe
	app "cd $T" 'setsid member a 9>&- &' '(cat pipe; sleep 0.1) &' 'exec 9>pipe' 'exec member b'
	up a b
	silent daemonize --stop -p app.pid
	lives "$(cat pub/a)"
}

@test "--stop without --tree says nothing of a process group that the daemon no longer led" {
	need python3
	member
	printf '%s\n' '#!/usr/bin/env python3' 'import os' 'def member(name, lead):' ' child = os.fork()' ' if child == 0:' \
		'  lead and os.setpgid(0, 0)' '  os.execvp("member", ["member", name])' \
		' while not os.path.exists(os.environ["DAEMONIZE_TEST"] + "/pub/" + name): pass' ' return child' \
		'member("a", False)' 'os.setpgid(0, member("b", True))' 'os.execvp("member", ["member", "c"])' >bin/app
	chmod 755 bin/app
	up a b c
	silent daemonize --stop -p app.pid
	told TERM c
	lives "$(cat pub/a)"
}

# ---- At any moment ----

# storm: an app that keeps starting processes, some of which start others, some in groups of their own.
storm() {
	app 'while :; do' 'sleep 600 &' '(sleep 600 & exec sleep 0.01)' 'set -m' 'sleep 600 &' 'set +m' 'done'
	sed -i 's:/bin/sh:/bin/bash:' bin/app
}

# bats test_tags=needs:proc
@test "--stop --tree terminates all of a tree that keeps forking, at any moment, and nothing else" {
	storm
	member bystander
	"$T/bin/member" bystander 3>&- &
	has_members bystander
	for ((round = 0; round < ${ROUNDS:-30}; round++)); do
		daemonize -p app.pid app
		sleep "0.$((RANDOM % 3))$((RANDOM % 10))"
		silent daemonize --stop --tree -t 60 -p app.pid
		for left in $(ours); do
			[ "$left" = $! ] || [ "$(ps -o ppid= -p "$left" | xargs)" = $! ] || ! alive "$left" ||
				expect "$(tr '\0' ' ' <"/proc/$left/cmdline")" "gone in round $round"
		done
	done
	lives $!
	[ ! -e pub/told ]
}

# bats test_tags=needs:native,needs:proc,no-valgrind
@test "--stop --tree stops each process before it signals any, although it is slow to find them" {
	need strace
	app 'while :; do sleep 600 & sleep 0.01; done'
	daemonize -p app.pid app
	silent strace -qq -o trace -e trace=getdents64,kill,pidfd_send_signal -e inject=getdents64:delay_enter=150000 \
		daemonize --stop --tree -p app.pid
	count=$(grep -c 'SIGTERM.* = 0$' trace)
	[ "$count" -gt 5 ]
	[ "$(grep -c 'SIGSTOP.* = 0$' trace)" -ge "$count" ] # more, if some were just exiting
}

# bats test_tags=needs:proc
@test "--stop --tree terminates all of a tree that keeps forking, even into new sessions" {
	storm
	sed -i '2a setsid sleep 600 &' bin/app
	for ((round = 0; round < ${ROUNDS:-20}; round++)); do
		daemonize -p app.pid app
		sleep "0.$((RANDOM % 3))$((RANDOM % 10))"
		silent daemonize --stop --tree -t 60 -p app.pid
		nothing_runs
	done
}

# bats test_tags=needs:proc
@test "--stop --tree --kill-after kills all of a tree that keeps forking and ignores TERM" {
	storm
	sed -i '2i trap "" TERM' bin/app
	for _ in 1 2 3; do
		daemonize -p app.pid app
		silent daemonize --stop --tree --kill-after 0.1 -t 60 -p app.pid
		nothing_runs
	done
}

# ---- Usage ----

@test "--tree needs --stop or --signal" {
	fails 2 "daemonize: --tree needs --stop or --signal. Try 'daemonize --help'." daemonize --tree -p app.pid true
	fails 2 "daemonize: --tree needs --stop or --signal. Try 'daemonize --help'." daemonize --status --tree -p app.pid
	[ ! -e app.pid ]
}
