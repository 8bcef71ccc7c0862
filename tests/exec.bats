#!/usr/bin/env bats
# Which command is run, with what arguments and environment; and what the error is if it cannot be run.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # inner shells; helper.bash shares variables

load helper

# program FILE [LINE...]: an executable file of these lines.
program() {
	mkdir -p "${1%/*}"
	printf '%s\n' "${@:2}" >"$1"
	chmod 755 "$1"
}

# cannot_run STATUS PATTERN COMMAND...: fails like this, and leaves neither process nor pidfile behind.
cannot_run() {
	fails "$1" "daemonize: $2" daemonize -p "$T/app.pid" "${@:3}"
	nothing_runs
	[ ! -e "$T/app.pid" ]
}

# arguments: those of the target after "dump" and its file.
arguments() { grep -aE '^argv\.([3-9]|[1-9][0-9])=' "$report" | cut -d= -f2-; }

# ---- Finding it ----

# bats test_tags=needs:native
@test "a command without a slash is looked up in PATH" {
	start
	expect "$(field exe)" "$T/bin/target"
}

@test "PATH is searched in order" {
	program "$T/a/hello" '#!/bin/sh' 'echo a'
	program "$T/b/hello" '#!/bin/sh' 'echo b'
	PATH=$T/nosuch:$T/b:$T/a:$PATH run -0 daemonize -o - hello
	expect "$output" b
}

@test "a file in PATH that is not executable is passed over" {
	program "$T/a/hello" '#!/bin/sh' 'echo a'
	program "$T/b/hello" '#!/bin/sh' 'echo b'
	chmod 644 "$T/a/hello"
	PATH=$T/a:$T/b:$PATH run -0 daemonize -o - hello
	expect "$output" b
}

@test "a directory in PATH that has the command's name is passed over" {
	mkdir -p "$T/a/hello"
	program "$T/b/hello" '#!/bin/sh' 'echo b'
	PATH=$T/a:$T/b:$PATH run -0 daemonize -o - hello
	expect "$output" b
}

@test "a FIFO in PATH that has the command's name is passed over" {
	mkdir "$T/a"
	mkfifo -m 755 "$T/a/hello"
	program "$T/b/hello" '#!/bin/sh' 'echo b'
	PATH=$T/a:$T/b:$PATH run -0 daemonize -o - hello
	expect "$output" b
}

@test "an entry of PATH that is too long for the command's name is passed over, not cut short" {
	program "$T/a/hell" '#!/bin/sh' 'echo a'
	printf -v entry %-4090s "$T/a"
	run -127 daemonize -E "PATH=${entry// //}" -o - hello
}

@test "relative entries of PATH, and empty ones, are relative to the caller" {
	program "$T/a/hello" '#!/bin/sh' 'echo a'
	PATH=a:$PATH run -0 daemonize -o - hello
	expect "$output" a
	cd "$T/a"
	PATH=:$PATH run -0 daemonize -o - hello
	expect "$output" a
}

@test "-E PATH decides where the command is found" {
	program "$T/a/hello" '#!/bin/sh' 'echo a'
	run -0 daemonize -E "PATH=$T/a:$PATH" -o - hello
	expect "$output" a
	run -127 daemonize -E PATH=/nosuch target exit 0
}

@test "without PATH a default is searched" {
	run -0 env -u PATH "$T/bin/daemonize" -o - ls /dev/null
	expect "$output" /dev/null
}

# bats test_tags=needs:native
@test "a relative command with a slash is relative to the caller" {
	daemonize bin/target dump "$report"
	reported "$report"
	expect "$(field exe)" "$T/bin/target"
	expect "$(field cwd)" /
}

# bats test_tags=needs:native
@test "a relative command with a slash is relative to the caller, not to -c" {
	mkdir "$T/there"
	daemonize -c "$T/there" ./bin/target dump "$report"
	reported "$report"
	expect "$(field exe)" "$T/bin/target"
}

# ---- Its name ----

@test "argv[0] of a command from PATH is as typed" {
	start
	expect "$(field argv.0)" target
}

@test "argv[0] of an absolute command is as typed" {
	daemonize "$T/bin/../bin/target" dump "$report"
	reported "$report"
	expect "$(field argv.0)" "$T/bin/../bin/target"
}

@test "argv[0] of a relative command becomes absolute" {
	daemonize bin/target dump "$report"
	reported "$report"
	expect "$(field argv.0)" "$T/bin/target"
}

