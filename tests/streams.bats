#!/usr/bin/env bats
# Where standard input comes from, and where output goes: whole, in order, and to the right file.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # inner shells; helper.bash shares variables

load helper

# says OPTION...: a daemon that says a line on stdout and one on stderr, and waits.
says() { daemonize "$@" sh -c 'echo out; echo err >&2; exec sleep 60'; }

# has FILE TEXT: the file has these contents, or will in a moment.
has() { wait_until 20 is_text "$1" "$2"; }
is_text() { expect "$(cat "$1")" "$2"; }

# position PID FD: where the next write to this open file description goes.
position() { awk '$1 == "pos:" { print $2 }' "/proc/$1/fdinfo/$2"; }

# flags_of PID FD: the status flags of this open file description, in octal.
flags_of() { awk '$1 == "flags:" { print $2 }' "/proc/$1/fdinfo/$2"; }

mode_of() { stat -c %a "$1"; }

# in_time COMMAND...: kills it if it hangs, which is status 137.
in_time() { timeout -s KILL 10 "$@"; }

@test "all three streams are /dev/null, open for reading and writing" {
	start
	for fd in 0 1 2; do
		expect "$(field fd.$fd)" "rw append=0 cloexec=0 /dev/null"
	done
}

@test "-o collects standard output" {
	says -o "$T/log"
	has "$T/log" out
}

@test "-e collects standard error" {
	says -e "$T/log"
	has "$T/log" err
}

@test "-O collects both, in the order in which they were written" {
	says -O "$T/log"
	has "$T/log" $'out\nerr'
}

@test "-o and -e may name two files" {
	says --stdout "$T/out" --stderr "$T/err"
	has "$T/out" out
	has "$T/err" err
}

@test "-i is where standard input comes from" {
	echo hello >"$T/input"
	daemonize -i "$T/input" -o "$T/log" cat
	has "$T/log" hello
}

@test "standard input can be read even if only a log was asked for" {
	daemonize -o "$T/log" sh -c 'cat && echo "end of file"'
	has "$T/log" "end of file"
}

@test "standard input is opened read-only and logs write-only, for appending" {
	echo hello >"$T/input"
	start -i "$T/input" -o "$T/out" -e "$T/err"
	expect "$(field fd.0)" "r append=0 cloexec=0 $T/input"
	expect "$(field fd.1)" "w append=1 cloexec=0 $T/out"
	expect "$(field fd.2)" "w append=1 cloexec=0 $T/err"
}

@test "relative names are resolved in the caller's directory" {
	mkdir "$T/here"
	cd "$T/here"
	echo hello >input
	daemonize -i input -o out -e ../err -c / sh -c 'cat; echo err >&2; exec sleep 60'
	has "$T/here/out" hello
	has "$T/err" err
}

@test "the later of -O and -o wins for standard output" {
	says -O "$T/both" -o "$T/out"
	has "$T/out" out
	has "$T/both" err
}

# ---- The caller's streams ----

@test "- keeps the caller's standard output" {
	run -0 daemonize -o - sh -c 'echo hello'
	expect "$output" hello
}

@test "- keeps the caller's standard error" {
	daemonize -e - sh -c 'echo hello >&2' 2>"$T/err"
	has "$T/err" hello
}

@test "-O - keeps both" {
	run -0 --separate-stderr daemonize -O - sh -c 'echo out; echo err >&2'
	expect "$output" out
	expect "$stderr" err
}

@test "- keeps the caller's standard input" {
	daemonize -i - -o "$T/log" cat <<<hello
	has "$T/log" hello
}

@test "- means /dev/null for a stream that the caller has closed" {
	from --close 0,1,2
	start -i - -O -
	for fd in 0 1 2; do
		expect "$(field fd.$fd)" "* /dev/null"
	done
}

@test "a file named - needs a path" {
	says -o ./-
	has "$T/-" out
}

# ---- Appending and truncating ----

