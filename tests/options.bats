#!/usr/bin/env bats
# The command line: one line says what is wrong with it before anything is done.
# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154 # inner shells; helper.bash shares variables

load helper

# misuse PATTERN ARGUMENT...: status 2 and one line, with a pointer to --help; nothing is done.
misuse() {
	before=$(ls -A "$T" "$T/pub")
	fails 2 "daemonize: $1 Try 'daemonize --help'." command daemonize "${@:2}"
	expect "$(ls -A "$T" "$T/pub")" "$before" && nothing_runs
}

# each_misused OPTION VALUE...: the option refuses each value, and the message shows it.
each_misused() {
	for value in "${@:2}"; do
		echo "value: '$value'"
		misuse "*'$value'*" "$1" "$value" -p "$T/app.pid" -o "$T/log" target dump "$report"
	done
}

@test "start options have no effect on --status, wherever they stand" {
	for options in "-k 9" "--notify-fd 200" "-u nosuchuser" "-c nosuch"; do
		# shellcheck disable=SC2086 # an option and its value
		for words in "$options --status -p none" "--status $options -p none"; do
			run -3 target with --nofile 64 -- daemonize $words
			expect "$output" "not running"
		done
	done
}

@test "-h and -V win over --status, in any order" {
	run -0 daemonize -h --status
	run -0 daemonize --status -V
	expect "$output" "daemonize *"
}

# ---- Usage errors ----

@test "an unknown long option is named" { misuse "*'--nosuch'*" --nosuch target dump "$report"; }
@test "an unknown long option with a value is named" { misuse "*--nosuch*" --nosuch=x target dump "$report"; }
@test "a mistyped long option gets a suggestion, if one is close enough" {
	for word in nofity=notify pid-file=pidfile restat=restart lok=lock signals=signal notifyf=notify; do
		misuse "unknown option '--${word%=*}' (did you mean '--${word#*=}'?)." "--${word%=*}=5" target dump "$report"
	done
	for word in nosuch log env-file x "$(printf 'o%.0s' {1..5000})"; do
		misuse "unknown option '--$word'." "--$word" target dump "$report"
	done
	misuse "unknown option '--'." --=x target dump "$report"
}
@test "an ambiguous abbreviation lists what it could mean" {
	misuse "ambiguous option '--no': --no-core, --notify, --notify-fd." --no target dump "$report"
	misuse "ambiguous option '--std': --stderr, --stdin, --stdout." --std=log target dump "$report"
}
@test "an unknown short option is named" { misuse "*-X*" -X target dump "$report"; }
@test "an unknown short option in a bundle is named" {
	misuse "*'-X'*" -aX target dump "$report"
	misuse "*'-X'*" --truncate -Xa target dump "$report"
}
@test "a missing command is an error" { misuse "*command*"; }
@test "a missing command is an error, after options too" { misuse "*command*" -p "$T/app.pid" -o "$T/log"; }
@test "a missing command is an error, after -- too" { misuse "*command*" -p "$T/app.pid" --; }
@test "an empty command is an error" { misuse "*command*" ''; }
@test "an empty command is an error, with arguments too" { misuse "*command*" -- '' -x; }

@test "an option without its argument is named" {
	for option in -p -l -o -e -i -O -c -R -m -k -E -u -g -w --pidfile --lock --stdout --stderr --stdin \
		--output --chdir --chroot --umask --keep-fd --env --user --group --wait-if-running \
		--ignore-signal --default-signal; do
		misuse "*${option#-}*" "$option"
	done
}

@test "a number is not cut short" {
	misuse "*00035*" -k 00000000000000000000000000000000000003500000 target dump "$report"
	misuse "*00010*" --ignore-signal 0000000000000000000000000000000001000010 target dump "$report"
	misuse "*9999999999*" -s 9999999999 target dump "$report"
	misuse "*'18446744073709551617'*" -s 18446744073709551617 target dump "$report"
}

@test "an empty argument is an error where it is meaningless" {
	for option in -p -l -R -c -m -E -k -u -g -w --ignore-signal --default-signal; do
		misuse "*$option*" $option '' target dump "$report"
	done
}

@test "an argument for an option that takes none is an error" {
	for option in --append --truncate --foreground --print-pid --verbose --no-core --ok-if-running \
		--refuse-if-running --help --version; do
		misuse "*$option*" "$option=x" target dump "$report"
	done
}

@test "a umask is octal, and within 0777" {
	each_misused -m 999 8 x -1 +22 ' 22' '22 ' 022x 0x12 01000 1000000000022 u=rwx
}

