#!/usr/bin/env bats
# The pidfile is the truth: complete when the start returns, one instance at a time, nobody else's file touched.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # inner shells; helper.bash shares variables

load helper

# again OPTION...: one more start, with a report of its own.
again() {
	rm -f "$report"
	start "$@"
}

end_daemon() {
	kill "$pid"
	wait_until 10 gone "$pid"
}

# holds PID [FILE]: the pidfile contains the PID, and nothing else.
holds() { cmp <(echo "$1") "${2:-app.pid}"; }

# refuses PATTERN OPTION...: a start with these options is refused, because one is already running.
refuses() { fails 3 "daemonize: already running ($1)" timeout 20 daemonize "${@:2}" target dump "$T/pub/second"; }

# lock_on FILE: the record lock on it, as the kernel reports it: "READ 1234".
lock_on() {
	awk -v inode=":$(stat -c %i "$1")$" '$2 == "POSIX" && $6 ~ inode { print $4, $5 }' /proc/locks
}

# hold COMMAND...: runs it beside the test; sets held.
hold() {
	"$@" >/dev/null 2>&1 3>&- &
	held=$!
	own "$held"
}

# The PID of a process that has exited.
dead_pid() { sh -c 'echo $$'; }

# Everything about a file that could change.
state_of() { stat -c '%F %i %h %a %u:%g %s %y' "$1" && { [ ! -f "$1" ] || cksum <"$1"; }; }

milliseconds() { echo $(((${EPOCHREALTIME/./} - $1) / 1000)); }

# ---- What is in it ----

@test "the pidfile is complete when the start returns" {
	for _ in {1..50}; do
		rm -f app.pid
		pid=$(daemonize -P -p app.pid sleep 60)
		holds "$pid"
		alive "$pid"
		kill "$pid"
	done
}

@test "kill with the pidfile's PID terminates the daemon" {
	start -p app.pid
	kill "$(cat app.pid)"
	wait_until 10 gone "$pid"
}

@test "the pidfile has mode 0644, whatever the umask and -m" {
	for mask in 000 022 077 777; do
		umask $mask
		again -p app.pid -m 077
		expect "$(stat -c %a app.pid)" 644
		end_daemon
		rm app.pid
	done
}

@test "a stale pidfile that others could write, or could not read, gets mode 0644" {
	for mode in 666 600; do
		echo garbage >app.pid
		chmod $mode app.pid
		again -p app.pid
		expect "$(stat -c %a app.pid)" 644
		end_daemon
	done
}

@test "the pidfile is the caller's" {
	cd nobody
	as_nobody daemonize -p app.pid target dump "$report"
	reported "$report"
	holds "$pid"
	expect "$(stat -c %U app.pid)" "$(as_nobody id -un)"
}

@test "the pidfile is the caller's even with -u" {
	need_root
	start -p app.pid -u nobody
	holds "$pid"
	expect "$(stat -c %u:%g:%a app.pid)" 0:0:644
}

@test "the daemon's one fd of the pidfile is read-only, and 10 or above" {
	start -p app.pid
	expect "$(grep -F "$T/app.pid" "$report" | grep ^fd)" "fd.1[0-9]=r append=0 cloexec=0 $T/app.pid"
}

@test "the kernel's lock names the daemon" {
	start -p app.pid
	expect "$(lock_on app.pid)" "READ $pid"
}

@test "a relative pidfile is resolved in the caller's directory, wherever the daemon goes" {
	start -p ./app.pid -c /usr
	expect "$(field cwd)" /usr
	holds "$pid"
	refuses "pid $pid" -p "$T/app.pid"
}

@test "a pidfile may be below a symbolic link to a directory" {
	mkdir run
	ln -s run varrun
	start -p varrun/app.pid
	holds "$pid" run/app.pid
}

# ---- One at a time ----

@test "a second start is refused, and names the running PID" {
	start -p app.pid
	refuses "pid $pid" -p app.pid
	expect "$(ours)" "$pid"
}

@test "a refused start leaves the pidfile unchanged" {
	start -p app.pid
	before=$(state_of app.pid)
	refuses "pid $pid" -p app.pid
	refuses "pid $pid" -r -p app.pid
	expect "$(state_of app.pid)" "$before"
	expect "$(lock_on app.pid)" "READ $pid"
}

@test "another user's start is refused too" {
	start -p app.pid
	run -3 --separate-stderr as_nobody daemonize -p "$T/app.pid" true
	expect "$stderr" "daemonize: already running (pid $pid)"
}

@test "a killed daemon can be started again at once, silently" {
	start -p app.pid
	for _ in {1..20}; do
		kill -KILL "$pid"
		wait_until 10 gone "$pid"
		run -0 --separate-stderr daemonize -p app.pid sleep 60
		expect "$output$stderr" ""
		pid=$(cat app.pid)
		alive "$pid"
	done
}

@test "a child that outlives the daemon does not block the next start" {
	daemonize -p app.pid target fork "$report"
	reported "$report"
	child=$(field child)
	kill -KILL "$pid"
	wait_until 10 gone "$pid"
	alive "$child"
	again -p app.pid
	holds "$pid"
}