@test "a log is appended to" {
	echo before >"$T/log"
	says -o "$T/log"
	has "$T/log" $'before\nout'
}

@test "-a is accepted, and appends" {
	echo before >"$T/log"
	says -a -o "$T/log"
	has "$T/log" $'before\nout'
}

@test "--truncate empties the logs first" {
	echo before | tee "$T/out" >"$T/err"
	says --truncate -o "$T/out" -e "$T/err"
	has "$T/out" out
	has "$T/err" err
}

@test "--truncate still opens for appending" {
	start --truncate -o "$T/log"
	expect "$(field fd.1)" "w append=1 *"
}

@test "--truncate leaves standard input alone" {
	echo hello >"$T/input"
	daemonize --truncate -i "$T/input" -o "$T/log" cat
	has "$T/log" hello
}

@test "--truncate leaves alone what is not a regular file" {
	start --truncate -o /dev/zero
	expect "$(field fd.1)" "w append=1 cloexec=0 /dev/zero"
}

@test "a start that fails before its command is executed truncates no log" {
	need_root
	echo before >"$T/log"
	mkdir jail
	fails 127 "daemonize: *" daemonize --truncate -o "$T/log" -R jail nosuch
	fails 1 "daemonize: *" daemonize --truncate -o "$T/log" -c "$T/log" true
	expect "$(cat "$T/log")" before
}

@test "a refused start truncates no log" {
	start -p "$T/app.pid"
	echo before >"$T/log"
	run -3 daemonize --truncate -p "$T/app.pid" -o "$T/log" true
	expect "$(cat "$T/log")" before
}

@test "a refused start creates no log" {
	start -p "$T/app.pid"
	run -3 daemonize -p "$T/app.pid" -o "$T/log" true
	[ ! -e "$T/log" ]
}

@test "a start that is refused for its lock creates no log" {
	start -l "$T/app.lock"
	run -3 daemonize -l "$T/app.lock" -o "$T/log" true
	[ ! -e "$T/log" ]
}

@test "a log that is copied and truncated goes on from its beginning" {
	daemonize -o "$T/log" sh -c 'echo one; while [ ! -e "$1" ]; do sleep 0.02; done; echo two' sh "$T/go"
	has "$T/log" one
	cp "$T/log" "$T/log.1" && : >"$T/log"
	touch "$T/go"
	has "$T/log" two
	expect "$(wc -c <"$T/log")" 4
}

@test "a log that is renamed is still written to" {
	daemonize -o "$T/log" sh -c 'while [ ! -e "$1" ]; do sleep 0.02; done; echo two' sh "$T/go"
	mv "$T/log" "$T/log.1"
	touch "$T/go"
	has "$T/log.1" two
	[ ! -e "$T/log" ]
}

# ---- Two names of one file ----

# shared OPTION...: standard output and standard error are one open file description.
shared() {
	says -p "$T/app.pid" "$@"
	has "$T/log" $'out\nerr'
	pid=$(cat "$T/app.pid")
	expect "$(position "$pid" 1) $(position "$pid" 2)" "8 8"
}

@test "-O opens the file once" { shared -O "$T/log"; }
@test "-o and -e of one name open the file once" { shared -o "$T/log" -e "$T/log"; }
@test "-o and -e of one file by two paths open it once" { shared -o "$T/log" -e "$T/bin/../log"; }
@test "-o and -e of one file, relative and absolute, open it once" { shared -o log -e "$T/log"; }

