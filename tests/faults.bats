#!/usr/bin/env bats
# bats file_tags=faults
# What the system seldom refuses: each refusal either makes the start fail, say so, and leave nothing behind, or
# makes no difference. strace refuses in the system's place. "make torture" does that to every system call of
# many starts; here are the refusals that take a certain moment, an option or an odd system.
# shellcheck disable=SC2317,SC2016,SC2030,SC2031,SC2154 # inner shells; a test is a subshell; helper.bash assigns

load helper

setup_file() { command -v strace >/dev/null || skip "needs strace"; }

# faulty STRACE-OPTION... -- COMMAND...: runs it with these faults, only for the paths "${on[@]}", if any.
faulty() {
	local options=() path

	for path in "${on[@]}"; do
		options+=(-P "$path")
	done
	while [ "$1" != -- ]; do
		options+=(-e "$1")
		shift
	done
	note strace "${options[@]}" "$@"
	timeout -k 5 60 strace -f -qq -o "$T/trace" "${options[@]}" "$@"
}

# cannot STATUS PATTERN INJECTION... -- COMMAND...: fails with this line, and leaves no process.
cannot() {
	fails "$1" "daemonize: $2" faulty "${@:3}"
	nothing_runs
}

# nth CALL PATTERN COMMAND...: which of its CALLs is the first whose line in strace's output matches the pattern.
nth() {
	strace -qq -yy -e "trace=$1" -e signal=none -o "$T/dry" "${@:3}" >/dev/null 2>&1 || true
	grep -nm1 -- "$2" "$T/dry" | cut -d: -f1
	[ -s "$T/dry" ]
}

# in_place [TEXT]: the pidfile is the caller's own, in a directory where the caller cannot replace it.
in_place() {
	need_root
	need setpriv
	echo "${1-stale}" >app.pid
	chown nobody app.pid
	on=("$T/app.pid")
	as=(setpriv "--reuid=nobody" --clear-groups)
}

no_pidfile() { [ ! -e "$T/app.pid" ]; }

# ---- Before the first fork ----

@test "a caller without fd 0 learns that there is no /dev/null, with --status too" {
	on=(/dev/null)
	cannot 1 "cannot open '/dev/null': No such file or directory" inject=openat,open:error=ENOENT -- \
		target with --close 0 -- daemonize true
	cannot 4 "cannot open '/dev/null': No such file or directory" inject=openat,open:error=ENOENT -- \
		target with --close 0 -- daemonize --status -p app.pid
}

@test "a start that needs /dev/null for the streams fails without it, and says so" {
	on=(/dev/null)
	cannot 1 "cannot open '/dev/null': No such file or directory" inject=openat,open:error=ENOENT -- \
		daemonize -p "$T/app.pid" true
	no_pidfile
}

@test "a user or group database that cannot be read is not taken for an unknown user" {
	need_root
	on=(/etc/nsswitch.conf /etc/passwd)
	cannot 1 "cannot look up user 'nosuchuser': Input/output error" \
		inject=openat,open:error=EIO -- daemonize -u nosuchuser true
	on=(/etc/group)
	cannot 1 "cannot look up the groups of user 'nobody': Input/output error" \
		inject=openat,open:error=EIO -- daemonize -u nobody true
}

@test "a number is not taken for a nameless user or group if the database cannot be read" {
	need_root
	for fault in openat,open:error=EIO openat,open:error=EPERM read,readv:error=EIO; do
		on=(/etc/passwd)
		cannot 1 "cannot look up user '54998': *" inject=$fault -- daemonize -u 54998:54999 true
		cannot 1 "cannot look up user 54998: *" inject=$fault -- \
			setpriv --reuid=54998 --regid=54999 --clear-groups daemonize -g 54999 true
		on=(/etc/group)
		cannot 1 "cannot look up group '54999': *" inject=$fault -- daemonize -u 54998:54999 true
		cannot 1 "cannot look up group '54999': *" inject=$fault -- daemonize -g 54999 true
		cannot 1 "cannot look up the groups of user 'daemon': *" inject=$fault -- daemonize -u daemon true
		on=(/etc/nsswitch.conf /etc/passwd)
		cannot 1 "cannot look up user '54998': *" inject=$fault -- daemonize -u 54998:54999 true
	done
}

@test "without a database of users and groups, as in a small container, numbers still work" {
	need_root
	on=(/etc/passwd /etc/group)
	run -0 --separate-stderr faulty inject=openat,open:error=ENOENT -- daemonize -u 54998:54999 -O - sh -c 'id -u; id -G'
	expect "$output" $'54998\n54999'
}

@test "-l on a file system without flock fails, and says so" {
	cannot 1 "cannot lock 'app.lock': No locks available" inject=flock:error=ENOLCK -- daemonize -l app.lock true
}

@test "-l refuses a socket, and says so" {
	need python3
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
	fails 1 "daemonize: cannot open lock file 'socket': No such device or address" daemonize -l socket true
}

@test "a lock file that may not be opened with O_CREAT, as in a sticky directory, still works" {
	touch app.lock
	on=("$T/app.lock")
	run -0 --separate-stderr faulty inject=openat,open:error=EACCES:when=1 -- daemonize -l "$T/app.lock" true
	expect "$stderr" ""
	grep -q EACCES trace
}

@test "a failure to create a pipe, for the status, a logger or readiness, is reported" {
	none=('inject=pipe2,pipe:error=EMFILE:when=1')
	cannot 1 "cannot create the status channel: Too many open files" "${none[@]}" -- daemonize true
	cannot 1 "cannot create a pipe to '|cat': Too many open files" "${none[@]}" -- daemonize -o '|cat' true
	cannot 1 "cannot create the notification pipe: Too many open files" "${none[@]}" -- daemonize --notify-fd 5 true
}

@test "a failure to create the socket for --notify is reported" {
	cannot 1 "cannot create the notification socket: Too many open files" inject=socket:error=EMFILE -- daemonize --notify true
	nth=$(nth fcntl 'socket:.*F_SETFD\|UNIX.*F_SETFD' daemonize --notify -t 0.1 sleep 5)
	cannot 1 "cannot create the notification socket: Bad file descriptor" "inject=fcntl:error=EBADF:when=$nth" -- \
		daemonize --notify true
}