@test "a daemon that closes every fd is found running, and can be started again after it exits" {
	daemonize -p app.pid target closeall "$report"
	reported "$report"
	expect "$(lock_on app.pid)" ""
	refuses "pid $pid" -p app.pid
	holds "$pid"
	end_daemon
	again -p app.pid
	holds "$pid"
}

@test "a daemon that closes every fd is found running where timestamps are whole seconds" {
	daemonize -p app.pid target closeall "$report"
	reported "$report"
	touch -d "@$(stat -c %Y app.pid)" app.pid
	refuses "pid $pid" -p app.pid
}

@test "a daemon that opens and closes its own pidfile is found running" {
	daemonize -p app.pid target openclose "$T/app.pid" "$report"
	reported "$report"
	expect "$(lock_on app.pid)" ""
	refuses "pid $pid" -p app.pid
	holds "$pid"
}

@test "an unlocked pidfile counts if it names a living process older than itself" {
	hold sleep 60
	echo "$held" >app.pid
	refuses "pid $held" -p app.pid
	holds "$held"
}

@test "blanks around the PID in a pidfile, and lines after it, are ignored" {
	hold sleep 60
	for line in ' \t%s \n' '%s\r\n' '%s\t\n# the number of the server\n'; do
		# shellcheck disable=SC2059 # a format
		printf "$line" "$held" >app.pid
		refuses "pid $held" -p app.pid
	done
}

# Even if the process has never called exec.
@test "an unlocked pidfile that is old, or from the future, is a daemon's, not that of a start in progress" {
	mkfifo fifo
	(while :; do read -rt 600 <>"$T/fifo" || true; done) 3>&- &
	own $!
	echo $! >app.pid
	older() { expect "$(($(date +%s%N) - $(date -r app.pid +%s%N) > 1100000000))" 1; }
	wait_until 10 older
	timeout 20 daemonize --ok-if-running -p app.pid true
	touch -d '+1 hour' app.pid
	fails 3 "daemonize: already running (pid $!); if that is another process*" \
		timeout 20 daemonize --ok-if-running -p app.pid true
}

@test "the launcher's own PID in a pidfile is stale" {
	timeout 20 sh -c 'echo $$ >app.pid && exec daemonize -p app.pid target dump "$0"' "$report"
	reported "$report"
	expect "$(cat app.pid)" "$pid"
}

# in_the_dark STATUS LINE COMMAND...: as "tells", but without /proc.
in_the_dark() {
	need_root
	need unshare
	tells "$1" "$2" unshare -m sh -c 'mount -t tmpfs none /proc && exec "$@"' sh "${@:3}"
}

@test "without /proc an unlocked pidfile counts if it names a living process" {
	sleep 600 &
	echo $! >app.pid
	touch -d '1 hour ago' app.pid
	in_the_dark 3 "daemonize: already running (pid $!)" daemonize -p app.pid true
	in_the_dark 0 "running (pid $!)" daemonize --status -v -p app.pid
}

@test "without /proc a process that holds the lock, but that the pidfile does not name, is not signalled" {
	hold sleep 60
	echo "$held" >app.pid
	target readlock app.pid "$report" &
	reported "$report"
	in_the_dark 1 "daemonize: cannot signal pid $!: 'app.pid' cannot be trusted: a process that it does not name has locked it" \
		daemonize --stop -p app.pid
	alive $!
}

@test "a pidfile that another process has locked counts as running" {
	hold target lock "$T/app.pid" "$report"
	reported "$report"
	refuses "pid $held" -p app.pid
}

@test "a second start is refused in a PID namespace where the daemon has no PID" {
	need_root
	start -p app.pid
	run -3 --separate-stderr unshare --pid --fork --mount-proc daemonize -p app.pid true
	expect "$stderr" "daemonize: already running (in another PID namespace)"
	holds "$pid"
}

@test "a daemon in a PID namespace is found running, by the PID that it has outside" {
	need_root
	hold unshare --pid --fork --mount-proc sh -c "daemonize -p app.pid target dump '$report'; exec sleep 60"
	reported "$report"
	inner=$pid
	holds "$inner"
	pid=$(lock_on app.pid | cut -d' ' -f2)
	[ "$pid" != "$inner" ]
	refuses "pid $pid" -p app.pid
	holds "$inner"
}

# ---- Stale ones ----

# starts_over CONTENT [TIME]: with that in the file, a start succeeds, and leaves nothing of it.
starts_over() {
	printf '%b' "$1" >app.pid
	touch -d "${2:-now}" app.pid
	run -0 --separate-stderr daemonize -p app.pid target dump "$report"
	expect "$output$stderr" ""
	reported "$report"
	holds "$pid"
	end_daemon
	rm app.pid "$report"
}

@test "the PID of a dead process is stale" {
	starts_over "$(dead_pid)\n"
	starts_over "$(dead_pid)"
}

@test "an empty pidfile is stale" {
	starts_over ''
	starts_over '\n'
}