@test "a time is a non-negative number of seconds" {
	each_misused -w -1 x 1x nan -inf '1 2' 1,5 -0.5 . ..5 1.5.2
}

@test "a list of signals takes names, and numbers from 1 up" {
	each_misused --ignore-signal 0 -1 65 NOSUCH SIG SIGNOSUCH RTMAX+1 HUP.INT
	each_misused --default-signal 0 USR3
}

@test "an environment variable needs a name and a value" {
	each_misused -E FOO =bar
}

@test "-r, -w and --ok-if-running need a pidfile or a lock" {
	misuse "*-p*" -r target dump "$report"
	misuse "*-p*" -w 1 target dump "$report"
	misuse "*-p*" --ok-if-running target dump "$report"
}

@test "-s, -t and --notify-fd refuse malformed numbers, and --notify excludes --notify-fd" {
	each_misused -s -1 x 1x nan
	each_misused -t -1 x 1x nan
	each_misused --notify-fd -1 x 3x 3,4
	misuse "*--notify*" --notify --notify-fd 3 target dump "$report"
}

@test "a start takes one pidfile, which may be named twice" {
	misuse "a daemon has one pidfile, not '$T/one' and '$T/two'." -p "$T/one" -p "$T/two" target dump "$report"
	misuse "a daemon has one pidfile, not 'one' and 'two'." -p two -p one --pidfile two target dump "$report"
	start -p app.pid -p app.pid
	expect "$(cat app.pid)" "$pid"
}

@test "a -t that is shorter than -s is a usage error" {
	misuse "the time of -t is shorter than that of -s." -s 2 -t 1 -p app.pid -o log target dump "$report"
	misuse "the time of -t is shorter than that of -s." -t 0.09 -s 0.1 --notify target dump "$report"
	start -s 0.1 -t 0.1
}

@test "--status, --stop and --signal need a pidfile, and --status excludes --stop" {
	misuse "*pidfile*" --status
	misuse "*pidfile*" --stop
	misuse "*pidfile*" --signal HUP
	misuse "*" --status --stop -p "$T/app.pid"
	misuse "*'NOSUCH'*" --signal NOSUCH -p "$T/app.pid"
	misuse "*--kill-after*" --kill-after 1 -p "$T/app.pid" true
}

@test "only one of several errors is reported" {
	misuse "*" -m 999 -E FOO -k x --nosuch
}

@test "usage errors come before system errors" {
	misuse "*'999'*" -u nosuchuser -o "$T/nosuch/log" -m 999 target dump "$report"
}

@test "a message stays one line whatever it quotes" {
	fails 127 "daemonize: *" daemonize $'no\nsuch\ncommand'
	fails 1 "daemonize: *" daemonize -o "$T/"$'no\nsuch/log' true
	fails 2 "daemonize: *" daemonize $'--no\nsuch' true
}

# ---- Help and version ----

@test "--help goes to standard output" {
	run -0 --separate-stderr daemonize --help
	expect "$output" "Usage: daemonize *"
	expect "$stderr" ""
}

@test "-h is --help" {
	[ "$(daemonize -h)" = "$(daemonize --help)" ]
}

@test "--help is at most 80 columns wide" {
	expect "$(daemonize --help | awk 'length > 80')" ""
}

@test "--help mentions every exit status" {
	help=$(daemonize --help | sed -n '/^Exit/,$p')
	for status in 0 1 2 3 4 124 126 127; do
		grep -qw "$status" <<<"$help" || expect "$status" "in the help"
	done
}

@test "--version is one line on standard output" {
	run -0 --separate-stderr daemonize --version
	expect "$output" "daemonize [0-9]*"
	expect "${#lines[@]}" 1
	expect "$stderr" ""
	expect "$(daemonize -V)" "$output"
}

@test "--help and --version start nothing" {
	daemonize --help target dump "$report"
	daemonize -V target dump "$report"
	nothing_runs
}

@test "--help and --version fail when their output device is full" {
	for option in --help --version; do
		run -1 sh -c 'daemonize "$1" >/dev/full' sh $option
	done
}

# ---- How options are written ----

@test "short options may be bundled, the last with its argument" {
	run -0 daemonize -vp "$T/app.pid" target dump "$report"
	reported "$report"
	expect "$(cat "$T/app.pid")" "$pid"
}

@test "the argument of a short option may be attached" {
	start "-ap$T/app.pid" -m077
	expect "$(cat "$T/app.pid")" "$pid"
	expect "$(field umask)" 077
}