@test "a failure to allocate memory is reported" {
	nth mmap . daemonize -V
	none=(inject=brk:error=ENOMEM:when=2+ "inject=mmap:error=ENOMEM:when=$(($(wc -l <"$T/dry") + 1))+")
	cannot 1 "cannot allocate memory: Cannot allocate memory" "${none[@]}" -- daemonize -E A=B true
	cannot 1 "cannot allocate memory: Cannot allocate memory" "${none[@]}" -- daemonize --stop -p app.pid
}

@test "a failure to fork, for the daemon or for a logger, is reported" {
	none=('inject=clone,fork,vfork:error=EAGAIN:when=1')
	cannot 1 "cannot fork: Resource temporarily unavailable" "${none[@]}" -- daemonize -p "$T/app.pid" true
	cannot 1 "cannot fork for '|cat': Resource temporarily unavailable" "${none[@]}" -- daemonize -o '|cat' true
	no_pidfile
}

@test "a start fails if a logger cannot leave the session" {
	cannot 1 "cannot fork for '|cat': Operation not permitted" inject=setsid:error=EPERM -- \
		daemonize -o '|cat' true
}

@test "a start fails if a logger cannot be set up" {
	cannot 1 "cannot start '|cat': it ended @(at once|before the daemon was up), with exit status 126" \
		inject=dup2:error=EINTR:when=1 -- daemonize -s 2 -o '|cat' sleep 60
}

@test "an interrupted wait for a logger's start is resumed" {
	# The logger has exited by the time the wait is interrupted.
	cannot 1 "cannot start '|exit 7': it ended at once, with exit status 7" \
		inject=poll,ppoll:error=EINTR:delay_exit=4000000:when=1 -- daemonize -o '|exit 7' true
}

# ---- The status channel ----

# hears INJECTION: this will happen to the launcher's first read from the status channel.
hears() { nth=$(nth read pipe: daemonize true) && injected=inject=read:$1:when=$nth; }

# A daemon killed while it makes the file can leave it empty, but not where the launcher waits for exec.
no_number() { [ ! -s "$T/app.pid" ] && { lacks proc || no_pidfile; }; }

@test "a launcher that cannot read from its daemon terminates it, and leaves no pidfile" {
	hears error=EIO
	cannot 1 "cannot hear from the daemon: Input/output error" "$injected" -- daemonize -p "$T/app.pid" sleep 60
	no_number
	cannot 1 "cannot hear from the daemon: Input/output error" "$injected" -- daemonize -p "$T/app.pid" true
	no_number
}

@test "a launcher that cannot read from its daemon terminates it, even if the middle child has more to say" {
	hears error=EIO
	run -1 --separate-stderr faulty "$injected" -- daemonize -v -p "$T/app.pid" sleep 60
	expect "${stderr_lines[-1]}" "daemonize: cannot hear from the daemon: Input/output error"
	nothing_runs
	no_number
}

@test "a torn report does not count" {
	hears retval=1
	cannot 1 "cannot hear from the daemon: Input/output error" "$injected" -- daemonize -p "$T/app.pid" sleep 60
	no_number
}

@test "an interrupted read from the daemon is repeated" {
	hears error=EINTR
	run -0 --separate-stderr faulty "$injected" -- daemonize target exit 0
	expect "$stderr" ""
}

@test "a daemon that cannot tell its PID to the launcher does not run" {
	# The launcher's own first line is lost as well.
	run -1 --separate-stderr faulty inject=write:error=EPIPE:when=1 -- daemonize -v -p "$T/app.pid" sleep 60
	expect "$stderr" "*daemonize: cannot start 'sleep': died before it was executed"
	nothing_runs
	no_pidfile
}

@test "a start fails if the daemon is killed before it becomes the command" {
	cannot 1 "cannot start 'sleep': killed by signal 9 before it was executed" inject=chdir:signal=KILL -- \
		daemonize -p "$T/app.pid" sleep 60
	no_pidfile
}

# ---- In the daemon ----

@test "a failure to redirect the standard streams is reported" {
	cannot 1 "cannot redirect the standard streams: Interrupted system call" inject=dup2:error=EINTR:when=1 -- daemonize true
	cannot 1 "cannot redirect the standard streams: Interrupted system call" inject=dup2:error=EINTR:when=4 -- \
		daemonize --notify-fd 9 true 9</dev/null
}

@test "a failure to truncate the logs is reported" {
	echo old >app.log
	cannot 1 "cannot truncate the logs: Input/output error" inject=ftruncate:error=EIO -- daemonize --truncate -o app.log true
}

@test "a failure to reset the signals is reported" {
	cannot 1 "cannot reset the signals: Invalid argument" inject=rt_sigaction:error=EINVAL:when=9 -- daemonize true
}

@test "a failure to start a session is reported" {
	cannot 1 "cannot start a session: Operation not permitted" inject=setsid:error=EPERM -- \
		daemonize -p "$T/app.pid" true
	no_pidfile
}

@test "a failure to start a process group is reported" {
	cannot 1 "cannot start a process group: Operation not permitted" inject=setpgid:error=EPERM -- \
		daemonize -p "$T/app.pid" true
	no_pidfile
}

@test "-f reports a failure after the streams are redirected, and leaves no pidfile" {
	cannot 1 "cannot change to directory '/': Input/output error" inject=chdir:error=EIO -- \
		daemonize -f -p "$T/app.pid" true
	no_pidfile
	cannot 1 "cannot change to directory '/': Input/output error" inject=chdir:error=EIO -- daemonize -f true
}

@test "-f leaves the file alone if it fails before it has the pidfile's lock" {
	echo stale >app.pid
	cannot 1 "cannot redirect the standard streams: Interrupted system call" \
		inject=dup2:error=EINTR:when=1 -- daemonize -f -p "$T/app.pid" true
	expect "$(cat app.pid)" stale
}

# beside_nothing: there is neither a pidfile nor a draft of one.
beside_nothing() { expect "$(compgen -G "$T/app.pid*")" ""; }