@test "garbage in a pidfile is stale, even if it contains a living PID" {
	for garbage in garbage "x$$" "$$""x" "-$$" "+$$" "$$.5" "0x$$" '\0000' '\0377\0376' "$$\\0000" \
		"$(printf %031d $$)5"; do
		echo "garbage: $garbage"
		starts_over "$garbage\n"
	done
}

@test "a PID that no daemon can have is stale" {
	for number in 0 1 -1 -2 00 2147483648 4294967297 $((4294967296 + $$)) 99999999999999999999; do
		echo "number: $number"
		starts_over "$number\n"
	done
}

@test "longer old contents leave no tail" {
	starts_over '2147483647\n'
	starts_over "$(printf '%.0s4194303\\n' {1..1000})"
}

# bats test_tags=needs:proc
@test "a recycled PID is stale: the process is younger than the file" {
	hold sleep 60
	starts_over "$held\n" '1 hour ago'
	alive "$held"
}

# begun_at PID EXPRESSION: sets the pidfile's time, in terms of begun, when the process began, and of tick.
begun_at() {
	need python3
	echo "$1" >app.pid
	python3 - "$@" <<-'END'
		import os, sys, time
		tick = 10**9 // os.sysconf('SC_CLK_TCK')
		start = int(open('/proc/' + sys.argv[1] + '/stat').read().rsplit(')', 1)[1].split()[19])
		begun = time.clock_gettime_ns(time.CLOCK_REALTIME) - time.clock_gettime_ns(time.CLOCK_BOOTTIME) + start * tick
		os.utime('app.pid', ns=(eval(sys.argv[2]),) * 2)
	END
}

# bats test_tags=needs:proc
@test "a process that began in the same clock tick as the file's time counts" {
	hold sleep 60
	begun_at "$held" 'begun - tick // 2'
	refuses "pid $held" -p app.pid
}

# bats test_tags=needs:proc
@test "a process up to two seconds younger than the file counts where the file's time is in whole seconds" {
	hold sleep 60
	begun_at "$held" '(begun // 10**9 - 1) * 10**9'
	refuses "pid $held" -p app.pid
	begun_at "$held" '(begun // 10**9 - 3) * 10**9'
	again -p app.pid
}

# bats test_tags=needs:proc
@test "a process is younger than a file whose time is too early to be represented" {
	need_root
	mkdir old
	mount -t tmpfs none old
	hold sleep 60
	echo "$held" >old/app.pid
	touch -d '1600-01-01' old/app.pid
	again -p old/app.pid
	holds "$pid" old/app.pid
}

# bats test_tags=needs:zombies
@test "a zombie's PID is stale" {
	# It exits only after bash, which would reap it, has become sleep.
	hold bash -c '(until grep -q sleep /proc/$$/comm; do sleep 0.02; done) & echo $! >zombie; exec sleep 60'
	wait_until 10 test -s zombie
	wait_until 10 grep -q '^State:.Z' "/proc/$(cat zombie)/status"
	starts_over "$(cat zombie)\n"
}

# ---- Files that are not ours to write ----

# hands_off PATTERN FILE [OPTION...]: the file is refused at once and left untouched, and nothing runs.
hands_off() {
	local before

	before=$(state_of "$2")
	fails 1 "daemonize: *'$2'*$1*" timeout 10 daemonize -p "$2" "${@:3}" target dump "$report"
	expect "$(state_of "$2")" "$before"
	for pid in $(ours); do
		expect "$pid" "${held-}"
	done
}

@test "a symbolic link is refused, and the file behind it is untouched" {
	echo precious >precious
	ln -s precious app.pid
	hands_off 'symbolic link' app.pid
	expect "$(cat precious)" precious
}

@test "a dangling symbolic link is refused, and its target is not created" {
	ln -s made app.pid
	hands_off 'symbolic link' app.pid
	[ ! -e made ]
}

@test "a hard link is refused, and the file behind it is untouched" {
	echo precious >precious
	ln precious app.pid
	hands_off 'hard link' app.pid
	expect "$(cat precious)" precious
}

@test "a FIFO is refused without waiting" {
	mkfifo app.pid
	hands_off 'not a regular file' app.pid
}

@test "a FIFO with a reader is refused, too" {
	mkfifo app.pid
	hold sh -c 'exec cat app.pid'
	wait_until 10 grep -q cat "/proc/$held/comm"
	hands_off 'not a regular file' app.pid
}

@test "a FIFO is refused without being opened: a waiting writer keeps waiting" {
	mkfifo app.pid
	hold sh -c 'echo >app.pid'
	wait_until 10 grep -q '^State:.S' "/proc/$held/status"
	hands_off 'not a regular file' app.pid
	alive "$held"
}

@test "a pidfile or a log that is the command is a usage error, and the command is untouched" {
	cp bin/target app
	for option in "-p app" "-p ./app" "-O app" "--truncate -e $T/app"; do
		# shellcheck disable=SC2086 # an option and its value
		fails 2 "daemonize: cannot write to '*app': it is the command. *" daemonize $option ./app dump "$report"
	done
	cmp app bin/target
}

