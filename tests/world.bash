# A world of its own for a test that needs PID 1, /etc or /run: a copy of this system's files that keeps
# its changes in memory, with its own processes and loopback network. Only $T is shared. It ends with the test.
# shellcheck shell=bash disable=SC2154 # helper.bash assigns

# The first process of the world is a shell, since a shell reaps.
new_world() {
	need_root
	need ip nsenter unshare
	mkdir world
	# shellcheck disable=SC2016
	T=$T unshare --mount --pid --net --fork --kill-child -- bash -euc '
		mount -t tmpfs none world
		cd world
		mkdir upper work root
		mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work none root
		cd root
		mount -t proc none proc
		mount -t tmpfs none run
		mount --rbind /dev dev
		mount -t tmpfs none dev/shm
		mkdir -p ".$T"
		mount --bind "$T" ".$T"
		cp "$T"/bin/* usr/local/bin
		ip link set lo up
		exec chroot . bash -c ": >$T/world.up; sleep 600; :"
	' 3>&- >world.log 2>&1 &
	own $!
	wait_until 10 test -e world.up || { cat world.log && return 1; }
	world=$(pgrep -P $!)
}

# inside COMMAND...: in that world, in its root directory.
inside() {
	nsenter --target "$world" --mount --pid --net --root --wd -- "$@"
}

# write_inside FILE [MODE]: standard input becomes that file of the world.
write_inside() { inside install -m "${2:-644}" /dev/stdin "$1"; }