@test "-f leaves no pidfile if it cannot make, write, lock or name it" {
	draft='app.pid[.][0-9a-f]*'
	while read -r calls pattern error message; do
		nth=$(nth "$calls" "$pattern" daemonize -f -p "$T/app.pid" true)
		rm -f app.pid
		cannot 1 "cannot $message" "inject=$calls:error=$error:when=$nth" -- daemonize -f -p "$T/app.pid" true
		beside_nothing
	done <<-END
		openat,open $draft".*O_EXCL EMFILE replace pidfile '$T/app.pid': Too many open files
		openat,open $draft".*O_RDONLY EMFILE write pidfile '$T/app.pid': Too many open files
		fchmod,fchmodat . EPERM write pidfile '$T/app.pid': Operation not permitted
		pwrite64 . ENOSPC write pidfile '$T/app.pid': No space left on device
		fcntl F_SETLK.*F_RDLCK ENOLCK lock pidfile '$T/app.pid': No locks available
		rename,renameat,renameat2 . EIO replace pidfile '$T/app.pid': Input/output error
	END
}

@test "a start fails if its pidfile cannot be written or named, and an old one stays" {
	for fault in fchmod:error=EPERM pwrite64:error=EIO rename,renameat,renameat2:error=EIO; do
		cannot 1 "cannot re* pidfile '$T/app.pid': *" "inject=rename,renameat,renameat2:error=EIO" -- \
			daemonize -p "$T/app.pid" true
		beside_nothing
		echo stale >app.pid
		cannot 1 "cannot * pidfile '$T/app.pid': *" "inject=$fault" -- daemonize -p "$T/app.pid" true
		expect "$(cat app.pid*)" stale
		rm app.pid
	done
}

@test "a daemon that is killed in the middle of its claim leaves nothing half-written" {
	for moment in fchmod pwrite64 rename,renameat,renameat2; do
		cannot 1 "cannot start 'true': killed by signal 9 before it was executed" "inject=$moment:signal=KILL" -- \
			daemonize -p "$T/app.pid" true
		expect "$(cat app.pid*)" ""
		rm -f app.pid
	done
}

@test "-f leaves nothing if it cannot lock what it has written in place" {
	long=$(printf '%0251d.pid' 0)
	nth=$(nth fcntl F_DUPFD, daemonize -f -p "$long" true)
	rm -f "$long"
	cannot 1 "cannot lock pidfile '$long': Bad file descriptor" "inject=fcntl:error=EBADF:when=$nth" -- \
		daemonize -f -p "$long" true
	expect "$(compgen -G '0*')" ""
}

@test "-f with too few fds fails, and leaves no pidfile" {
	for few in 4 5 6 7 8 9; do
		status=0
		sh -c 'exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&-; ulimit -n "$1"; exec daemonize -f -p app.pid true' sh $few || status=$?
		echo "$few fds: status $status"
		[ "$status" = 0 ] || no_pidfile
		rm -f app.pid
	done
	expect "$status" 0
}

@test "-f reports a failure even if it gets no fd from 10 up" {
	cannot 1 "cannot change to directory '/': Input/output error" inject=chdir:error=EIO -- \
		target with --nofile 8 -- daemonize -f -p "$T/app.pid" true
	no_pidfile
}

@test "-f with a pidfile fails if the directory of the pidfile cannot be opened" {
	on=("$T")
	cannot 1 "cannot open pidfile '$T/app.pid': Too many open files" inject=?open,openat:error=EMFILE -- \
		daemonize -f -p "$T/app.pid" true
	no_pidfile
}

@test "-f goes on if it cannot keep standard error" {
	nth=$(nth fcntl F_DUPFD_CLOEXEC daemonize -f -o - echo up)
	run -0 --separate-stderr faulty "inject=fcntl:error=EMFILE:when=$nth+" -- daemonize -f -o - echo up
	expect "$output" up
	expect "$stderr" ""
}

# ---- The pidfile ----

@test "a failure to read a pidfile, or to query its lock, is reported" {
	on=("$T/app.pid")
	echo 1 >app.pid
	for mode in --status:4 --stop:1; do
		cannot "${mode#*:}" "cannot read pidfile '$T/app.pid': Input/output error" inject=pread64:error=EIO -- \
			daemonize "${mode%:*}" -p "$T/app.pid"
		cannot "${mode#*:}" "cannot open pidfile '$T/app.pid': Input/output error" inject=fstat,newfstatat:error=EIO:when=2 -- \
			daemonize "${mode%:*}" -p "$T/app.pid"
		cannot "${mode#*:}" "cannot lock pidfile '$T/app.pid': No locks available" inject=fcntl:error=ENOLCK -- \
			daemonize "${mode%:*}" -p "$T/app.pid"
	done
	expect "$(cat app.pid)" 1
}

@test "a pidfile that disappears while it is examined counts as missing" {
	on=("$T/app.pid")
	echo 1 >app.pid
	run -3 faulty inject=openat,open:error=ENOENT:when=1 -- daemonize --status -p "$T/app.pid"
	expect "$output" "not running"
}

@test "a failure to open a pidfile a second time is reported" {
	start -p app.pid
	on=("$T/app.pid")
	fails 1 "daemonize: cannot open pidfile '$T/app.pid': Input/output error" \
		faulty inject=openat,open:error=EIO:when=2 -- daemonize --stop -p "$T/app.pid"
	alive "$pid"
}

# fd_below_10 INJECTION: what --status then says of a daemon whose lock is on an fd below 10.
fd_below_10() {
	target with --nofile 10 -- daemonize -p app.pid target dump "$report"
	reported "$report"
	on=("/proc/$pid/fd")
	faulty "$1" -- daemonize --status -p app.pid
}

# bats test_tags=needs:proc
@test "a daemon counts as running even if some of its fds cannot be seen" {
	expect "$(fd_below_10 inject=getdents64:error=EIO)" "running (pid $(<app.pid))"
	grep -q EIO trace
}

# bats test_tags=needs:proc
@test "a lock holder that is younger than the pidfile is not signalled if its fds cannot be seen" {
	: >app.pid
	target readlock app.pid "$report" 3>&- &
	reported "$report"
	echo "$pid" >app.pid
	on=("/proc/$pid/fd")
	faulty inject=openat,open:error=EACCES -- daemonize --signal CONT -p app.pid
	grep -q EACCES trace
	touch -d '-1 hour' app.pid
	expect "$(faulty inject=openat,open:error=EACCES -- daemonize --status -p app.pid)" "running (pid $pid)"
	fails 1 "daemonize: cannot signal pid $pid: 'app.pid' cannot be trusted: that process is younger, or gone" \
		faulty inject=openat,open:error=EACCES -- daemonize --signal KILL -p app.pid
	alive "$pid"
}