@test "a pidfile or a log that is the command inside -R is a usage error, too" {
	mkdir -p root/bin
	cp bin/target root/bin/app
	fails 2 "daemonize: cannot write to '*app': it is the command. *" daemonize -R root -p "$T/root/bin/app" /bin/app dump "$report"
	fails 2 "daemonize: cannot write to '*app': it is the command. *" daemonize -R root -O root/bin/app /bin/app dump "$report"
	cmp root/bin/app bin/target
}

@test "a directory is refused" {
	mkdir app.pid
	hands_off 'not a regular file' app.pid
}

@test "a device is refused" {
	hands_off 'not a regular file' /dev/null
	hands_off 'not a regular file' /dev/zero
}

@test "another user's file is refused, even for root" {
	need_root
	echo garbage >app.pid
	chown nobody app.pid
	hands_off 'another user' app.pid
	hands_off 'another user' app.pid -u daemon
}

@test "another user's file in a sticky directory is refused" {
	need_root
	as_nobody sh -c "echo garbage >'$T/pub/app.pid'"
	hands_off 'another user' "$T/pub/app.pid"
}

@test "a file that belongs to the user of -u is taken over, and becomes the caller's" {
	need_root
	for file in app.pid pub/app.pid nobody/app.pid; do
		dead_pid >"$file"
		chown nobody:nogroup "$file"
		again -p "$file" -u nobody
		holds "$pid" "$file"
		expect "$(stat -c %u:%g:%a "$file")" 0:0:644
		end_daemon
	done
}

@test "a file of root's that the caller may write is replaced by one of the caller's" {
	need_root
	dead_pid >nobody/app.pid
	chmod 666 nobody/app.pid
	as_nobody daemonize -p "$T/nobody/app.pid" target dump "$report"
	reported "$report"
	holds "$pid" nobody/app.pid
	expect "$(stat -c %U:%a nobody/app.pid)" nobody:644
}

@test "a file that others may write is refused where it cannot be replaced" {
	need_root
	for mode in 666 664; do
		for owner in root nobody; do
			dead_pid >app.pid
			chown $owner app.pid
			chgrp "$(id -g nobody)" app.pid
			chmod $mode app.pid
			before=$(state_of app.pid)
			fails 1 "daemonize: cannot replace pidfile '$T/app.pid': Permission denied" \
				as_nobody daemonize -p "$T/app.pid" true
			expect "$(state_of app.pid)" "$before"
		done
	done
}

@test "a file of the caller's own is written in place where it cannot be replaced" {
	need_root
	for text in '' "$(dead_pid)" 'much more than a PID, so that a tail could be left'; do
		rm -f "$report"
		echo "$text" >app.pid
		chown nobody app.pid
		before=$(stat -c %i app.pid)
		as_nobody daemonize -p "$T/app.pid" target dump "$report"
		reported "$report"
		holds "$pid"
		expect "$(lock_on app.pid)" "READ $pid"
		expect "$(stat -c %i:%U:%a app.pid)" "$before:nobody:644"
		expect "$(grep -F "$T/app.pid" "$report" | grep ^fd)" "fd.1[0-9]=r append=0 cloexec=0 $T/app.pid"
		fails 3 "daemonize: already running (pid $pid)" as_nobody daemonize -p "$T/app.pid" true
		end_daemon
	done
}

@test "a pidfile that is a mount point is written in place" {
	need_root
	need unshare
	dead_pid >real.pid
	: >app.pid
	unshare --mount -- sh -c 'mount --bind real.pid app.pid && exec "$@"' sh \
		daemonize -p "$T/app.pid" target dump "$report"
	reported "$report"
	holds "$pid" real.pid
	expect "$(lock_on real.pid)" "READ $pid"
	expect "$(grep -c '^fd.[0-9]*=.*[.]pid' "$report")" 1
	expect "$(echo *.pid*)" "app.pid real.pid"
}

@test "a process that had the old pidfile open for writing cannot write to the new one" {
	dead_pid >app.pid
	exec 7<>app.pid
	start -p app.pid
	echo 1234567 >&7
	holds "$pid"
	exec 7>&-
}