@test "argv[0] of a command in . becomes absolute, without the dot" {
	cd "$T/bin"
	daemonize ./target dump "$report"
	reported "$report"
	expect "$(field argv.0)" "$T/bin/target"
}

# ---- Its arguments ----

@test "arguments that look like options go to the command" {
	daemonize target dump "$report" -p x --help -- -V --pidfile=y
	reported "$report"
	expect "$(arguments)" $'-p\nx\n--help\n--\n-V\n--pidfile=y'
}

@test "-- ends the options, and is not an argument" {
	daemonize -- target dump "$report" -- -h
	reported "$report"
	expect "$(arguments)" $'--\n-h'
}

@test "a command may begin with a dash, after --" {
	program "$T/a/-x" '#!/bin/sh' 'echo dash'
	PATH=$T/a:$PATH run -0 daemonize -o - -- -x
	expect "$output" dash
}

@test "arguments may be empty, and hold blanks, newlines and bytes that are not characters" {
	daemonize target dump "$report" '' ' a  b ' $'c\nd' $'\377'
	reported "$report"
	[ "$(arguments)" = $'\n a  b \nc\\nd\n\377' ]
}

@test "thousands of arguments arrive" {
	# shellcheck disable=SC2046 # one argument a word
	daemonize target dump "$report" $(seq 5000)
	reported "$report"
	expect "$(grep -c '^argv\.' "$report")" 5003
	expect "$(field argv.5002)" 5000
}

# ---- Scripts ----

@test "a script is run by its interpreter" {
	program "$T/script" '#!/bin/sh -u' 'echo "$0 $1"'
	run -0 daemonize -o - "$T/script" one
	expect "$output" "$T/script one"
}

@test "a script without #! is run by /bin/sh, with its arguments" {
	program "$T/script" 'echo "$0|$1|$2|$#"'
	run -0 daemonize -o - "$T/script" 'one two' -p
	expect "$output" "$T/script|one two|-p|2"
}

@test "a script without #! is found in PATH too" {
	program "$T/a/script" 'echo "$1"'
	PATH=$T/a:$PATH run -0 daemonize -o - script one
	expect "$output" one
}

@test "a script without #! runs under the PID in the pidfile" {
	program "$T/script" 'echo $$' 'exec sleep 60'
	daemonize -p "$T/app.pid" -o "$T/out" "$T/script"
	wait_until 20 test -s "$T/out"
	expect "$(cat "$T/out")" "$(cat "$T/app.pid")"
}

@test "a script without #! may have binary data after its first line" {
	program "$T/script" 'echo ran; exit'
	printf '\0\0\n' >>"$T/script"
	run -0 daemonize -o - "$T/script"
	expect "$output" ran
}

@test "an empty script is run by /bin/sh" {
	program "$T/script"
	: >"$T/script"
	run -0 --separate-stderr daemonize "$T/script"
	expect "$stderr" ""
}

@test "a path that is too long is not cut to one that exists" {
	long=$(printf '/%.0s' {1..4086})/bin/echo
	cannot_run 126 "cannot *: *name too long" "${long}nosuchprogram"
}

@test "a file that the kernel refuses although it has #! is not run by /bin/sh" {
	for line in "#!/$(printf 'opt/%.0s' {1..80})bin/python3" '#!' '#! '; do
		program "$T/script" "$line" "touch $T/ran"
		cannot_run 126 "cannot execute '$T/script': *" "$T/script"
		[ ! -e "$T/ran" ]
	done
}