# bats test_tags=needs:proc
@test "of a daemon's fds only the lock's is examined: the others may be on a disk that does not answer" {
	start -p app.pid
	run -0 strace -qq -o trace daemonize --status -p app.pid
	expect "$output" "running (pid $pid)"
	run -1 grep getdents trace
}

@test "a start fails if the daemon cannot read the pidfile" {
	on=("$T/app.pid")
	cannot 1 "cannot read pidfile '$T/app.pid': Input/output error" inject=pread64:error=EIO -- \
		daemonize -p "$T/app.pid" true
	no_pidfile
}

@test "a pidfile is written in place if the directory takes no new file, and for no other reason" {
	echo stale >app.pid
	inode=$(stat -c %i app.pid)
	for error in EACCES EPERM EBUSY ENAMETOOLONG ENOENT; do
		faulty inject=rename,renameat,renameat2:error=$error -- daemonize -p "$T/app.pid" sleep 600 3>&- &
		locked() { grep -q "POSIX .* READ $(<app.pid) .*:$inode " /proc/locks; }
		wait_until 10 locked
		wait_until 10 grep -qx sleep "/proc/$(<app.pid)/comm"
		expect "$(stat -c %i app.pid):$(compgen -G 'app.pid*')" "$inode:app.pid"
		kill "$(<app.pid)"
		wait $! || true
	done
	for error in EIO ENOSPC EDQUOT EROFS; do
		cannot 1 "cannot replace pidfile '$T/app.pid': *" inject=rename,renameat,renameat2:error=$error -- \
			daemonize -p "$T/app.pid" true
	done
}

@test "a pidfile written in place that already has the right mode needs no chmod" {
	in_place
	faulty inject=fchmod:error=EPERM -- "${as[@]}" daemonize -p "$T/app.pid" target dump "$report" 3>&- &
	reported "$report"
	has_the_lock
}

@test "a start fails if its pidfile cannot be written in place" {
	in_place
	chmod 600 app.pid
	cannot 1 "cannot write pidfile '$T/app.pid': Operation not permitted" inject=fchmod:error=EPERM -- \
		"${as[@]}" daemonize -p "$T/app.pid" true
	expect "$(cat app.pid*)" stale
	for fault in pwrite64:error=EIO ftruncate:error=EIO; do
		cannot 1 "cannot write pidfile '$T/app.pid': Input/output error" "inject=$fault" -- \
			"${as[@]}" daemonize -p "$T/app.pid" true
		compgen -G "app.pid*"
	done
}

@test "where there are no locks, an old pidfile stays as it is" {
	on=("$T/app.pid")
	echo stale >app.pid
	cannot 1 "cannot lock pidfile '$T/app.pid': No locks available" inject=fcntl:error=ENOLCK:when=2 -- \
		daemonize -f -p "$T/app.pid" true
	expect "$(cat app.pid)" stale
}

@test "a lock that is refused with EACCES, as on some systems, is tried again" {
	on=("$T/app.pid")
	run -0 --separate-stderr faulty inject=fcntl:error=EACCES:when=1 -- \
		timeout 20 daemonize -f -p "$T/app.pid" true
	expect "$stderr" ""
	grep -q EACCES trace
}

# ---- Races, held open by strace ----

# slow INJECTION DAEMONIZE-OPTION...: starts the target, in the background; the start halts for a while there.
slow() {
	faulty "$1:delay_enter=3000000" -- "${as[@]}" daemonize "${@:2}" target dump "$report" >"$T/said" 2>&1 &
	slow=$!
}

# stuck INJECTION DAEMONIZE-OPTION...: the same, for longer than the test lasts.
stuck() {
	faulty "$1:delay_enter=60000000" -- "${as[@]}" daemonize "${@:2}" target dump "$report" >"$T/said" 2>&1 3>&- &
}

# halted PATTERN: waits until the trace shows that the slow start has come to this.
halted() { wait_until 10 grep -q "$1" "$T/trace"; }

slow_ends() {
	status=0
	wait "$slow" || status=$?
	expect "$status" "$1"
	expect "$(cat "$T/said")" "$2"
}

# named: meanwhile the file comes to name a process that holds no lock; sets other.
named() {
	sleep 600 3>&- &
	other=$!
	echo "$other" >app.pid
}

# has_the_lock: the daemon that has reported has the lock, and no other fd of the file.
has_the_lock() {
	grep -q "POSIX .* READ $pid .*:$(stat -c %i app.pid) " /proc/locks
	expect "$(cat app.pid)" "$pid"
	expect "$(grep -c "^fd.*$T/app[.]pid" "$report")" 1
}

# bats test_tags=needs:proc
@test "a stop that comes between the two locks of a start waits for the start's outcome" {
	in_place
	faulty inject=fcntl:when=3:delay_enter=500000 -- "${as[@]}" daemonize -s 0.1 -p "$T/app.pid" \
		target dump "$report" >"$T/said" 2>&1 &
	slow=$!
	halted F_DUPFD
	wait_until 10 grep -qx '[0-9]*' app.pid
	daemonize --stop -p app.pid
	slow_ends '@(0|4)' "*" # not "killed before it was executed"
}

@test "another daemon wins if the pidfile names it just before the lock is taken" {
	slow inject=setsid -p "$T/app.pid"
	halted setsid
	sleep 600 &
	echo $! >app.pid
	slow_ends 3 "daemonize: already running (pid $!)"
	expect "$(cat app.pid)" $!
	[ ! -e "$report" ]
}

@test "a FIFO that takes the file's place just before it is locked is refused" {
	slow inject=setsid -p "$T/app.pid"
	halted setsid
	mkfifo app.pid
	slow_ends 1 "daemonize: cannot use pidfile '$T/app.pid': it is not a regular file"
	[ -p app.pid ] && [ ! -e "$report" ]
}

