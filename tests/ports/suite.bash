# What the scripts beside it share: builds for other systems, and the suite with each of them. A test whose
# promise cannot hold there is tagged with what it needs, and left out; one that skips counts as failed. Tests of
# what is around the program do not depend on the build, and those of faults count the calls of one build.
# shellcheck shell=bash

T=$(mktemp -d "${TMPDIR:-/tmp}/ports.XXXXXX") || exit
trap 'rm -rf "$T"' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$T"
passed=0 failed=0
below=() # a command that runs the suite
unset MAKEFLAGS MFLAGS MAKELEVEL

# An init that reaps at once, if we may have one: some builds count a zombie as alive.
alone=(unshare --pid --fork --kill-child --mount-proc)
"${alone[@]}" true 2>/dev/null || alone=()

# wrong WORDS...: counts one more that has failed.
wrong() {
	printf '%s\n' "$*"
	failed=$((failed + 1))
}

goals=(daemonize tests/target tests/racer)

# build NAME [VARIABLE=VALUE...]: runs make with these, in the directory $T/NAME.
build() {
	local directory=$T/$1

	mkdir -p "$directory/tests" && cp -R Makefile daemonize.c src "$directory" && cp tests/*.c "$directory/tests" &&
		make -s -C "$directory" "${@:2}" "${goals[@]}" >"$T/log" 2>&1 && return
	cat "$T/log"
	wrong "not ok $1 cannot be built"
	return 1
}

# suite NAME LACKS TEST...: tests $DAEMONIZE with $TARGET; LACKS is as for the helper's "lacks".
suite() {
	local begun=$SECONDS need filter=('!around' '!faults') good bad

	# Those of another PID namespace cannot be seen.
	[ ${#alone[@]} = 0 ] || filter+=('!needs:kernel-threads')
	for need in ${2//,/ }; do
		filter+=("!needs:$need")
	done
	printf '== %s: ' "$1"
	# bash stays, to reap.
	LACKS=$2 "${alone[@]}" "${below[@]}" bash -c '"$@"; exit $?' bash bats --jobs "${JOBS:-1}" \
		--filter-tags "$(IFS=, && echo "${filter[*]}")" "${@:3}" >"$T/log" 2>&1 </dev/null
	bad=$(grep -cE '^not ok |^ok .* # skip' "$T/log")
	good=$(($(grep -cE '^(not )?ok ' "$T/log") - bad))
	passed=$((passed + good)) failed=$((failed + bad))
	printf '%d of %d passed, %d s\n' "$good" $((good + bad)) $((SECONDS - begun))
	grep -vE '^ok [0-9]+ |^1\.\.' "$T/log"
	grep -E '^ok .* # skip' "$T/log"
	[ $((good + bad)) != 0 ] || wrong "not ok $1: no test was run"
}

# The last line, and the exit status.
sum_up() {
	printf '%d passed, %d failed\n' "$passed" "$failed"
	[ "$failed" = 0 ]
	exit
}