@test "-E, -u and --ready set a variable even if the caller's environment has it twice" {
	need python3
	twice=(python3 -c '
import ctypes, os, sys
strings = lambda list: (ctypes.c_char_p * (len(list) + 1))(*[os.fsencode(s) for s in list], None)
names = "NAME", "HOME", "DAEMONIZE_PID"
environment = [f"{k}=/first" for k in names] + [f"{k}={v}" for k, v in os.environ.items()] + [f"{k}=/second" for k in names]
ctypes.CDLL(None).execvpe(os.fsencode(sys.argv[1]), strings(sys.argv[1:]), strings(environment))
' daemonize)
	run -0 "${twice[@]}" -E NAME=new -E HOME=/new -o - env
	expect "$(grep -E '^(NAME|HOME)=' <<<"$output" | sort)" $'HOME=/new\nNAME=new'
	run -0 "${twice[@]}" --ready 'echo $DAEMONIZE_PID >told' sleep 60
	expect "$(cat told)" '[1-9]*'
	! is_root || run -0 "${twice[@]}" -u root -o - env
	! is_root || expect "$(grep -c '^HOME=' <<<"$output")" 1
}

# ---- What cannot be run ----

@test "a command that is not in PATH gives status 127" {
	cannot_run 127 "*'nosuch-command'*" nosuch-command -x
}

@test "a path that does not exist gives status 127" {
	cannot_run 127 "*'$T/nosuch'*" "$T/nosuch"
}

@test "a relative path that does not exist gives status 127" {
	cannot_run 127 "*nosuch/command'*" nosuch/command
}

@test "a shell command line instead of a command gets the hint to use sh -c" {
	for line in 'echo hello' './server --port 80' "$T/bin/target dump" $'target\tdump'; do
		cannot_run 127 "cannot find '*': command not found; to run a shell command line, use sh -c" "$line"
	done
	program "$T/bin/my server" '#!/bin/sh' 'echo >"$DAEMONIZE_TEST/pub/ran"'
	daemonize 'my server'
	wait_until 10 test -e pub/ran
}

@test "the error says so when a path leads through a file" {
	cannot_run 126 "*'$T/bin/target/x'*Not a directory" "$T/bin/target/x"
}

@test "a file without x permission gives status 126" {
	echo 'echo hello' >"$T/script"
	cannot_run 126 "*'$T/script'*Permission denied" "$T/script"
}

@test "a command whose only file in PATH has no x permission gives status 126" {
	program "$T/a/hello" 'echo hello'
	chmod 644 "$T/a/hello"
	PATH=$PATH:$T/a
	cannot_run 126 "*hello'*Permission denied" hello
}

@test "the error for a command not found names a directory of PATH that cannot be searched" {
	mkdir -p "$T/a" "$T/b/hello"
	cd "$T/a"
	chmod 600 .
	local hint="(directory '$T/a' of PATH cannot be searched)"
	for path in "$T/a" "$T/b:$T/a:/nosuch" "$T/a:$T/a/b"; do
		fails 127 "daemonize: cannot find 'hello': command not found $hint" as_nobody env "PATH=$path" "$T/bin/daemonize" hello
	done
	fails 127 "daemonize: cannot find 'hello': command not found (directory '.' of PATH cannot be searched)" \
		as_nobody env PATH=:/nosuch "$T/bin/daemonize" hello
	chmod 755 "$T/a"
}

@test "a directory of PATH that cannot be searched hides neither a command nor one that may not be executed" {
	mkdir -m 600 "$T/a"
	program "$T/b/hello" '#!/bin/sh' 'echo b'
	PATH=$T/a:$T/b:$PATH run -0 as_nobody daemonize -o - hello
	expect "$output" b
	chmod 644 "$T/b/hello"
	PATH=$T/a:$T/b:$PATH fails 126 "daemonize: cannot execute 'hello': Permission denied" as_nobody daemonize hello
	ln -s "$T/a/hello" "$T/b/there"
	PATH=$T/a:$T/b:$PATH fails 126 "daemonize: cannot execute 'there': Permission denied" as_nobody daemonize there
}

@test "a command that is only a directory in PATH gives status 127" {
	mkdir -p "$T/a/hello"
	PATH=$PATH:$T/a
	cannot_run 127 "*hello': command not found" hello
}

@test "a FIFO gives status 126" {
	mkfifo "$T/fifo"
	cannot_run 126 "*'$T/fifo': Permission denied" "$T/fifo"
}

@test "a path that is too long gives status 126" {
	long=$(printf '%04500d' 0)
	cannot_run 126 "cannot find '0*0': File*name too long" "./$long"
	cannot_run 126 "cannot execute '/0*0': File*name too long" "/$long"
}

@test "a directory gives status 126" {
	cannot_run 126 "*'$T/bin'*" "$T/bin"
}

# bats test_tags=no-valgrind
@test "a missing interpreter gives status 126, and is named" {
	program "$T/script" '#!/no/such/interpreter -x'
	cannot_run 126 "*'$T/script'*/no/such/interpreter*" "$T/script"
}

# bats test_tags=no-valgrind
@test "a carriage return in an interpreter's name is not printed raw" {
	program "$T/script" $'#!/bin/sh\r' 'exit 0'
	run -126 --separate-stderr daemonize "$T/script"
	expect "$stderr" "daemonize: *'$T/script'*/bin/sh*"
	run -1 grep -q $'\r' <<<"$stderr"
}

# bats test_tags=no-valgrind
@test "an interpreter that is not executable gives status 126" {
	touch "$T/interpreter"
	program "$T/script" "#!$T/interpreter"
	cannot_run 126 "*'$T/script'*" "$T/script"
}

@test "a broken binary gives status 126, and is not taken for a script" {
	printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0touch %s\n' "$T/ran" >"$T/broken"
	chmod 755 "$T/broken"
	cannot_run 126 "*'$T/broken'*" "$T/broken"
	[ ! -e "$T/ran" ]
}

@test "a script without #! that may not be read gives status 126" {
	need_root
	program "$T/script" "touch $T/pub/ran"
	chmod 711 "$T/script"
	fails 126 "daemonize: *'$T/script'*Exec format error" as_nobody daemonize "$T/script"
	nothing_runs
}

# bats test_tags=no-valgrind
@test "a truncated binary gives status 126" {
	head -c 200 "$T/bin/target" >"$T/broken"
	chmod 755 "$T/broken"
	cannot_run 126 "*'$T/broken'*" "$T/broken"
}

# bats test_tags=no-valgrind
@test "a binary whose dynamic linker is missing gives status 126" {
	need "${CC:-cc}"
	echo 'int main(void) { return 0; }' >"$T/x.c"
	"${CC:-cc}" -o "$T/x" "$T/x.c" -Wl,--dynamic-linker=/no/such/ld.so
	cannot_run 126 "*'$T/x'*" "$T/x"
}

# bats test_tags=no-valgrind
@test "a file that is open for writing gives status 126" {
	cp "$T/bin/target" "$T/busy"
	exec 8>>"$T/busy"
	cannot_run 126 "*'$T/busy'*Text file busy" "$T/busy" exit 0
}

# bats test_tags=no-valgrind
@test "the error says so when the system finds the arguments too long" {
	need strace
	fails 126 "daemonize: *'target'*Argument list too long" \
		strace -f -qq -o "$T/trace" -P "$T/bin/target" -e inject=execve:error=E2BIG \
		daemonize -p "$T/app.pid" target dump "$report"
	[ ! -e "$T/app.pid" ]
}

# bats test_tags=no-valgrind
@test "the error says so when there is no memory for the command" {
	need strace
	fails 126 "daemonize: *'target'*[Mm]emory" \
		strace -f -qq -o "$T/trace" -P "$T/bin/target" -e inject=execve:error=ENOMEM \
		daemonize -p "$T/app.pid" target dump "$report"
	[ ! -e "$T/app.pid" ]
}

# ---- Its environment ----

@test "the environment is passed on" {
	FOO='a b' start
	expect "$(field env.FOO)" 'a b'
}

@test "-E sets a variable, and may be repeated" {
	start -E FOO=bar --env BAZ=
	expect "$(field env.FOO)" bar
	run -0 grep -x 'env.BAZ=' "$report"
}

@test "-E replaces the caller's variable" {
	FOO=old start -E FOO=new
	expect "$(field env.FOO)" new
}

@test "the last -E for a variable wins" {
	start -E FOO=one -E FOO=two
	expect "$(field env.FOO)" two
}

@test "the value of -E may hold anything" {
	start -E $'FOO=a=b "c"\n$d'
	expect "$(field env.FOO)" 'a=b "c"\\n$d'
}

@test "variables that a service manager set for the caller are dropped" {
	export NOTIFY_SOCKET=/x LISTEN_PID=1 LISTEN_FDS=2 LISTEN_FDNAMES=a:b LISTEN_PIDFDID=3 \
		WATCHDOG_PID=1 WATCHDOG_USEC=5000
	start
	run -1 grep -E '^env\.(NOTIFY|LISTEN|WATCHDOG)_' "$report"
}

@test "variables that only look like a service manager's are kept" {
	LISTEN_ADDRESS=:80 WATCHDOG=yes start
	expect "$(field env.LISTEN_ADDRESS)" :80
	expect "$(field env.WATCHDOG)" yes
}

@test "-E can set the variables that are otherwise dropped" {
	NOTIFY_SOCKET=/x start -E NOTIFY_SOCKET=/y -E LISTEN_FDS=1
	expect "$(field env.NOTIFY_SOCKET)" /y
	expect "$(field env.LISTEN_FDS)" 1
}

# bats test_tags=no-valgrind
@test "a start works with an empty environment" {
	env -i "$T/bin/daemonize" "$T/bin/target" dump "$report"
	reported "$report"
	own "$pid"
	run -1 grep '^env\.' "$report"
}

# ---- Core dumps ----

@test "--no-core forbids core dumps, for good" {
	ulimit -Sc "$(ulimit -Hc)"
	start --no-core
	expect "$(field core)" 0
	expect "$(awk '/^Max core/ { print $5, $6 }' "/proc/$pid/limits")" "0 0"
}

@test "without --no-core the limit on core dumps stays" {
	ulimit -c 1000
	start
	expect "$(field core)" $((1000 * 1024))
}

# ---- Another root ----

# new_root: a directory with a static target in /bin, and a place to report to.
new_root() {
	need_root
	need "${CC:-cc}"
	root=$T/root
	report=$root/report
	mkdir -p "$root/bin" "$root/sub"
	"${CC:-cc}" -static -o "$root/bin/static-target" "$here/target.c" || skip "needs a static libc"
}

# start_in_root OPTION...
start_in_root() {
	daemonize -R "$root" "$@" dump /report
	reported "$report"
}

@test "--chroot changes the root directory, and / is the working directory" {
	new_root
	start_in_root /bin/static-target
	expect "$(readlink "/proc/$pid/root")" "$root"
	expect "$(field cwd)" /
}

@test "with --chroot the command is looked up inside the new root" {
	new_root
	start_in_root -E PATH=/nosuch:/bin static-target
	expect "$(readlink "/proc/$pid/exe")" "$root/bin/static-target"
	expect "$(field argv.0)" static-target
}

@test "with --chroot -c means a directory inside the new root" {
	new_root
	start_in_root -c /sub /bin/static-target
	expect "$(field cwd)" /sub
	rm "$report"
	start_in_root -c sub /bin/static-target
	expect "$(field cwd)" /sub
}

@test "with --chroot a relative command with a slash is relative to -c" {
	new_root
	mv "$root/bin/static-target" "$root/sub"
	for directory in /sub sub; do
		rm -f "$report"
		start_in_root -c "$directory" ./static-target
		expect "$(field argv.0)" /sub/static-target
	done
	rm -f "$report"
	start_in_root sub/static-target
	expect "$(field argv.0)" /sub/static-target
}

@test "with --chroot the pidfile and the logs are the caller's" {
	new_root
	cd "$T/pub"
	start_in_root -p app.pid -o app.log /bin/static-target
	expect "$(cat "$T/pub/app.pid")" "$pid"
	[ -e "$T/pub/app.log" ]
}

@test "with --chroot the daemon gets no directory outside the new root through which it could escape" {
	new_root
	mkdir outside
	cannot_run 1 "cannot use lock file 'outside': with -R, it must not be a directory" -R "$root" -l outside /bin/static-target
	for keep in '7 -k 7 7' '0 -i - 0' '1 -o - 1'; do
		fails 1 "daemonize: cannot keep file descriptor ${keep%% *}: with -R, it must not be a directory" \
			sh -c "exec daemonize -R \"\$0\" -e log ${keep#* }<outside true" "$root"
	done
	run -1 sh -c 'exec daemonize -R "$0" -o log -e - true 2<outside' "$root"
	nothing_runs
	[ ! -e log ]
}

@test "--chroot takes a relative directory" {
	new_root
	cd "$T"
	root=root
	start_in_root /bin/static-target
	expect "$(readlink "/proc/$pid/root")" "$T/root"
}

@test "--chroot and -u work together: the user is looked up outside" {
	new_root
	chmod 777 "$root"
	start_in_root -u nobody /bin/static-target
	expect "$(field uid)" "$(id -u nobody):*"
	expect "$(field setuid0)" no
}

@test "a command that is only outside the new root is not found" {
	new_root
	cannot_run 127 "*'$T/bin/target'*" -R "$root" "$T/bin/target"
	cannot_run 127 "*'target'*" -R "$root" target
	mkdir -m 700 "$root/mine"
	cannot_run 127 "cannot find 'target': command not found" -R "$root" -u nobody -E PATH=/mine:/bin target
}

@test "a script without #! fails if the new root has no shell" {
	new_root
	program "$root/bin/script" 'exit 0'
	cannot_run 126 "*" -R "$root" /bin/script
}

@test "a new root that does not exist is refused" {
	need_root
	cannot_run 1 "*'$T/nosuch'*No such file or directory" -R "$T/nosuch" true
}

@test "a file is refused as a new root" {
	need_root
	cannot_run 1 "*'$T/bin/target'*Not a directory" -R "$T/bin/target" true
}

@test "a plain user may not change the root" {
	fails 1 "daemonize: *'$T/pub'*Operation not permitted" as_nobody daemonize -R "$T/pub" true
	nothing_runs
}