@test "a symbolic link that takes the file's place just before it is opened is refused" {
	echo precious >victim
	slow inject=setsid -p "$T/app.pid"
	halted setsid
	ln -s victim app.pid
	slow_ends 1 "daemonize: cannot use pidfile '$T/app.pid': it is a symbolic link"
	expect "$(cat victim)" precious
	[ ! -e "$report" ]
}

@test "a FIFO that takes the file's place just before it is looked at is refused, without waiting" {
	on=("$T/app.pid")
	echo stale >app.pid
	mkfifo fifo
	slow inject=openat,open:when=1 -p "$T/app.pid"
	halted open
	mv fifo app.pid
	slow_ends 1 "daemonize: cannot use pidfile '$T/app.pid': it is not a regular file"
	[ -p app.pid ] && [ ! -e "$report" ]
}

@test "a file that is replaced after it was opened, before it is locked, is not written to" {
	on=("$T/app.pid")
	echo stale >app.pid
	slow inject=fcntl:when=2 -f -p "$T/app.pid"
	halted F_SETLK
	mv app.pid moved
	echo garbage >app.pid
	reported "$report"
	expect "$(cat moved)" stale
	has_the_lock
}

@test "a start that locks a file that another start has just replaced is refused" {
	on=("$T/app.pid")
	echo stale >app.pid
	slow inject=fcntl:when=2 -f -p "$T/app.pid"
	halted F_SETLK
	command daemonize -p app.pid sleep 600
	slow_ends 3 "daemonize: already running (pid $(<app.pid))"
	[ ! -e "$report" ]
}

@test "a pidfile that another process makes at the same moment stays, where there are no locks" {
	on=("$T/app.pid")
	faulty inject=openat,open:when=2:delay_enter=3000000 inject=fcntl:error=ENOLCK -- \
		daemonize -f -p "$T/app.pid" true >"$T/said" 2>&1 &
	slow=$!
	halted O_CREAT
	echo another >app.pid
	slow_ends 1 "daemonize: cannot lock pidfile '$T/app.pid': No locks available"
	expect "$(cat app.pid)" another
}

@test "a pidfile that is taken over is never without a PID" {
	echo 2147483646 >app.pid
	stuck inject=rename,renameat,renameat2 -p "$T/app.pid"
	halted rename
	expect "$(cat app.pid)" 2147483646
}

@test "a pidfile that is written in place is never without a PID" {
	in_place 2147483646
	stuck inject=pwrite64 -p "$T/app.pid"
	halted pwrite64
	expect "$(cat app.pid)" 2147483646
}

@test "a start that loses to another truncates no log" {
	echo before >app.log
	slow inject=setsid -p "$T/app.pid" --truncate -o "$T/app.log"
	halted setsid
	named
	slow_ends 3 "daemonize: already running (pid $other)"
	expect "$(cat app.log)" before
}

@test "--status looks again at a daemon that has the lock and may yet fail" {
	stuck inject=chdir -p "$T/app.pid"
	halted chdir
	strace -qq -o looks -e trace=fcntl -P "$T/app.pid" daemonize --status -p "$T/app.pid" || true
	expect "looks: $(($(grep -c F_GETLK looks) > 1))" "looks: 1"
}

# bats test_tags=needs:native,needs:proc,no-valgrind
@test "--ok-if-running gives up on a start that takes more than a minute" {
	need faketime
	content() { faketime -f '+0 x30' "$T/bin/daemonize" --ok-if-running -p "$T/app.pid" true; }
	stuck inject=chdir -p "$T/app.pid"
	halted chdir
	fails 124 "daemonize: gave up waiting: another start (pid $(<app.pid)) has not finished after 60.00 s" content
	rm app.pid
	target lock app.pid locked 3>&- &
	wait_until 10 test -e locked
	fails 124 "daemonize: gave up waiting: another start (pid $!) has not finished after 60.00 s" content
}

@test "a daemon whose launcher has been killed goes on, although nobody reads its messages" {
	slow inject=chdir -v -p "$T/app.pid"
	halted chdir
	kill -KILL "$(head -n1 trace | cut -d' ' -f1)"
	reported "$report"
	has_the_lock
}

@test "a pidfile that is removed after it was opened, before it is locked, is made again" {
	on=("$T/app.pid")
	slow inject=fcntl:when=1 -p "$T/app.pid"
	wait_until 10 test -e app.pid
	rm app.pid
	reported "$report"
	expect "$(cat app.pid)" "$pid"
}

@test "another daemon wins if a pidfile written in place names it just before the final lock" {
	in_place
	slow inject=fcntl:when=3 -p "$T/app.pid"
	halted F_DUPFD
	wait_until 10 grep -qx '[0-9]*' app.pid
	sleep 600 &
	echo $! >app.pid
	slow_ends 3 "daemonize: already running (pid $!)"
	expect "$(cat app.pid)" $!
	[ ! -e "$report" ]
}

@test "a start fails if its pidfile, written in place, is removed before the final lock" {
	for moment in fcntl:when=3 openat,open:when=2; do
		in_place
		slow "inject=$moment" -p "$T/app.pid"
		wait_until 10 grep -qx '[0-9]*' app.pid
		rm app.pid
		slow_ends 1 "daemonize: cannot open pidfile '$T/app.pid': *"
		[ ! -e "$report" ]
	done
}

@test "a start that writes in place waits until another process has released its pidfile" {
	need python3
	in_place
	slow inject=fcntl:when=3 -p "$T/app.pid"
	halted F_DUPFD
	wait_until 10 grep -qx '[0-9]*' app.pid
	# It releases the lock as soon as the start has tried.
	python3 -c 'import fcntl, time
file = open("app.pid", "r+")
fcntl.lockf(file, fcntl.LOCK_EX)
while not any(error in open("trace").read() for error in ("EAGAIN", "EACCES")):
	time.sleep(0.005)' 3>&- &
	reported "$report"
	has_the_lock
}

@test "a start that writes in place does not wait long for another process to release its pidfile" {
	in_place
	slow inject=fcntl:when=3 -p "$T/app.pid"
	halted F_DUPFD
	wait_until 10 grep -qx '[0-9]*' app.pid
	target lock app.pid locked 3>&- &
	wait_until 10 test -e locked
	wait_until 30 test -s said
	slow_ends 3 "daemonize: already running (pid $!)"
	[ ! -e "$report" ]
}

