#!/usr/bin/env bats
# The daemon becomes exactly the user that was asked for, for good.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # inner shells; helper.bash shares variables

load helper

# Two users and three groups of our own, in a mount namespace of our own: the system's files are not touched.
# app (54321) is in the groups app and logs, and in no group of root's.
with_users() {
	need_root
	need unshare
	cat /etc/passwd - >"$T/passwd" <<-END
		app:x:54321:54321:an app:/srv/app:/bin/bash
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

# refused_as_nobody STATUS PATTERN OPTION...: fails like this, and changes nothing.
refused_as_nobody() {
	fails "$1" "$2" as_nobody daemonize -p "$T/pub/app.pid" -o "$T/pub/log" "${@:3}" target dump "$report"
	nothing_runs
	expect "$(ls "$T/pub")" ""
}

@test "without -u and -g the caller's identity stays" {
	need_root
	caller=(setpriv --groups '54301,54302')
	start
	is_user 0 0 54301,54302
}

@test "-u sets the user, its group and its supplementary groups" {
	with_users
	start -u app
	is_user 54321 54321 54321,54333
}

@test "-u takes a user's number instead of its name" {
	with_users
	start --user 54321
	is_user 54321 54321 54321,54333
}

@test "a name that looks like a number is taken as a name" {
	with_users
	echo "54322:x:54391:54392::/srv:/bin/sh" >>"$T/passwd"
	echo "54344:x:54393:" >>"$T/group"
	start -u 54322:54344
	is_user 54391 54393 54393
}

@test "-u USER:GROUP sets that group instead of the user's own" {
	with_users
	start -u app:other
	is_user 54321 54344 54333,54344
}

@test "-u takes numbers for user and group" {
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

@test "the caller's supplementary groups are not kept, even with -u root" {
	need_root
	caller=(setpriv --groups 54301)
	start -u root
	expect "$(field uid)" 0:0:0
	expect ",$(field groups)," "*,0,*"
	run -1 grep -w 54301 "$report"
}

@test "a user without a name needs a group, and is in no other" {
	with_users
	start -u 54998:54999
	is_user 54998 54999 54999
	rm "$report"
	start -u 54998 -g logs
	is_user 54998 54333 54333
}

@test "a user without a name is refused without a group" {
	need_root
	fails 1 "daemonize: *54998*" daemonize -u 54998 -o "$T/log" target dump "$report"
	nothing_runs
	[ ! -e "$T/log" ]
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

@test "-u and -g refuse if root's privileges could be regained" {
	need_root
	need setpriv
	# keeping CAPABILITIES OPTION...: a caller that is not root, and yet may become anybody.
	keeping() {
		fails 1 "daemonize: cannot become user *: root's privileges could be regained" \
			setpriv --reuid=nobody --regid=nogroup --clear-groups --inh-caps="$1" --ambient-caps="$1" \
			daemonize "${@:2}" target dump "$report"
	}
	keeping +setuid,+setgid -u daemon:0
	keeping +setgid -g daemon
	nothing_runs
}

@test "a user name that is too long is unknown, and not cut to another" {
	need_root
	for digits in 400 5000; do
		fails 1 "daemonize: unknown user '*" daemonize -u "$(printf "%0${digits}d" 65534):65534" -o "$T/log" true
		[ ! -e "$T/log" ]
	done
}

@test "a group database that cannot be read is not taken for an unknown group" {
	need strace
	run -1 --separate-stderr strace -f -qq -o "$T/trace" -P /etc/group -P /etc/nsswitch.conf \
		-e inject=openat,open:error=EIO daemonize -g nosuchgroup true
	expect "$stderr" "daemonize: cannot look up group 'nosuchgroup': @(Input/output|I/O) error"
}

# bats test_tags=needs:linux,needs:native
@test "-u works in a user namespace that does not map the caller's groups" {
	need_root
	need unshare setpriv
	setpriv --groups=4,24 unshare --user --keep-caps sh -c ': >up; until [ -e mapped ]; do sleep 0.02; done
		exec setpriv --reuid=0 --regid=0 --keep-groups "$@"' sh \
		"$T/bin/daemonize" -u 5:5 target dump "$report" 3>&- &
	wait_until 10 test -e up
	echo 0 100000 1000 >/proc/$!/uid_map
	echo 0 100000 1000 >/proc/$!/gid_map
	: >mapped
	reported "$report"
	is_user 5 5 5
}

@test "-u USER:GROUP may name root's group" {
	with_users
	start -u app:0
	expect "$(field uid)" 54321:54321:54321
	expect "$(field gid)" 0:0:0
}

# ---- The environment of a user ----

@test "-u sets HOME, USER, LOGNAME and SHELL" {
	with_users
	start -u app
	expect "$(field env.HOME)" /srv/app
	expect "$(field env.USER)" app
	expect "$(field env.LOGNAME)" app
	expect "$(field env.SHELL)" /bin/bash
}

@test "a user who may not log in gets /bin/sh, so that the daemon can run commands with \$SHELL" {
	with_users
	for shell in /bin/false /usr/sbin/nologin nologin; do
		sed -i "/^app:/ s|[^:]*$|$shell|" passwd
		start -u app
		expect "$(field env.SHELL)" /bin/sh
		kill "$pid"
		rm "$report"
	done
}

@test "a user without a shell gets /bin/sh" {
	with_users
	start -u bare
	expect "$(field env.SHELL)" /bin/sh
}

@test "-E overrides what -u sets" {
	with_users
	start -E HOME=/elsewhere -u app -E SHELL=/bin/zsh
	expect "$(field env.HOME)" /elsewhere
	expect "$(field env.SHELL)" /bin/zsh
	expect "$(field env.USER)" app
}

@test "a user without a name has / as its HOME" {
	need_root
	start -u 54998:54999
	expect "$(field env.HOME)" /
}

@test "a user without a name does not get the caller's USER, LOGNAME and SHELL" {
	need_root
	USER=caller LOGNAME=caller SHELL=/bin/caller start -u 54998:54999
	run -1 grep -E '^env\.(USER|LOGNAME|SHELL)=' "$report"
}

@test "without -u HOME and USER stay the caller's" {
	HOME=/home/caller USER=caller LOGNAME=caller start
	expect "$(field env.HOME)" /home/caller
	expect "$(field env.USER)" caller
}

@test "-g alone does not change HOME and USER" {
	need_root
	HOME=/home/caller USER=caller start -g nogroup
	expect "$(field env.HOME)" /home/caller
	expect "$(field env.USER)" caller
}

# ---- What is root's stays root's ----

@test "with -u the pidfile belongs to the caller, in a directory that the user cannot write" {
	need_root
	mkdir -m 755 "$T/run"
	start -u nobody -p "$T/run/app.pid"
	expect "$(stat -c '%U %a' "$T/run/app.pid")" "root 644"
	expect "$(cat "$T/run/app.pid")" "$pid"
}

@test "with -u the daemon has no writable fd of the pidfile" {
	need_root
	start -u nobody -p "$T/app.pid"
	expect "$(grep -F " $T/app.pid" "$report")" "fd.10=r *"
}

@test "a user can write to a log that it could not open" {
	need_root
	mkdir -m 700 "$T/private"
	daemonize -u nobody -O "$T/private/log" sh -c 'id -un; exec sleep 60'
	wait_until 20 grep -qx nobody "$T/private/log"
}

@test "with -u a symbolic link is refused as a lock file: the user would get an fd of what it points to" {
	need_root
	install -m 600 /dev/null secret
	as_nobody ln -s "$T/secret" "$T/nobody/file"
	as_nobody ln -s "$T" "$T/nobody/directory"
	as_nobody ln -s "$T/new" "$T/nobody/dangling"
	for link in file directory dangling; do
		fails 1 "daemonize: cannot open lock file '$T/nobody/$link': with -u, it must not be a symbolic link" \
			daemonize -u nobody -l "$T/nobody/$link" target dump "$report"
	done
	nothing_runs
	[ ! -e new ]
	start -l "$T/nobody/file"
}

@test "with -u a symbolic link is refused as standard input" {
	need_root
	install -m 600 /dev/null secret
	as_nobody ln -s "$T/secret" "$T/nobody/input"
	fails 1 "daemonize: cannot open '$T/nobody/input': with -u, standard input must not be a symbolic link" \
		daemonize -u nobody -i "$T/nobody/input" -o log target dump "$report"
	nothing_runs
	[ ! -e log ]
	start -i "$T/nobody/input"
}

@test "-c takes a directory that only the user may enter" {
	need_root
	mkdir -m 700 "$T/theirs"
	chown nobody "$T/theirs"
	start -u nobody -c "$T/theirs"
	expect "$(field cwd)" "$T/theirs"
}

# without_override COMMAND...: as root on NFS, which may not enter what the permissions forbid.
without_override() {
	setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-dac_override,-dac_read_search -- "$@"
}

@test "-c takes a directory that only the user may enter, where root may not, as on NFS" {
	need_root
	mkdir -m 700 theirs theirs/inner
	chown nobody theirs theirs/inner
	caller=(without_override)
	for directory in theirs theirs/inner; do
		start -u nobody -c "$directory"
		expect "$(field cwd)" "$T/$directory"
		expect "$(field uid)" "$(id -u nobody):*"
		rm "$report"
	done
	start -f -u nobody -c theirs &
	reported "$report"
	expect "$(field cwd)" "$T/theirs"
}

@test "-c refuses a directory that neither root nor the user may enter, and one that does not exist" {
	need_root
	mkdir -m 700 theirs
	chown nobody theirs
	fails 1 "daemonize: cannot change to directory '$T/theirs': Permission denied" \
		without_override daemonize -p app.pid -c "$T/theirs" true
	fails 1 "daemonize: cannot change to directory '$T/theirs': Permission denied" \
		without_override daemonize -p app.pid -u daemon -c "$T/theirs" true
	fails 1 "daemonize: cannot change to directory '$T/theirs/nosuch': No such file or directory" \
		without_override daemonize -p app.pid -u nobody -c "$T/theirs/nosuch" true
	fails 1 "daemonize: cannot change to directory '$T/nosuch': No such file or directory" \
		daemonize -p app.pid -u nobody -c "$T/nosuch" true
	nothing_runs
	[ ! -e app.pid ]
}

@test "a command that the user may not execute is refused" {
	need_root
	install -m 700 "$T/bin/target" "$T/roots-own"
	fails 126 "daemonize: *'$T/roots-own'*: Permission denied" daemonize -u nobody "$T/roots-own" dump "$report"
	nothing_runs
}

@test "a command in a directory that the user may not enter is refused" {
	need_root
	mkdir -m 700 "$T/private"
	cp "$T/bin/target" "$T/private/"
	fails 126 "daemonize: *'$T/private/target'*: Permission denied" \
		daemonize -u nobody -p "$T/app.pid" "$T/private/target" dump "$report"
	nothing_runs
	[ ! -e "$T/app.pid" ]
}

@test "a command that only the user may find is run, even if root may not enter, as on NFS" {
	need_root
	mkdir -m 700 "$T/theirs"
	cp "$T/bin/target" "$T/theirs/"
	chown nobody "$T/theirs"
	setpriv --bounding-set=-dac_override,-dac_read_search -- \
		daemonize -u nobody "$T/theirs/target" dump "$report"
	reported "$report"
	expect "$(field uid)" "$(id -u nobody):*"
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

@test "two groups are a usage error" {
	fails 2 "daemonize: 'root:root' names a group, and so does -g. Try*" \
		daemonize -u root:root -g "$(id -g)" target dump "$report"
	nothing_runs
}

@test "the number that means no user is refused" {
	for user in -1 4294967295 4294967296 99999999999999999999 "$(id -u):4294967295" "4294967295:$(id -g)"; do
		run daemonize -u "$user" -o "$T/log" target dump "$report"
		expect "$user: $status" "$user: [12]"
	done
	nothing_runs
	[ ! -e "$T/log" ]
}

@test "a malformed user or group is refused" {
	for user in '' : :root root: root:root:root; do
		run daemonize -u "$user" target dump "$report"
		expect "'$user': $status" "'$user': [12]"
	done
	nothing_runs
}

@test "a plain user cannot become root" { refused_as_nobody 1 "daemonize: *" -u root; }
@test "a plain user cannot become root by number" { refused_as_nobody 1 "daemonize: *" -u 0; }
@test "a plain user cannot become root in its own group" {
	refused_as_nobody 1 "daemonize: *" -u "0:$(as_nobody id -g)"
}
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

# bats test_tags=needs:native
@test "root in a user namespace, who may not set groups, may become itself" {
	need_root
	need unshare setpriv
	caller=(setpriv --clear-groups unshare --map-root-user)
	for user in root 0:0; do
		start -u $user
		expect "$(field uid)" 0:0:0
		expect "$(field env.HOME)" "$(getent passwd 0 | cut -d: -f6)"
		rm "$report"
	done
	fails 1 "daemonize: cannot become user '5:5': Operation not permitted" \
		"${caller[@]}" daemonize -u 5:5 target dump "$report"
}

@test "root without CAP_SETGID may become itself, but only in its own groups" {
	with_users
	# without_setgid GROUPS USER
	without_setgid() { "${caller[@]}" setpriv --groups "$1" --bounding-set=-setgid daemonize -u "$2" -o - id -G; }
	run -0 without_setgid 54333,0 root
	expect "$output" "0 54333"
	for groups in 0 54333,4 4; do
		fails 1 "daemonize: cannot set the supplementary groups of 'root': Operation not permitted" \
			without_setgid "$groups" root
	done
	fails 1 "daemonize: cannot become user 'root:app': Operation not permitted" without_setgid 54333 root:app
	fails 1 "daemonize: cannot become user 'app:root': Operation not permitted" without_setgid 54333 app:root
}

@test "a plain user may name its own group" {
	caller=(as_nobody)
	start -g "$(as_nobody id -g)"
	expect "$(field gid)" "$(as_nobody id -g):*"
}

# bats test_tags=no-valgrind
@test "it refuses to run set-user-ID" {
	need_root
	chmod u+s "$T/bin/daemonize"
	fails 1 "daemonize: *set-user-ID*" as_nobody daemonize -p "$T/pub/app.pid" target dump "$report"
	expect "$(ls "$T/pub")" ""
	"$T/bin/daemonize" -p app.pid sleep 60
	for ask in --status --stop "--signal KILL"; do
		# shellcheck disable=SC2086 # an option and its value
		fails "$([ "$ask" = --status ] && echo 4 || echo 1)" "daemonize: *set-user-ID*" as_nobody daemonize $ask -p app.pid
	done
	alive "$(cat app.pid)"
}

# bats test_tags=no-valgrind
@test "it refuses to run set-group-ID" {
	need_root
	chmod g+s "$T/bin/daemonize"
	fails 1 "daemonize: *set-*" as_nobody daemonize -p "$T/pub/app.pid" target dump "$report"
	expect "$(ls "$T/pub")" ""
}
