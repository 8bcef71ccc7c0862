#!/usr/bin/env bats
# Who the daemon is: exactly who was asked for, for good.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # inner shells; helper.bash shares variables

load helper

# Two users and three groups of our own, in a mount namespace of our own: the system's files are not touched.
# app (54321) is in the groups app and logs, and in no group of root's.
with_users() {
	need_root
	need unshare
	cat /etc/passwd - >"$T/passwd" <<-END
		app:x:54321:54321:an app:/srv/app:/bin/false
		bare:x:54322:54322::/srv/bare:
	END
	cat /etc/group - >"$T/group" <<-END
		app:x:54321:
		logs:x:54333:app,root
		other:x:54344:bare
	END
	caller=(unshare -m sh -c 'mount --bind "$0/passwd" /etc/passwd &&
		mount --bind "$0/group" /etc/group && exec "$@"' "$T" "$@")
}

# is_user UID GID GROUPS
is_user() {
	expect "$(field uid)" "$1:$1:$1" && expect "$(field gid)" "$2:$2:$2" && expect "$(field groups)" "$3"
}

capabilities() { awk '/^Cap(Inh|Prm|Eff|Amb):/ { print $2 }' "/proc/$1/status" | sort -u; }

# refused_as_nobody STATUS PATTERN OPTION...: and nothing has been changed.
refused_as_nobody() {
	fails "$1" "$2" as_nobody daemonize -p "$T/pub/app.pid" -o "$T/pub/log" "${@:3}" target dump "$report"
	nothing_runs
	expect "$(ls "$T/pub")" ""
}

@test "the identity of the caller stays, where nothing else is asked for" {
	need_root
	caller=(setpriv --groups '54301,54302')
	start
	is_user 0 0 54301,54302
}

@test "-u is a user with its group and its supplementary groups" {
	with_users
	start -u app
	is_user 54321 54321 54321,54333
}

@test "-u takes a number for a name" {
	with_users
	start --user 54321
	is_user 54321 54321 54321,54333
}

@test "-u USER:GROUP is that group instead of the user's own" {
	with_users
	start -u app:other
	is_user 54321 54344 54333,54344
}

@test "-u takes numbers for both" {
	with_users
	start -u 54321:54344
	is_user 54321 54344 54333,54344
}

@test "-g overrides the user's group" {
	with_users
	start -u app -g other
	is_user 54321 54344 54333,54344
}

@test "-g alone changes the group and sets the supplementary ones" {
	with_users
	start --group other
	expect "$(field uid)" 0:0:0
	expect "$(field gid)" 54344:54344:54344
	expect ",$(field groups)," "*,54344,*"
}

@test "-g alone takes a number that has no name" {
	with_users
	start -g 54999
	expect "$(field gid)" 54999:54999:54999
}

@test "the caller's supplementary groups are not kept" {
	with_users setpriv --groups 0,4,54301,54344
	start -u app
	is_user 54321 54321 54321,54333
}

@test "a user without a name needs a group, and is in no other" {
	with_users
	start -u 54998:54999
	is_user 54998 54999 54999
	rm "$report"
	start -u 54998 -g logs
	is_user 54998 54333 54333
}

@test "a user without a name and a group is refused" {
	need_root
	fails 1 "daemonize: *54998*" daemonize -u 54998 target dump "$report"
	nothing_runs
}

@test "root cannot be regained" {
	with_users
	start -u app
	expect "$(field setuid0)" no
}

@test "no capability is left" {
	with_users
	start -u app
	expect "$(capabilities "$pid")" 0000000000000000
}

@test "root cannot be regained by a group either" {
	with_users
	start -u app
	run -1 grep -E '^(gid|groups)=.*\<0\>' "$report"
}

# ---- The environment of a user ----

@test "-u sets HOME, USER, LOGNAME and SHELL" {
	with_users
	start -u app
	expect "$(field env.HOME)" /srv/app
	expect "$(field env.USER)" app
	expect "$(field env.LOGNAME)" app
	expect "$(field env.SHELL)" /bin/false
}

@test "a user without a shell has /bin/sh" {
	with_users
	start -u bare
	expect "$(field env.SHELL)" /bin/sh
}

@test "-E has the last word over what -u sets" {
	with_users
	start -E HOME=/elsewhere -u app -E SHELL=/bin/zsh
	expect "$(field env.HOME)" /elsewhere
	expect "$(field env.SHELL)" /bin/zsh
	expect "$(field env.USER)" app
}

@test "a user without a name is at home in /" {
	need_root
	start -u 54998:54999
	expect "$(field env.HOME)" /
}

@test "without -u HOME and USER stay the caller's" {
	HOME=/home/caller USER=caller LOGNAME=caller start
	expect "$(field env.HOME)" /home/caller
	expect "$(field env.USER)" caller
}

@test "-g alone leaves HOME and USER alone" {
	need_root
	HOME=/home/caller USER=caller start -g nogroup
	expect "$(field env.HOME)" /home/caller
	expect "$(field env.USER)" caller
}

# ---- What is root's stays root's ----

@test "with -u the pidfile is the caller's, in a directory that the user cannot write" {
	need_root
	mkdir -m 755 "$T/run"
	start -u nobody -p "$T/run/app.pid"
	expect "$(stat -c '%U %a' "$T/run/app.pid")" "root 644"
	expect "$(cat "$T/run/app.pid")" "$pid"
}

@test "with -u the daemon has no fd on which it can write the pidfile" {
	need_root
	start -u nobody -p "$T/app.pid"
	expect "$(grep -F " $T/app.pid" "$report")" "fd.10=r *"
}

@test "a user may write a log that it could not open" {
	need_root
	mkdir -m 700 "$T/private"
	daemonize -u nobody -O "$T/private/log" sh -c 'id -un; exec sleep 60'
	wait_until 5 grep -qx nobody "$T/private/log"
}

@test "-c takes a directory that only the user may enter, or only root" {
	need_root
	mkdir -m 700 "$T/theirs" "$T/mine"
	chown nobody "$T/theirs"
	start -u nobody -c "$T/theirs"
	expect "$(field cwd)" "$T/theirs"
}

@test "a command that the user may not execute is an error" {
	need_root
	install -m 700 "$T/bin/target" "$T/roots-own"
	fails 126 "daemonize: *'$T/roots-own'*: Permission denied" daemonize -u nobody "$T/roots-own" dump "$report"
	nothing_runs
}

@test "a command in a directory that the user may not enter is an error" {
	need_root
	mkdir -m 700 "$T/private"
	cp "$T/bin/target" "$T/private/"
	fails 126 "daemonize: *'$T/private/target'*: Permission denied" \
		daemonize -u nobody -p "$T/app.pid" "$T/private/target" dump "$report"
	nothing_runs
	[ ! -e "$T/app.pid" ]
}

# ---- Refused ----

@test "an unknown user is named" {
	fails 1 "daemonize: *'nosuchuser'*" daemonize -u nosuchuser target dump "$report"
	nothing_runs
}

@test "an unknown group is named" {
	fails 1 "daemonize: *'nosuchgroup'*" daemonize -u "$(id -un):nosuchgroup" target dump "$report"
	fails 1 "daemonize: *'nosuchgroup'*" daemonize -g nosuchgroup target dump "$report"
	nothing_runs
}

@test "the number that means no user is refused" {
	for user in -1 4294967295 4294967296 99999999999999999999 "$(id -u):4294967295"; do
		run daemonize -u "$user" target dump "$report"
		expect "$user: $status" "$user: [12]"
	done
	nothing_runs
}

@test "what is neither user nor group is refused" {
	for user in '' : :root root: root:root:root; do
		run daemonize -u "$user" target dump "$report"
		expect "'$user': $status" "'$user': [12]"
	done
	nothing_runs
}

@test "a plain user cannot become root" { refused_as_nobody 1 "daemonize: *" -u root; }
@test "a plain user cannot become root by number" { refused_as_nobody 1 "daemonize: *" -u 0; }
@test "a plain user cannot enter root's group" { refused_as_nobody 1 "daemonize: *" -g 0; }
@test "a plain user cannot keep its name and change its group" {
	refused_as_nobody 1 "daemonize: *" -u "$(as_nobody id -un):0"
}

@test "a plain user cannot become another" {
	need_root
	refused_as_nobody 1 "daemonize: *" -u daemon
}

@test "a plain user may become itself" {
	caller=(as_nobody)
	start -u "$(as_nobody id -un)"
	expect "$(field uid)" "$(as_nobody id -u):*"
	expect "$(field env.USER)" "$(as_nobody id -un)"
}

@test "a plain user may name its own group" {
	caller=(as_nobody)
	start -g "$(as_nobody id -g)"
	expect "$(field gid)" "$(as_nobody id -g):*"
}

# bats test_tags=no-valgrind
@test "it refuses to be run set-user-ID" {
	need_root
	chmod u+s "$T/bin/daemonize"
	fails 1 "daemonize: *set-user-ID*" as_nobody daemonize -p "$T/pub/app.pid" target dump "$report"
	expect "$(ls "$T/pub")" ""
}

# bats test_tags=no-valgrind
@test "it refuses to be run set-group-ID" {
	need_root
	chmod g+s "$T/bin/daemonize"
	fails 1 "daemonize: *set-*" as_nobody daemonize -p "$T/pub/app.pid" target dump "$report"
	expect "$(ls "$T/pub")" ""
}