@test "another process wins if it locks a pidfile that was written in place" {
	in_place
	slow inject=fcntl:when=3 -p "$T/app.pid"
	halted F_DUPFD
	wait_until 10 grep -qx '[0-9]*' app.pid
	target readlock app.pid locked 3>&- &
	wait_until 10 test -e locked
	slow_ends 3 "daemonize: already running (pid $!)"
	[ ! -e "$report" ]
}

@test "a start that writes in place fails if it cannot get the final lock, and says so" {
	in_place
	# After a look, the lock for writing, and a higher fd.
	cannot 1 "cannot lock pidfile '$T/app.pid': No locks available" inject=fcntl:error=ENOLCK:when=4 -- \
		"${as[@]}" daemonize -f -p "$T/app.pid" true
	grep -q 'F_RDLCK.*ENOLCK' trace
}

@test "a new pidfile gets its name only when it is locked" {
	echo stale >app.pid
	nth=$(nth fcntl 'F_SETLK.*F_RDLCK' daemonize -f -p "$T/app.pid" true)
	echo stale >app.pid
	stuck "inject=fcntl:when=$nth" -f -p "$T/app.pid"
	halted F_RDLCK
	expect "$(cat app.pid)" stale
}

# draft: the new file that will become the pidfile.
draft() { sed -n 's/.*"\([^"]*app[.]pid[.][0-9a-f]*\)".*/\1/p' trace | head -n 1; }

@test "a file that has taken the temporary name of a new pidfile is neither written to nor locked" {
	for moment in O_EXCL O_RDONLY; do
		rm -f app.pid
		nth=$(nth openat,open "app.pid[.][0-9a-f]*\".*$moment" daemonize -f -p "$T/app.pid" true)
		rm -f app.pid
		echo precious >victim
		slow "inject=openat,open:when=$nth" -f -p "$T/app.pid"
		halted "app.pid[.][0-9a-f]*\".*$moment"
		ln -sf "$T/victim" "$(draft)"
		slow_ends 1 "daemonize: cannot * pidfile '$T/app.pid': *"
		expect "$(cat victim)" precious
		[ ! -e "$report" ]
	done
}

@test "another daemon wins if the file just made for the lock names it, and its file stays" {
	on=("$T/app.pid")
	slow inject=pread64:when=1 -f -p "$T/app.pid"
	halted pread64
	named
	slow_ends 3 "daemonize: already running (pid $other)"
	expect "$(cat app.pid)" "$other"
}

# bats test_tags=needs:proc
@test "--status notices that a daemon exits while it is examined, and names the lock's next holder" {
	for next in nobody another; do
		rm -f "$report" locked
		start -p app.pid
		on=("/proc/$pid/stat")
		faulty inject=openat,open:delay_enter=3000000:when=1 -- daemonize --status -p "$T/app.pid" >"$T/said" 2>&1 &
		slow=$!
		halted stat
		kill -KILL "$pid"
		wait_until 10 test ! -e "/proc/$pid"
		if [ $next = nobody ]; then
			slow_ends 1 "not running, stale pidfile"
		else
			target readlock app.pid locked 3>&- &
			wait_until 10 test -e locked
			slow_ends 0 "running (pid $!)"
		fi
		: >trace
	done
}

@test "-f that loses to another start names the PID that runs" {
	on=("$T/app.pid")
	slow inject=openat,open:when=2 -f -p "$T/app.pid"
	halted openat
	sleep 0.2
	daemonize -p app.pid sleep 600
	slow_ends 3 "daemonize: already running (pid $(cat app.pid))"
	[ ! -e "$report" ]
}

# lost_to INJECTION PATTERN COMMAND...: "-f -w", halted there, loses to the other daemon that this starts, and
# gets the pidfile, and a lock that lasts, when that daemon has exited.
lost_to() {
	on=("$T/app.pid")
	slow "$1" -v -f -w inf -p "$T/app.pid"
	halted "$2"
	"${@:3}"
	wait_until 10 grep -qs -e 'waiting for the other' -e '^pid=' "$T/said" "$report"
	[ ! -e "$report" ]
	expect "$(command daemonize --status -p app.pid)" "running (pid $other)"
	kill "$other"
	reported "$report"
	has_the_lock
}

@test "-f -w that loses to a daemon with the lock gets the lock in the end" {
	with_the_lock() { daemonize -p app.pid sleep 600 && other=$(cat app.pid); }
	lost_to inject=openat,open:when=2 O_CREAT with_the_lock
}

@test "-f -w that loses to a daemon without the lock gets the lock in the end" {
	lost_to inject=openat,open:when=2 O_CREAT named
}

# Closing an fd that is left from before would release the lock.
@test "-f -w that loses to a daemon with the lock gets the lock in the end where it can only write in place" {
	in_place
	locked_in_place() { "${as[@]}" daemonize -p "$T/app.pid" sleep 600 && other=$(cat app.pid); }
	lost_to inject=openat,open:when=2 O_RDWR locked_in_place
}

@test "-f -w that loses to a daemon without the lock gets the lock in the end where it can only write in place" {
	in_place
	lost_to inject=openat,open:when=2 O_RDWR named
}

@test "-f -w that loses at the last moment gets the lock in the end" {
	in_place
	in_the_gap() { wait_until 10 grep -qx '[0-9]*' app.pid && named; }
	lost_to inject=fcntl:when=3 F_DUPFD in_the_gap
}

# rotated_after INJECTION PATTERN OPTION...: a start that has lost a race, and waits, logs to the new log.
rotated_after() {
	on=("$T/app.pid")
	echo old >app.log
	slow "$1" -v -w inf -p "$T/app.pid" -O "$T/app.log" "${@:3}"
	halted "$2"
	named
	wait_until 10 grep -qs 'waiting for the other' "$T/said" app.log
	mv app.log app.log.1
	kill "$other"
	reported "$report"
	expect "$(field fd.1)" "w append=1 cloexec=0 $T/app.log"
	expect "$(field fd.2)" "w append=1 cloexec=0 $T/app.log"
	expect "$(field fd.0)" "rw append=0 cloexec=0 /dev/null"
}

