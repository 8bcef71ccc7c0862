# A world of its own for a test that needs PID 1, /etc or /run: a copy of this system's files that keeps
# its changes in memory, with its own devices, processes and loopback network. It shares $T, and disappears
# with the test.
# shellcheck shell=bash disable=SC2016,SC2154 # inner shells; helper.bash assigns

# new_world [COMMAND...]: sets world, the PID of its first process; by default a shell, since a shell
# reaps. In a $cgroup it sees no other.
new_world() {
	need_root
	need ip nsenter unshare
	mkdir world
	[ $# != 0 ] || set -- bash -c 'sleep 600; :'
	(
		[ -z "${cgroup-}" ] || echo "$BASHPID" >"$cgroup/cgroup.procs"
		T=$T exec unshare --mount --pid --net --cgroup --fork --kill-child -- bash -euc '
			mount -t tmpfs none world
			cd world
			mkdir upper work root
			mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work none root
			cd root
			mount -t proc none proc
			mount -t sysfs none sys
			mount -t cgroup2 none sys/fs/cgroup || true
			mount -t tmpfs none run
			mount -t tmpfs none dev
			cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty dev
			ln -s /proc/self/fd dev/fd
			ln -s fd/0 dev/stdin
			ln -s fd/1 dev/stdout
			ln -s fd/2 dev/stderr
			mkdir dev/pts dev/shm
			mkdir -p ".$T"
			mount --bind "$T" ".$T"
			cp "$T"/bin/* usr/local/bin
			ip link set lo up
			exec chroot . bash -c ": >\"\$T/world.up\"; exec \"\$@\"" bash "$@"
		' bash "$@"
	) </dev/null 3>&- >world.log 2>&1 &
	own $!
	wait_until 10 test -e world.up || { cat world.log && return 1; }
	world=$(pgrep -P $!)
}

# inside COMMAND...: in that world, in its root directory.
inside() {
	nsenter --target "$world" --mount --pid --net --root --wd -- "$@"
}

# only_runs NAME PID: all processes of that name are in this one's session; a script has two while it forks.
only_runs() { expect "$(inside ps -o sid= -C "$1" | sort -u)" "$(inside ps -o sid= -p "$2")"; }

# none_runs NAME: not even one that a script of that name has just forked.
none_runs() { wait_until 10 run -1 inside pgrep -x "$1"; }

# write_inside FILE [MODE]: standard input becomes that file in the world.
write_inside() { inside install -D -m "${2:-644}" /dev/stdin "$1"; }

# The examples of both pages of the manual, then those of the README, each followed by a form feed.
examples() {
	sed -n '/^\.Bd -literal/,/^\.Ed/ { s/^\.[BE]d.*/\f/; s/\\e/\\/g; p; }' "$here"/../man/daemonize.[17]
	sed -En '/^```(conf|console|sh)$/,/^```$/ { s/^```.*/\f/; p; }' "$here/../README.md" "$here/README.md"
}

# example TEXT: the first example that contains this.
example() { awk -v RS='\f\n' -v text="$1" 'index($0, text) { printf "%s", $0; exit }' < <(examples); }