@test "a pidfile with the longest possible name or path is written in place" {
	for file in "$(printf %0255d 0)" "$T$(printf '/.%.0s' {1..2048} | cut -c "-$((4095 - ${#T} - 8))")/app.pid"; do
		again -p "$file"
		holds "$pid" "$file"
		refuses "pid $pid" -p "$file"
		end_daemon
	done
}

# bats test_tags=needs:native,no-valgrind
@test "a start never waits for the pidfile's lock" {
	need strace
	dead_pid >app.pid
	strace -qq -f -e 'trace=/^fcntl' -o trace daemonize -p app.pid true
	grep -q F_SETLK trace
	run -1 grep F_SETLKW trace
}

@test "a start that succeeds, fails or is refused leaves nothing beside the pidfile" {
	start -p pub/app.pid
	end_daemon
	rm "$report"
	run -126 daemonize -p pub/app.pid "$T/bin"
	run -127 daemonize -p pub/app.pid nosuch
	run -1 daemonize -p pub/app.pid -R / -c "$T" "$T/nosuch" 2>/dev/null || true
	start -p pub/app.pid
	run -3 daemonize -p pub/app.pid true
	expect "$(ls -A pub)" $'app.pid\nreport'
}

@test "a pidfile that the caller may not write is refused" {
	need_root
	echo garbage >app.pid
	before=$(state_of app.pid)
	fails 1 "daemonize: *'$T/app.pid'*: Permission denied" as_nobody daemonize -p "$T/app.pid" true
	expect "$(state_of app.pid)" "$before"
}

@test "a missing directory is named" {
	fails 1 "daemonize: *'nosuch/app.pid'*'nosuch'*" daemonize -p nosuch/app.pid target dump "$report"
	nothing_runs
}

@test "a directory that may not be written is refused" {
	need_root
	fails 1 "daemonize: *'$T/app.pid'*: Permission denied" as_nobody daemonize -p "$T/app.pid" true
	[ ! -e app.pid ]
}

@test "the directory of a pidfile just below / is /" {
	fails 1 "daemonize: cannot open pidfile '/daemonize-test.pid': [PR]e*" \
		as_nobody daemonize -p /daemonize-test.pid true
}

@test "a read-only file system is refused" {
	need_root
	mkdir full
	mount -t tmpfs -o ro none full
	fails 1 "daemonize: *'full/app.pid'*: Read-only file system" daemonize -p full/app.pid target dump "$report"
	nothing_runs
}

@test "on a full disk nothing is started, and no pidfile is left" {
	need_root
	mkdir full
	mount -t tmpfs -o size=4k none full
	dd if=/dev/zero of=full/fill bs=4k count=1 2>/dev/null
	fails 1 "daemonize: *'full/app.pid'*: No space left on device" daemonize -p full/app.pid target dump "$report"
	nothing_runs
	expect "$(ls full)" fill
}

@test "a pidfile beyond the limit on file sizes is an error, and none is left" {
	for option in -p -fp; do
		# With 1, part of the PID can be written.
		for bytes in 0 1; do
			# Standard error is a pipe, which has no such limit.
			run -1 bash -o pipefail -c 'prlimit --fsize="$0" "$@" 2>&1 | cat' $bytes daemonize $option app.pid true
			expect "$output" "daemonize: cannot write pidfile 'app.pid': File too large"
			[ ! -e app.pid ]
		done
	done
}

@test "on a file system without locks nothing is started, and no pidfile is left" {
	need strace
	run -1 --separate-stderr strace -f -qq -o trace -P "$T/app.pid" -e "inject=/^fcntl(64)?\$:error=ENOLCK" \
		daemonize -p "$T/app.pid" target dump "$report"
	expect "$stderr" "daemonize: *'$T/app.pid'*: No locks available"
	grep -q ENOLCK trace
	nothing_runs
	[ ! -e app.pid ]
}

# ---- A start that fails ----

# leaves_none STATUS OPTION... -- COMMAND...: the start fails, and leaves neither pidfile nor process.
leaves_none() {
	fails "$1" "daemonize: cannot *" daemonize -p app.pid "${@:2}"
	[ ! -e app.pid ]
	nothing_runs
}

@test "a start that fails leaves no pidfile" {
	printf '\177ELF\0\0\0\0broken' >broken
	printf '#!/no/such\n' >script
	chmod +x broken script
	leaves_none 126 ./broken
	leaves_none 126 ./script
	leaves_none 126 "$T"
	leaves_none 127 nosuch-command
	leaves_none 1 -c nosuch true
	leaves_none 1 -o nosuch/log true
	dead_pid >app.pid
	leaves_none 126 ./broken
}

@test "a start that fails in the daemon, away from the caller's directory, leaves no pidfile" {
	need_root
	leaves_none 1 -R / -c /no/such true
	leaves_none 126 -c / -u nobody "$T/nobody"
}

# bats test_tags=needs:native,no-valgrind
@test "-f that fails leaves alone a pidfile that has meanwhile become another daemon's" {
	need strace
	strace -qq -o /dev/null -e trace=execve -e inject=execve:error=EACCES:delay_enter=1500000:when=1 \
		"$T/bin/daemonize" -f -p "$T/app.pid" /bin/true 3>&- 2>said &
	strace=$!
	wait_until 10 test -s app.pid
	rm app.pid
	start -p app.pid
	status=0
	wait $strace || status=$?
	expect "$status" 126
	holds "$pid"
}

@test "-f that fails leaves no pidfile, even if it has changed its directory" {
	printf '\177ELF\0\0\0\0broken' >broken
	chmod +x broken
	mkdir run
	fails 126 "daemonize: cannot *" daemonize -f -c / -p run/app.pid ./broken
	[ ! -e run/app.pid ]
}

@test "a refused start of a broken command leaves the running daemon's pidfile alone" {
	printf '\177ELF\0\0\0\0broken' >broken
	chmod +x broken
	start -p app.pid
	run -3 daemonize -p app.pid ./broken
	holds "$pid"
	expect "$(lock_on app.pid)" "READ $pid"
}

# ---- Callers who have the pidfile open themselves ----

@test "an inherited fd of the pidfile does not cost the daemon its lock" {
	for file in app.pid "$(printf %0255d 0)"; do # which is replaced, and which is written in place
		# shellcheck disable=SC2094 # that is the point
		start -p "$file" 9>"$file" 8<"$file" 10<"$file"
		expect "$(lock_on "$file")" "READ $pid"
		refuses "pid $pid" -p "$file"
		end_daemon
	done
}

@test "standard streams that are the pidfile do not cost the daemon its lock" {
	: >app.pid
	# shellcheck disable=SC2094 # that is the point
	start -p app.pid <app.pid >app.pid 2>&1
	expect "$(lock_on app.pid)" "READ $pid"
	holds "$pid"
	refuses "pid $pid" -p app.pid
}

@test "closed standard streams do not cost the daemon its lock" {
	for closed in 0 0,1,2; do
		from --close $closed
		again -p app.pid
		expect "$(lock_on app.pid)" "READ $pid"
		run -3 target with --close $closed -- daemonize -p app.pid target dump "$T/pub/second"
		holds "$pid"
		end_daemon
	done
}

# ---- -l, as bmc/daemonize has it ----

@test "-f removes its pidfile even from a directory that it cannot read" {
	mkdir -m 333 blind
	! is_root || chown nobody blind
	printf '\177ELF\0\0\0\0broken' >broken
	chmod +x broken
	fails 126 "daemonize: cannot execute './broken': *" as_nobody daemonize -f -p blind/app.pid ./broken
	[ ! -e blind/app.pid ]
}

@test "with few fds the lock's fd is below 10" {
	from --nofile 10
	start -p "$T/app.pid" -l "$T/app.lock"
	expect "$(grep -c "^fd.[0-9]=.*$T/app[.]" "$report")" 2
	fails 3 "daemonize: already running (pid $pid)" daemonize -p app.pid true
}

@test "with all fds from 10 up in use the lock's fd is below 10" {
	from --open 10,11 --nofile 12
	start -p "$T/app.pid" -k 10,11
	expect "$(grep -c "^fd.[0-9]=.*$T/app[.]pid" "$report")" 1
	expect "$(lock_on app.pid)" "READ $pid"
}

@test "-p and -l that name one file in two ways, before it exists, mean the same as -p" {
	start -p app.pid -l ./app.pid
	flock --nonblock app.pid true
	refuses "pid $pid" -p app.pid -l ./app.pid
}

@test "-l takes a lock that flock(1) respects" {
	start -l app.lock
	run -1 flock --nonblock app.lock true
	end_daemon
	flock --nonblock app.lock true
}

@test "-l respects the lock of flock(1)" {
	hold flock app.lock sleep 60
	wait_until 10 is_locked app.lock
	refuses "lock '*app.lock' is held" -l app.lock
	[ ! -e pub/second ]
}
is_locked() { ! flock --nonblock "$1" true; }

@test "-l refuses a second start" {
	start -l app.lock
	refuses "lock '*app.lock' is held" -l app.lock
	expect "$(ours)" "$pid"
}

@test "-l with -p names the running PID" {
	start -l app.lock -p app.pid
	refuses "pid $pid" -l app.lock -p app.pid
	refuses "pid $pid" -p app.pid
	refuses "lock '*app.lock' is held" -l app.lock
}

@test "-l leaves the file's content alone" {
	echo precious >app.lock
	before=$(state_of app.lock)
	start -l app.lock
	run -3 daemonize -l app.lock true
	end_daemon
	expect "$(state_of app.lock)" "$before"
}

@test "-l creates a file that no other user can lock to block the next start" {
	(umask 0 && start -l app.lock)
	expect "$(stat -c %a app.lock)" 600
}

@test "-l creates the file" {
	start -l app.lock
	[ -f app.lock ]
	[ ! -s app.lock ]
}

@test "-l takes a directory, or any file that can be read" {
	mkdir lock
	start -l lock
	refuses "lock '*lock' is held" -l lock
}

@test "-l takes a FIFO without waiting" {
	mkfifo lock
	caller=(timeout 20)
	start -l lock
	refuses "lock '*lock' is held" -l lock
}

@test "-l takes a terminal, which does not become the controlling terminal" {
	hold target terminal "$T/terminal"
	wait_until 10 test -e terminal
	caller=(setsid --wait)
	start -f -l "$T/terminal" &
	reported "$report"
	expect "$(field tty)" none
}

@test "-l is relative to the caller's directory" {
	start -l app.lock -c /
	[ -f "$T/app.lock" ]
	refuses "*" -l "$T/app.lock"
}

@test "-l without permission is refused" {
	need_root
	fails 1 "daemonize: *'$T/app.lock'*: Permission denied" as_nobody daemonize -l "$T/app.lock" true
}

@test "-l in a missing directory is refused" {
	fails 1 "daemonize: *'nosuch/app.lock'*" daemonize -l nosuch/app.lock target dump "$report"
	nothing_runs
}

@test "a child that outlives the daemon holds the lock of -l" {
	daemonize -l app.lock target fork "$report"
	reported "$report"
	child=$(field child)
	end_daemon
	refuses "lock '*app.lock' is held" -l app.lock
	kill "$child"
	wait_until 10 gone "$child"
	again -l app.lock
}

@test "-l of the pidfile itself means the same as -p" {
	for lock in app.pid ./app.pid "$T/app.pid"; do
		daemonize -p app.pid -l "$lock" target fork "$report"
		reported "$report"
		holds "$pid"
		expect "$(grep -c '^fd.*/app\.pid' "$report")" 1
		refuses "pid $pid" -p app.pid -l "$lock"
		refuses "pid $pid" -p app.pid
		kill -KILL "$pid"
		wait_until 10 gone "$pid"
		again -p app.pid -l "$lock"
		end_daemon
		rm "$report" app.pid
		end_all
	done
}

@test "-l and bmc/daemonize's -l respect each other" {
	bmc=$(dpkg -L daemonize 2>/dev/null | grep 'bin/daemonize$') || skip "needs bmc/daemonize"
	"$bmc" -p "$T/bmc.pid" -l "$T/app.lock" /bin/sleep 60 3>&-
	wait_until 10 test -s bmc.pid
	refuses "lock '*app.lock' is held" -l app.lock
	pid=$(cat bmc.pid)
	end_daemon
	start -l app.lock
	run ! "$bmc" -l "$T/app.lock" /bin/true
}

@test "a stale pidfile that bmc/daemonize gave to the user of -u does not block a start" {
	need_root
	bmc=$(dpkg -L daemonize 2>/dev/null | grep 'bin/daemonize$') || skip "needs bmc/daemonize"
	"$bmc" -u nobody -p "$T/pub/app.pid" /bin/sleep 60 3>&-
	wait_until 10 test -s pub/app.pid
	pid=$(cat pub/app.pid)
	expect "$(stat -c %U pub/app.pid)" nobody
	refuses "pid $pid" -u nobody -p pub/app.pid
	end_daemon
	start -u nobody -p pub/app.pid
	holds "$pid" pub/app.pid
	expect "$(stat -c %U pub/app.pid)" root
}

# ---- What to do if it runs: -r, -w, --ok-if-running ----

# wait_for_turn OPTION...: a start that has to wait; sets waiter.
wait_for_turn() {
	rm -f "$report"
	daemonize -v "$@" target dump "$report" >/dev/null 2>"$T/waiter" 3>&- &
	waiter=$!
	wait_until 10 grep -q waiting "$T/waiter"
}

# takes_its_turn PID: the waiter is up as soon as the daemon has exited.
takes_its_turn() {
	local ended

	alive "$waiter"
	[ ! -e "$report" ]
	ended=${EPOCHREALTIME/./}
	kill -KILL "$1"
	wait "$waiter"
	expect "in time: $(($(milliseconds "$ended") < 10000))" "in time: 1"
	reported "$report"
}

# gives_up SECONDS OPTION...: -w SECONDS exits with 124 when the time is up, and not before.
gives_up() {
	local begun=${EPOCHREALTIME/./} took

	fails 124 "daemonize: *" daemonize -w "$@" target dump "$T/pub/second"
	took=$(milliseconds "$begun")
	expect "$1 s: $((took >= $(printf %.0f "${1}e3") && took < 10000)) ($took ms)" "$1 s: 1 (*"
	[ ! -e pub/second ]
}

@test "-w starts as soon as the running daemon has exited" {
	start -p app.pid
	wait_for_turn -w 60 -p app.pid
	takes_its_turn "$pid"
	holds "$pid"
}

@test "-w inf waits, too" {
	start -p app.pid
	wait_for_turn -w inf -p app.pid
	takes_its_turn "$pid"
	holds "$pid"
}

@test "-w starts as soon as a daemon that has lost its lock has exited" {
	daemonize -p app.pid target closeall "$report"
	reported "$report"
	wait_for_turn -w 60 -p app.pid
	takes_its_turn "$pid"
	holds "$pid"
}

@test "-w gives up when the time is up, and names the PID" {
	start -p app.pid
	gives_up 0.5 -p app.pid
	expect "$stderr" "daemonize: *pid $pid*"
	gives_up 1 -p app.pid
	gives_up 0 -p app.pid
	holds "$pid"
}

# bats test_tags=needs:native,needs:watch
@test "-w makes no system calls while it waits" {
	need strace
	start -p app.pid
	calls() {
		run -124 strace -f -qq -o "$T/trace" daemonize -w "$1" -p app.pid target dump "$T/pub/second"
		wc -l <"$T/trace"
	}
	briefly=$(calls 0.2)
	expect "cheap: $(($(calls 2) < briefly + 5))" "cheap: 1"
}

@test "-w starts at once when nothing runs" {
	start -w 60 -p app.pid
	holds "$pid"
}

@test "-w with -l starts as soon as the lock is free" {
	start -l app.lock
	wait_for_turn -w 60 -l app.lock
	takes_its_turn "$pid"
	run -1 flock --nonblock app.lock true
}

@test "-w with -l gives up when the time is up" {
	start -l app.lock
	gives_up 0.5 -l app.lock
	gives_up 0 -l app.lock
	expect "$(ours)" "$pid"
}

@test "-w inf with -l waits, too" {
	start -l app.lock
	wait_for_turn -w inf -l app.lock
	takes_its_turn "$pid"
}

# rotated_meanwhile OPTION...: a start that waits writes to the new log, not to the one that was moved.
rotated_meanwhile() {
	echo old >app.log
	daemonize -v -w 60 "$@" -O app.log sh -c 'echo new; exec sleep 60' >/dev/null 2>"$T/waiter" 3>&- &
	waiter=$!
	wait_until 10 grep -q waiting "$T/waiter"
	mv app.log app.log.1
	kill "$pid"
	wait "$waiter"
	wait_until 10 test -s app.log
	expect "$(cat app.log.1):$(cat app.log)" old:new
}

@test "-w does not write to a log that was rotated while it waited" {
	start -p app.pid
	rotated_meanwhile -p app.pid
}

@test "-w with -l does not write to a log that was rotated while it waited" {
	start -l app.lock
	rotated_meanwhile -l app.lock
}

@test "-w with --truncate does not empty a log that was rotated while it waited" {
	start -l app.lock
	rotated_meanwhile --truncate -l app.lock
}

@test "-w reports at once, not after the wait, that a log cannot be opened" {
	start -p app.pid
	fails 1 "daemonize: cannot open log 'nosuch/log': no such directory 'nosuch'" \
		timeout 10 daemonize -w inf -p app.pid -O nosuch/log true
}

@test "-w with -l gives up in time, whatever signals the caller has blocked or ignored" {
	start -l app.lock
	for how in --block --ignore; do
		fails 124 "daemonize: gave up waiting: lock 'app.lock' is still held" timeout -s KILL 10 \
			target with $how ALRM,TERM,CHLD -- daemonize -w 0.3 -l app.lock true
	done
}

@test "-w with -l lets the caller's alarm go off" {
	need perl
	start -l app.lock
	run -142 timeout -s KILL 10 perl -e 'alarm 1; exec @ARGV' daemonize -w inf -l app.lock true
}

@test "-w with -p and -l waits for both" {
	start -p app.pid -l app.lock
	wait_for_turn -w 60 -p app.pid -l app.lock
	takes_its_turn "$pid"
	holds "$pid"
	wait_for_turn -w inf -p app.pid -l app.lock
	takes_its_turn "$pid"
	holds "$pid"
}

@test "--ok-if-running succeeds silently when the daemon is running" {
	start -p app.pid -l app.lock
	for options in '-p app.pid' '-l app.lock' '-p app.pid -l app.lock'; do
		# shellcheck disable=SC2086 # several
		run -0 --separate-stderr daemonize --ok-if-running $options target dump "$T/pub/second"
		expect "$output$stderr" ""
	done
	expect "$(ours)" "$pid"
}

# bats test_tags=needs:native,needs:proc,no-valgrind
@test "--ok-if-running waits for a start that is still in its exec, and starts the daemon if that fails" {
	need strace
	for option in --truncate -f; do
		rm -f "$report" app.pid
		strace -qq -f -o /dev/null -e trace=execve -e inject=execve:error=EACCES:delay_enter=2500000:when=1 \
			"$T/bin/daemonize" $option -p "$T/app.pid" /bin/true 3>&- 2>said &
		strace=$!
		wait_until 10 test -s app.pid
		start --ok-if-running -p app.pid
		holds "$pid"
		status=0
		wait $strace || status=$?
		expect "$status $(<said)" "126 daemonize: cannot execute '/bin/true': Permission denied"
		end_daemon
	done
}

@test "--ok-if-running is not satisfied with a stranger's lock" {
	need_root
	need setpriv
	dead_pid >app.pid
	hold setpriv --reuid=nobody --clear-groups "$T/bin/target" readlock app.pid "$T/pub/holder"
	wait_until 10 test -e pub/holder
	refuses "pid $held" --ok-if-running -p app.pid
}

@test "--ok-if-running starts a daemon that is not running" {
	start --ok-if-running -p app.pid
	holds "$pid"
}

@test "--ok-if-running fails when the command cannot be found" {
	fails 127 "daemonize: *'nosuch-command'*" daemonize --ok-if-running -p app.pid nosuch-command
}

@test "the last of -r, -w and --ok-if-running wins" {
	start -p app.pid
	refuses "pid $pid" -w 60 -r -p app.pid
	refuses "pid $pid" --ok-if-running --refuse-if-running -p app.pid
	fails 124 "daemonize: *" daemonize -r --wait-if-running 0.1 -p app.pid true
	fails 124 "daemonize: *" daemonize -p app.pid --ok-if-running -w 0 true
	run -0 daemonize -w 60 -r --ok-if-running -p app.pid true
	expect "$(ours)" "$pid"
}