@test "-w that has lost a race does not write to a log that was rotated while it waited" {
	rotated_after inject=openat,open:when=1 O_RDWR
}

@test "-f -w that has lost a race does not write to a log that was rotated while it waited" {
	rotated_after inject=openat,open:when=2 O_CREAT -f
}

# clearing: a stop of a daemon that is gone is about to lock the pidfile, to remove it.
clearing() {
	on=("$T/app.pid")
	echo 2147483646 >app.pid
	faulty inject=fcntl:when=2:delay_enter=3000000 -- daemonize --stop -p "$T/app.pid" >"$T/said" 2>&1 &
	slow=$!
	halted F_SETLK
}

@test "a pidfile that another process locks before it is removed stays" {
	clearing
	target lock app.pid locked 3>&- &
	wait_until 10 test -e locked
	slow_ends 0 ""
	expect "$(cat app.pid)" 2147483646
}

@test "a pidfile that is replaced before it is removed stays" {
	clearing
	cp app.pid new
	mv new app.pid
	slow_ends 0 ""
	expect "$(cat app.pid)" 2147483646
}

@test "a pidfile that comes to name another process before it is removed stays" {
	clearing
	echo 2147483645 >app.pid
	slow_ends 0 ""
	expect "$(cat app.pid)" 2147483645
}

@test "if another start takes the lock file first, and the pidfile, its PID is named" {
	slow inject=flock -p "$T/app.pid" -l "$T/app.lock"
	halted flock
	daemonize -p app.pid -l app.lock sleep 600
	slow_ends 3 "daemonize: already running (pid $(cat app.pid))"
	[ ! -e "$report" ]
}

# The process that was started as "slow": the first that strace has seen.
launcher() { awk 'NR == 1 { print $1 }' "$T/trace"; }

# loses OPTION...: the slow start waits for another daemon to exit, which was faster.
loses() {
	slow inject=setsid -v -w 60 -p "$T/app.pid" "$@"
	halted setsid
	daemonize -p app.pid sleep 600
	wait_until 10 grep -q "waiting for the other instance to exit" "$T/said"
}

@test "a start that has lost a race and waits starts when the winner has exited" {
	loses
	daemonize --stop -p app.pid
	wait_until 10 grep -q "'target' is up" "$T/said"
	reported "$report"
	expect "$(cat app.pid)" "$pid"
}

@test "a start that has lost a race and waits keeps its two loggers apart" {
	loses -o '|cat >out' -e '|cat >err'
	daemonize --stop -p app.pid
	wait_until 10 grep -q "'target' is up" "$T/said"
	reported "$report"
	[ "$(readlink "/proc/$pid/fd/1")" != "$(readlink "/proc/$pid/fd/2")" ]
}

@test "a start that has lost a race and waits can be interrupted" {
	loses
	kill -TERM "$(launcher)"
	wait_until 10 gone "$(launcher)"
	slow_ends 143 "*"
	expect "$(ours)" "$(cat app.pid)"
}

@test "a signal to the launcher while the daemon is born leaves no daemon that it has not reported" {
	slow inject=chdir -P
	halted chdir
	kill -TERM "$(launcher)"
	wait_until 10 gone "$(launcher)"
	reported "$report"
	expect "$(cat said)" "$pid"
}

@test "a daemon is born even if its launcher is killed meanwhile" {
	slow inject=chdir -v -p "$T/app.pid"
	halted chdir
	kill -KILL "$(launcher)"
	reported "$report"
	expect "$(cat app.pid)" "$pid"
}

# bats test_tags=needs:pidfd
@test "a daemon that takes the place of the one to be stopped, before that is pinned, lives on" {
	start -p app.pid
	faulty inject=pidfd_open:delay_enter=1500000 -- daemonize --stop -p "$T/app.pid" >"$T/said" 2>&1 &
	slow=$!
	halted pidfd_open
	kill -KILL "$pid"
	wait_until 10 gone "$pid"
	rm "$report"
	daemonize -p app.pid target closeall "$report"
	reported "$report"
	slow_ends 0 ""
	alive "$pid"
	expect "$(cat app.pid)" "$pid"
}

@test "a daemon that closes the fd of --notify-fd just before it dies is reported as dead" {
	printf '%s\n' '#!/bin/sh' 'exec 5>&-' 'sleep 0.1' 'exit 7' >bin/app
	chmod 755 bin/app
	fails 4 "daemonize: app $(known 'exited with status 7') after *" timeout 60 \
		strace -qq -o "$T/trace" -e inject=nanosleep,clock_nanosleep:delay_exit=2000000 \
		daemonize --notify-fd 5 app
}

# bats test_tags=needs:subreaper
@test "a daemon that dies just after it was found alive is not taken for an orphan: its status is reported" {
	printf '%s\n' '#!/bin/sh' 'sleep 0.2' 'exit 7' >bin/app
	chmod 755 bin/app
	# The first one asks for children that the caller had.
	fails 4 "daemonize: app exited with status 7 after *" timeout 60 \
		strace -qq -o "$T/trace" -e inject=waitid:delay_exit=2000000:when=2 daemonize -s 60 app
}