@test "the argument of a long option may be attached" {
	start "--pidfile=$T/app.pid" --umask=077
	expect "$(cat "$T/app.pid")" "$pid"
	expect "$(field umask)" 077
}

@test "options end at the command" {
	daemonize target dump "$report" -p "$T/app.pid"
	reported "$report"
	expect "$(field argv.3)" -p
	[ ! -e "$T/app.pid" ]
}

@test "when an option is repeated, the last one wins" {
	start -m 077 -m 027 -c / -c "$T"
	expect "$(field umask)" 027
	expect "$(field cwd)" "$T"
}

# ---- What it says ----

@test "a successful start prints nothing" {
	run -0 daemonize -p "$T/app.pid" -o "$T/log" target dump "$report"
	expect "$output" ""
}

@test "-P prints the PID on standard output, and nothing else" {
	run -0 --separate-stderr daemonize -P target dump "$report"
	reported "$report"
	expect "$output" "$pid"
	expect "$stderr" ""
}

@test "-P can be captured" {
	captured=$(daemonize --print-pid -p "$T/app.pid" sleep 60)
	expect "$captured" "$(cat "$T/app.pid")"
}

@test "-P prints nothing when the start fails" {
	fails 127 "daemonize: *" daemonize -P nosuch-command
}

@test "-P with -f prints the PID that the command will have" {
	run -0 daemonize -f -P -o - sh -c 'echo $$'
	expect "${lines[0]}" "${lines[1]}"
}

@test "-P fails when its output device is full, and nothing runs" {
	run -1 --separate-stderr sh -c 'daemonize -P -p "$1" sleep 60 >/dev/full' sh "$T/app.pid"
	expect "$stderr" "daemonize: *No space left on device"
	wait_until 20 nothing_runs
}

@test "-P fails when nobody reads its output, and nothing runs" {
	mkfifo fifo
	for options in -P -fP; do
		fails 1 "daemonize: cannot print the PID: Broken pipe" \
			bash -c 'exec 8<>fifo 9>fifo 8<&-; exec daemonize "$1" sleep 60 >&9 9>&-' bash $options
		wait_until 20 nothing_runs
	done
}

@test "-P fails before anything starts when standard output is closed" {
	run -1 --separate-stderr sh -c 'daemonize -P sleep 60 >&-'
	expect "$stderr" "daemonize: cannot print the PID: standard output is closed"
	nothing_runs
}

@test "-P with -f fails when its output device is full" {
	run -1 --separate-stderr sh -c 'daemonize -f -P sleep 60 >/dev/full'
	expect "$stderr" "daemonize: cannot print the PID: No space left on device"
}

@test "a message that cannot be written does not change the exit status" {
	run -127 sh -c 'daemonize nosuch-command 2>/dev/full'
}

@test "a message is one line, however long its words are" {
	run -1 sh -c 'daemonize -c "$1" true 2>said' sh "/$(printf '%09000d' 0)"
	expect "$(wc -l <said)" 1
	[ "$(wc -c <said)" -le 8192 ]
}

@test "a message shows no control characters, not even those of UTF-8" {
	fails 127 $'daemonize: cannot find \'a\\?\\[b\\?\\?\\[31m\xc3\xa9\': command not found' \
		daemonize $'a\e[b\xc2\x9b[31m\xc3\xa9'
}

@test "-v reports each step on standard error, and nothing on standard output" {
	run -0 --separate-stderr daemonize -v -p "$T/app.pid" -o "$T/log" sleep 60
	expect "$output" ""
	expect "$stderr" "*$T/app.pid*"
	[ "${#stderr_lines[@]}" -gt 3 ]
	run -1 grep -v '^daemonize: ' <<<"$stderr"
}

@test "-v reports the steps of -f, too" {
	run -0 --separate-stderr daemonize -f -v -g "$(id -g)" true
	expect "$output" ""
	expect "$stderr" "*changed the working directory to '/'*"
}

@test "-v reports the PID" {
	run -0 --separate-stderr daemonize -v -p "$T/app.pid" sleep 60
	expect "$stderr" "*$(cat "$T/app.pid")*"
}

@test "-v ends with the reason when the start fails" {
	run -127 --separate-stderr daemonize --verbose nosuch-command
	expect "${stderr_lines[-1]}" "daemonize: *'nosuch-command'*"
}

@test "several flags may be bundled before the option that takes an argument" {
	start -avp "$T/app.pid" 2>"$T/steps"
	expect "$(cat "$T/app.pid")" "$pid"
}