@test "a log that is the pidfile by another name is a usage error, even if neither exists" {
	mkdir run
	ln -s run link
	for log in ./app.pid run/../app.pid "$T/app.pid" link/../run/app.pid; do
		file=app.pid
		[[ $log != link/* ]] || file=run/app.pid
		fails 2 "daemonize: cannot use '$log' as a stream: it is the pidfile. *" daemonize --truncate -p $file -O "$log" target dump "$report"
		[ ! -e $file ]
	done
	daemonize -p run/app.pid -O app.pid true
	daemonize -p run/other.pid -O run/log true
}

@test "-o and -e of one file by a symbolic link open it once" {
	ln -s log "$T/link"
	shared -o "$T/link" -e "$T/log"
}

@test "-o and -e of one file by a hard link open it once" {
	touch "$T/log"
	ln "$T/log" "$T/link"
	shared -e "$T/link" -o "$T/log"
}

@test "--truncate keeps both outputs when -o and -e name one file" {
	echo before >"$T/log"
	shared --truncate -o "$T/log" -e "$T/log"
	end_all
	ln -s log "$T/link"
	shared --truncate -o "$T/log" -e "$T/link"
}

@test "-i and -o may name one file" {
	echo hello >"$T/file"
	daemonize -i "$T/file" -o "$T/file" sh -c 'read -r line; echo "$line too"; exec sleep 60'
	has "$T/file" $'hello\nhello too'
}

# ---- Modes and owners ----

@test "a new log has the mode 0644, whatever the caller's umask" {
	umask 077
	start -o "$T/log"
	expect "$(mode_of "$T/log")" 644
}

@test "a new log obeys -m" {
	start -m 027 -O "$T/log"
	expect "$(mode_of "$T/log")" 640
}

@test "an existing log keeps its mode" {
	touch "$T/log"
	chmod 600 "$T/log"
	start -o "$T/log"
	expect "$(mode_of "$T/log")" 600
}

@test "with -u logs are opened as the caller" {
	need_root
	mkdir -m 700 "$T/private"
	says -u nobody -o "$T/private/log"
	has "$T/private/log" out
	expect "$(stat -c %U "$T/private/log")" root
}

@test "with -u a symbolic link is refused as a log" {
	need_root
	touch "$T/precious"
	as_nobody ln -s "$T/precious" "$T/nobody/log"
	for option in -o -e -O; do
		fails 1 "daemonize: *'$T/nobody/log'*symbolic link*" \
			daemonize -u nobody $option "$T/nobody/log" target dump "$report"
	done
	expect "$(cat "$T/precious")" ""
	nothing_runs
}

@test "with -u a dangling symbolic link creates nothing" {
	need_root
	as_nobody ln -s "$T/new" "$T/nobody/log"
	fails 1 "daemonize: *'$T/nobody/log'*" daemonize -u nobody -o "$T/nobody/log" target dump "$report"
	[ ! -e "$T/new" ]
}

@test "with -u a directory in a log's path may be a symbolic link" {
	need_root
	ln -s . "$T/link"
	says -u nobody -o "$T/link/log"
	has "$T/log" out
}

@test "without -u a symbolic link is followed" {
	ln -s real "$T/log"
	says -o "$T/log"
	has "$T/real" out
}

@test "without -u a dangling symbolic link creates its target, whoever owns its directory" {
	ln -s "$T/pub/new" "$T/log"
	as_nobody daemonize -o "$T/log" target dump "$report"
	reported "$report"
	[ -e "$T/pub/new" ]
}

@test "a log that is the pidfile is a usage error" {
	fails 2 "daemonize: cannot use 'app.pid' as a stream: it is the pidfile. Try*" daemonize -p app.pid -o app.pid true
	ln -s app.pid alias
	touch app.pid
	fails 2 "daemonize: cannot use 'alias' as a stream: it is the pidfile. Try*" daemonize -p app.pid -i alias true
}

@test "a log with the same inode number as the pidfile, but on another file system, is accepted" {
	need_root
	for directory in one other; do
		mkdir "$T/$directory"
		mount -t tmpfs none "$T/$directory"
		touch "$T/$directory/file"
	done
	[ "$(stat -c %i one/file)" = "$(stat -c %i other/file)" ] || skip "needs file systems that count alike"
	start -p one/file -o other/file
	expect "$(cat one/file)" "$pid"
}

# ---- What cannot be opened ----

# cannot_log FILE REASON [OPTION...]: no start with such a log; the message names it and says why.
cannot_log() {
	fails 1 "daemonize: *'$1'*: $2" daemonize "${@:3}" -o "$1" target dump "$report"
	fails 1 "daemonize: *'$1'*: $2" daemonize "${@:3}" -e "$1" target dump "$report"
	nothing_runs
}

@test "a log in a missing directory is refused" { cannot_log "$T/nosuch/log" "[Nn]o *directory*"; }
@test "a directory is refused as a log" { cannot_log "$T/bin" "Is a directory"; }
@test "a directory is refused as standard input" {
	fails 1 "daemonize: cannot open '$T/bin': Is a directory" daemonize -i "$T/bin" -o "$T/log" target dump "$report"
	nothing_runs
	[ ! -e "$T/log" ]
}

@test "a log below a file is refused" { cannot_log "$T/bin/target/log" "Not a directory"; }

@test "a log that may not be written is refused" {
	touch "$T/log"
	if ! is_root; then chmod 444 "$T/log"; fi
	fails 1 "daemonize: *'$T/log'*: Permission denied" as_nobody daemonize -o "$T/log" target dump "$report"
	nothing_runs
}

@test "a log in a directory that may not be written is refused" {
	is_root || chmod 555 "$T/bin"
	fails 1 "daemonize: *'$T/bin/log'*: Permission denied" as_nobody daemonize -o "$T/bin/log" target dump "$report"
	chmod 755 "$T/bin"
}

@test "a log on a full file system is refused, whether it exists or not" {
	need_root
	mkdir "$T/full"
	mount -t tmpfs -o size=16k,nr_inodes=5 none "$T/full"
	touch "$T/full/old"
	dd if=/dev/zero of="$T/full/filler" bs=4k 2>/dev/null || true
	cannot_log "$T/full/old" "No space left on device"
	cannot_log "$T/full/new" "No space left on device"
}

@test "a log on a file system without inodes left is refused" {
	need_root
	mkdir "$T/full"
	mount -t tmpfs -o size=1m,nr_inodes=2 none "$T/full"
	touch "$T/full/last"
	cannot_log "$T/full/new" "No space left on device"
}

@test "a log on a read-only file system is refused" {
	need_root
	mkdir "$T/ro"
	mount -t tmpfs -o size=16k,ro none "$T/ro"
	cannot_log "$T/ro/log" "Read-only file system"
}

@test "a missing file is refused as standard input" {
	fails 1 "daemonize: *'$T/nosuch'*: No such file or directory" \
		daemonize -i "$T/nosuch" target dump "$report"
	nothing_runs
}

@test "an empty name is refused" {
	for option in -i -o -e -O; do
		run daemonize $option '' target dump "$report"
		expect "$status" "[12]"
	done
	nothing_runs
}

# no_log_beside OPTION...: when these fail, the log that could be opened is not created either.
no_log_beside() {
	run -1 daemonize -o "$T/log" "$@" target dump "$report"
	[ ! -e "$T/log" ] && nothing_runs
}

@test "the first log is not created when the directory of the second is missing" { no_log_beside -e "$T/nosuch/log"; }
@test "the first log is not created when the second is a directory" { no_log_beside -e "$T/bin"; }
@test "no log is created when standard input is missing" { no_log_beside -i "$T/nosuch"; }
@test "no log is created when the working directory is missing" { no_log_beside -c "$T/nosuch"; }
@test "no log is created when the working directory is a file" { no_log_beside -c "$T/bin/target"; }
@test "no log is created when the new root is missing" { no_log_beside -R "$T/nosuch"; }
@test "no log is created when the new root is a file" { no_log_beside -R "$T/bin/target"; }
@test "no log is created when the pidfile cannot be created" { no_log_beside -p "$T/nosuch/app.pid"; }
@test "no log is created when the user is unknown" { no_log_beside -u nosuchuser; }
@test "no log is created when an fd to keep is not open" { no_log_beside -k 77; }

@test "the first log is not created when the second is a FIFO that nobody reads" {
	mkfifo "$T/fifo"
	no_log_beside -e "$T/fifo"
}

@test "with -u, the first log is not created when the second is a symbolic link" {
	need_root
	ln -s "$T/precious" "$T/link"
	no_log_beside -u nobody -e "$T/link"
}

@test "no log is created when the command is not found" {
	run -127 daemonize -o "$T/log" nosuch-command
	[ ! -e "$T/log" ]
}

@test "the first log is not truncated when the second cannot be opened" {
	echo before >"$T/log"
	for second in "$T/nosuch/log" "$T/bin"; do
		run -1 daemonize --truncate -o "$T/log" -e "$second" target dump "$report"
		expect "$(cat "$T/log")" before
	done
}

# ---- Other kinds of file ----

@test "a log that is a FIFO without a reader does not hang the start" {
	mkfifo "$T/fifo"
	run in_time daemonize -o "$T/fifo" target dump "$report"
	[ "$status" -le 1 ]
}

@test "standard input that is a FIFO without a writer does not hang the start" {
	mkfifo "$T/fifo"
	run in_time daemonize -i "$T/fifo" target dump "$report"
	[ "$status" -le 1 ]
}

@test "a socket is refused as a log, and not mistaken for a FIFO" {
	need perl
	perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die' "$T/socket"
	fails 1 "daemonize: *'$T/socket'*" daemonize -o "$T/socket" target dump "$report"
	[[ $stderr != *FIFO* ]]
}

@test "a FIFO with a reader is a log like any other, and blocks as it should" {
	mkfifo "$T/fifo"
	exec 8<>"$T/fifo"
	in_time daemonize -p "$T/app.pid" -o "$T/fifo" sh -c 'echo hello; exec sleep 60'
	read -r -t 5 line <&8
	expect "$line" hello
	flags=$(flags_of "$(cat "$T/app.pid")" 1)
	expect "non-blocking: $((flags & 04000))" "non-blocking: 0"
}

@test "a terminal as a stream does not become the controlling terminal" {
	target terminal "$T/terminal" 3>&- &
	wait_until 20 test -e "$T/terminal"
	caller=(setsid --wait)
	start -f -i "$T/terminal" -o "$T/terminal" &
	reported "$report"
	expect "$(field fd.0)" "r * /dev/pts/*"
	expect "$(field tty)" none
}

@test "a log that has filled the disk itself can be truncated" {
	need_root
	mkdir full
	mount -t tmpfs -o size=4k none full
	dd if=/dev/zero of=full/log bs=4k count=1 2>/dev/null
	daemonize --truncate -o full/log echo hello
	has full/log hello
}

@test "on a full disk a log is refused, but a FIFO or a device is not" {
	need_root
	mkdir full
	mount -t tmpfs -o size=4k none full
	mkfifo full/fifo
	mknod full/null c 1 3
	: >full/log
	dd if=/dev/zero of=full/fill bs=4k count=1 2>/dev/null
	for log in full/log full/new; do
		fails 1 "daemonize: cannot write to '$log': No space left on device" daemonize -o "$log" target dump "$report"
	done
	nothing_runs
	exec 8<>full/fifo
	daemonize -o full/null -e full/fifo sh -c 'echo hello >&2'
	read -r -t 5 line <&8
	expect "$line" hello
	exec 8<&-
}

@test "a file system that reports no size does not count as full" {
	[ -e /proc/self/comm ] || skip "needs /proc"
	daemonize -o /proc/self/comm true
}

@test "/dev/full is an error for the daemon, not for the start" {
	start -o /dev/full
	expect "$(field fd.1)" "w append=1 cloexec=0 /dev/full"
}