# guarded PID: right below the mapping with its stack is a page that it may not touch; sets pointer.
guarded() {
	local range access rest below=0 low

	pointer=$(awk '{ print $(NF - 1) }' "/proc/$1/syscall")
	while read -r range access rest; do
		low=$((0x${range%-*}))
		if ((pointer >= low && pointer < 0x${range#*-})); then
			expect "$below $access" "$low rw-p"
			return
		fi
		below=0
		[ "$access" != ---p ] || below=$((0x${range#*-}))
	done <"/proc/$1/maps"
	return 1
}

# bats test_tags=needs:native,needs:proc
@test "each child that borrows the launcher's memory has its own stack, above a page that it may not touch" {
	slow inject=chdir -p "$T/app.pid"
	halted chdir
	guarded "$(awk '/ setsid\(/ { print $1 }' trace)"
	middle=$((pointer))
	guarded "$(awk '/ chdir\(/ { print $1 }' trace)"
	((middle - pointer > 200000)) # the daemon's is the lower one
	reported "$report"
}

# bats test_tags=needs:native
@test "a failure to guard a child's stack is reported" {
	nth=$(nth mprotect PROT_NONE daemonize true)
	cannot 1 "cannot fork: Cannot allocate memory" "inject=mprotect:error=ENOMEM:when=$nth" -- \
		daemonize -p "$T/app.pid" true
	no_pidfile
}

# bats test_tags=needs:native
@test "a start needs little stack, however long its paths are" {
	local stack long=$T

	while [ ${#long} -lt 3600 ]; do
		long+=/$(printf '%0200d' 0)
		mkdir "$long"
	done
	for stack in 80 64; do
		rm -f "$report"
		sh -c 'ulimit -s "$1"; shift; exec "$@"' sh $stack daemonize -v -s 0.1 -p "$long/$stack.pid" \
			-O "$long/log" -l "$long/lock.$stack" -c "$long" target dump "$report"
		reported "$report"
		run -3 --separate-stderr sh -c 'ulimit -s "$1"; shift; exec "$@"' sh $stack daemonize -v \
			-p "$long/$stack.pid" target dump "$report"
		expect "$stderr" "*already running (pid $pid)"
	done
}

# ---- What a system may lack ----

@test "without subreapers a death is still reported" {
	need_root
	need unshare
	run -4 --separate-stderr faulty inject=prctl:error=EINVAL -- daemonize -s 20 -p "$T/app.pid" target exit 7
	expect "$stderr" "daemonize: target ended after *"
	no_pidfile
	nothing_runs
}

@test "a start that is interrupted before the wait leaves no socket" {
	faulty inject=pipe2,pipe:delay_enter=3000000:when=1 trace=mkdir,mkdirat,pipe2,pipe,rmdir,unlinkat -- \
		daemonize --notify -o '|cat' target dump "$report" 2>"$T/said" &
	slow=$!
	halted pipe
	kill -TERM "$(launcher)"
	slow_ends 143 "*"
	directory=$(grep -o '"[^"]*/daemonize\.[^"]*"' "$T/trace" | head -n 1 | tr -d '"')
	expect "$directory" '/*'
	[ ! -e "$directory" ]
	[ ! -e "$report" ]
}

@test "a failure to create the socket for --notify anywhere is reported" {
	cannot 1 "cannot create the notification socket: Permission denied" inject=bind:error=EACCES -- daemonize --notify true
	cannot 1 "cannot create the notification socket: *" inject=bind:error=EINVAL \
		inject=mkdir,mkdirat:error=ENOSPC -- daemonize --notify true
	rmdir "/tmp/daemonize-$(id -u)" || true # unless others use it
}

@test "a failure to give the socket for --notify to the daemon is reported, and no socket is left" {
	for call in fchmodat fchmod fchownat; do
		! is_root && [ $call = fchownat ] && continue
		user=()
		! is_root || user=(-u nobody)
		cannot 1 "cannot create the notification socket '*/daemonize.*/notify': Operation not permitted" \
			"inject=$call:error=EPERM" trace=all -- daemonize --notify "${user[@]}" true
		[[ $stderr =~ \'(/.*)/notify\' ]]
		[ ! -e "${BASH_REMATCH[1]}" ]
	done
}

# bats test_tags=needs:sockets
@test "where no directory will do, the socket has an abstract name" {
	faulty inject=mkdir,mkdirat:error=EROFS -- daemonize --notify -t 20 target notify READY=1 "$report" &
	reported "$report"
	expect "$(field env.NOTIFY_SOCKET)" '@*'
}

# floods COMMAND: makes "app", a daemon each of whose children runs this.
floods() {
	printf '%s\n' '#!/bin/sh' "for i in 1 2 3 4 5 6; do $1 & done" 'exec target dump "$DAEMONIZE_TEST/pub/report"' >bin/app
	chmod 755 bin/app
}

# slowly COMMAND...: it reads more slowly than others write.
slowly() { faulty inject=recvmsg,read:delay_exit=10000 -- "$@"; }

@test "a start gives up in time on a daemon whose messages never end" {
	floods "target flood STATUS=busy"
	fails 124 "daemonize: gave up waiting: app is not ready after * s: busy" slowly daemonize --notify -t 2 app
	nothing_runs
}

# ends_by_interrupt OPTION...: SIGINT ends a start of "app".
ends_by_interrupt() {
	rm -f "$report"
	slowly env --default-signal=INT "$T/bin/daemonize" "$@" app 2>"$T/said" &
	slow=$!
	reported "$report"
	kill -INT "$(launcher)"
	slow_ends 130 "daemonize: interrupted by signal 2 (INT) while waiting for app*"
	nothing_runs
}

@test "SIGINT ends a start whose daemon's messages never end" {
	floods "target flood STATUS=busy"
	ends_by_interrupt --notify
	floods "cat /dev/zero >&5"
	ends_by_interrupt --notify-fd 5
}

@test "a daemon whose messages never end after READY=1 is up" {
	floods "target flood READY=1"
	slowly sh -c '"$@"; echo $? >status; exec kill -KILL $$' sh daemonize --notify app &
	wait_until 40 test -s status
	expect "$(cat status)" 0
}

@test "a start that fails does not listen to other processes forever" {
	slowly daemonize --notify target dump "$report" 2>"$T/said" &
	slow=$!
	reported "$report"
	for _ in 1 2 3; do
		NOTIFY_SOCKET=$(field env.NOTIFY_SOCKET) target flood STATUS=busy 2>/dev/null 3>&- &
	done
	kill -KILL "$pid"
	slow_ends 4 "daemonize: target *"
}

@test "where the kernel lists no children, READY=1 still counts" {
	need_root # whose READY=1 may be a child's
	starts=(daemonize --notify -t 20 sh -c 'sleep 60 & exec target notify READY=1 "$0"' "$report")
	nth=$(nth openat '"[0-9]*/children' "${starts[@]}")
	end_all
	faulty "inject=openat:error=ENOENT:when=$nth" -- sh -c '"$@"; echo $? >status' sh \
		timeout 20 "${starts[@]}" &
	wait_until 20 test -s status
	expect "$(cat status)" 0
	listed_twice
}
# The kernel is asked again, in the hope that it lists children that may have more to say.
listed_twice() { [ "$(grep -c '"[0-9]*/children' "$T/trace")" -ge 2 ]; }
