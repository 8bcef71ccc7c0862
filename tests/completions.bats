#!/usr/bin/env bats
# bats file_tags=around
# The shells' completions, as "make install" installs them and the shells find them. They, --help and the
# manual have the same options as the program.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # other shells; a test is a subshell; helper.bash assigns

load helper

unset MAKEFLAGS MFLAGS MAKELEVEL

# ---- Asking a shell ----

# ask SHELL [QUESTION ANSWER]...: completes each question in an interactive shell. The answer is every word that
# it offers, sorted: of each, the part after the last "=", ",", ":" or "/".
ask() {
	local shell=$1 n=0 questions=() answers=()

	for (( ; $# > 1; )); do
		questions+=("$2") answers+=("$3")
		shift 2
	done
	need make "$shell"
	make -s -C "$here/.." -o daemonize install PREFIX="$T/installed"
	printf '%s\n' "${questions[@]}" >"$T/questions"
	HOME=$T TERM=dumb XDG_DATA_DIRS=$T/installed/share:/usr/share "ask_$shell" >"$T/terminal" 2>&1
	for n in "${!questions[@]}"; do
		note ask "$shell" "${questions[n]}"
		expect "$(sed 's/\t.*//; s:/$::; s:.*[=,/\:]::' "$T/answer.$n" | LC_ALL=C sort -u | xargs)" "${answers[n]}"
	done
}

# on_terminal COMMAND...
on_terminal() { timeout 60 script -qc "$*" /dev/null; }

# Types each question, and the key that inserts all completions; then runs the command that results.
ask_bash() {
	cat >"$T/.bashrc" <<-'END'
		. /usr/share/bash-completion/bash_completion
		complete -W 'alpha beta' target
		bind '"\C-o": insert-completions'
		bind -x '"\C-g": asked=$READLINE_LINE'
		daemonize() {
			read -ra words <<<"$asked."
			[ "daemonize $*" != "$asked" ] && shift $((${#words[@]} - 2)) || shift $#
			printf '%s\n' "$@" >answer.$((n++))
		}
	END
	[ -e /usr/share/bash-completion/bash_completion ] || skip "needs bash-completion"
	{ sed 's/$/\x7\xf/' "$T/questions" && echo exit; } | on_terminal bash --noprofile --rcfile .bashrc -i
}

# A widget that asks the completion system about each question, and a compadd that writes down its matches.
ask_zsh() {
	cat >"$T/.zshrc" <<-'END'
		fpath=($HOME/installed/share/zsh/site-functions $fpath)
		autoload -Uz compinit && compinit -u -D
		compdef '_arguments "*:word:(alpha beta)"' target
		compadd() {
			local matches=()
			if [[ ${argv[1,(i)-|--]} != *-[OAD]\ * ]]; then
				builtin compadd -A matches "$@"
				print -rl -- $matches >>answer.$n
			fi
			builtin compadd "$@"
		}
		zle -C complete list-choices _main_complete
		answer() {
			for BUFFER in ${(f)"$(<questions)"}; do
				CURSOR=$#BUFFER
				: >answer.$((++n))
				zle complete
			done
			exit
		}
		n=-1
		zle -N zle-line-init answer
	END
	ZDOTDIR=$T on_terminal zsh -d -i </dev/null
}

ask_fish() {
	timeout 60 fish -c '
		complete -c target -x -a "alpha beta"
		set n 0
		while read question
			complete -C $question | tee answer.$n
			set n (math $n + 1)
		end' <"$T/questions"
}

# ---- The tables of options ----

# Lines "LETTER LONG ARGUMENT": a letter or "-", the long name, and "yes" or "no".
options_of_program() {
	awk -F '[{",}]+' '/^static const struct option long_options/ { inside = 1; next } /^}/ { inside = 0 }
		inside && $2 != "NULL" {
			letter = $5 ~ /\047/ ? substr($5, 3, 1) : "-"
			print letter, $2, $3 ~ /required/ ? "yes" : "no"
		}' "$here"/../{daemonize.c,src/*.c} | LC_ALL=C sort
}

# The entries of the manual's lists: ".It Fl p Ar file , Fl -pidfile Ar file".
options_of_manual() {
	awk '/^\.It Fl/ {
		letter = $3 ~ /^-/ ? "-" : $3
		for (i = 3; i <= NF; i++)
			if ($i ~ /^-/)
				print letter, substr($i, 2), $(i + 1) == "Ar" ? "yes" : "no"
	}' "$here/../man/daemonize.1" | LC_ALL=C sort -u
}

@test "the table of long options and the string of short ones agree" {
	short=$(sed -n 's/^static const char short_options\[\] = "+:\(.*\)";/\1/p' "$here"/../{daemonize.c,src/*.c})
	expect "$(grep -o '[A-Za-z]:*' <<<"$short" | sort)" \
		"$(options_of_program | awk '$1 != "-" { print $1 ($3 == "yes" ? ":" : "") }' | sort)"
}

@test "the manual describes every option of the program, with its argument, and no others" {
	expect "$(options_of_manual)" "$(options_of_program)"
}

@test "the manual's synopsis has every option" {
	synopsis=$(awk '/^\.Sh/ { inside = $2 == "SYNOPSIS" } inside' "$here/../man/daemonize.1")
	while read -r letter long _; do
		[ "$letter" != - ] && flag="[a-zA-Z]*${letter}[a-zA-Z]*" || flag=-$long
		grep -qE "Fl $flag( |$)" <<<"$synopsis" || expect "$long" "in the synopsis"
	done < <(options_of_program)
}

@test "--help lists every option of the program, with its argument, and no others" {
	help=$(daemonize --help | sed '/^Examples/,$d')
	expect "$(grep -oE -- '--[a-z][a-z-]+' <<<"$help" | sort -u)" "$(options_of_program | awk '{ print "--" $2 }' | sort)"
	expect "$(grep -oE '(^|[ ;])-[A-Za-z]\b' <<<"$help" | tr -d '; ' | sort -u)" \
		"$(options_of_program | awk '$1 != "-" { print "-" $1 }' | sort)"
	while read -r letter long argument; do
		[ "$letter" = - ] || grep -qE -- "(^|[ ;])-$letter, --$long\b" <<<"$help" || expect "$long" "beside -$letter"
		grep -qE -- "--$long [A-Z]" <<<"$help" && has=yes || has=no
		expect "$long $has" "$long $argument"
	done < <(options_of_program)
}

# ---- What the shells complete ----

options() {
	ask "$1" 'daemonize --st' '--startsecs --status --stderr --stdin --stdout --stop' \
		'daemonize --ok-if-running --no' '--no-core --notify --notify-fd' \
		'daemonize -vp app.pid --trunc' --truncate \
		'daemonize --' "$(options_of_program | awk '{ print "--" $2 }' | LC_ALL=C sort | xargs)"
}

# Whether the word after an option can be the command.
arguments() {
	local questions=() letter long argument answer

	while read -r letter long argument; do
		[[ $long != @(help|version|status|stop|signal) ]] || continue
		[ "$argument" = yes ] && answer='' || answer=target
		questions+=("daemonize --$long targ" "$answer")
		[ "$letter" = - ] || questions+=("daemonize -$letter targ" "$answer" "daemonize -v$letter targ" "$answer")
	done < <(options_of_program)
	ask "$1" "${questions[@]}"
}

files() {
	local questions=() option

	mkdir some
	touch some/file
	mkdir some/directory
	for option in -p -l -i -o -e -O --pidfile --lock --stdin --stdout --stderr --output; do
		questions+=("daemonize $option some/f" file)
	done
	for option in -c -R --chdir --chroot; do
		questions+=("daemonize $option some/" directory)
	done
	ask "$1" "${questions[@]}" 'daemonize --pidfile=some/f' file 'daemonize --stop -p some/f' file \
		'daemonize --stop -p some/file some/f' file 'daemonize --status some/f' file \
		'daemonize --signal HUP -- some/f' file
}

# ... and describes each: lines "--append  -- add to logs (the default)" of the terminal.
described_options() {
	options "$1"
	while read -r _ long _; do
		grep -qE -- "^--${long}[[:blank:]]+(-- )?[a-zA-Z(]" "$T/terminal" || expect "$long" "described"
	done < <(options_of_program)
}

users() {
	local group

	group=$(id -gn nobody)
	ask "$1" 'daemonize -u nobod' nobody 'daemonize --user=nobod' nobody \
		"daemonize -u nobody:${group%?}" "$group" "daemonize --user=nobody:${group%?}" "$group" \
		"daemonize -g ${group%?}" "$group" "daemonize --group=${group%?}" "$group"
}

signals() {
	ask "$1" 'daemonize --signal HU' HUP 'daemonize --signal=USR' 'USR1 USR2' \
		'daemonize --ignore-signal HUP,USR' 'USR1 USR2' 'daemonize --default-signal=HUP,USR' 'USR1 USR2'
}

commands() {
	ask "$1" 'daemonize targ' target 'daemonize -p app.pid targ' target 'daemonize --pidfile=app.pid targ' target \
		'daemonize -- targ' target 'daemonize -u a:b -E X=Y=Z -- targ' target \
		'daemonize target al' alpha 'daemonize target alpha ' 'alpha beta' \
		'daemonize -vp app.pid -E X=Y target be' beta 'daemonize -- target be' beta \
		'daemonize target --st' '' 'daemonize --status targ' '' 'daemonize --stop -p app.pid targ' ''
}

@test "bash completes the program's options" { options bash; }
@test "bash knows which options take an argument" { arguments bash; }
@test "bash completes files and directories where an option wants them" { files bash; }
@test "bash completes users and groups" { users bash; }
@test "bash completes signals, and lists of them" { signals bash; }
@test "bash completes the command, and then its arguments as the command's own completion does" { commands bash; }
@test "zsh completes the program's options, and says what each does" { described_options zsh; }
@test "zsh knows which options take an argument" { arguments zsh; }
@test "zsh completes files and directories where an option wants them" { files zsh; }
@test "zsh completes users and groups" { users zsh; }
@test "zsh completes signals, and lists of them" { signals zsh; }
@test "zsh completes the command, and then its arguments as the command's own completion does" { commands zsh; }
@test "fish completes the program's options, and says what each does" { described_options fish; }
@test "fish knows which options take an argument" { arguments fish; }
@test "fish completes files and directories where an option wants them" { files fish; }
@test "fish completes users and groups" { users fish; }
@test "fish completes signals, and lists of them" { signals fish; }
@test "fish completes the command, and then its arguments as the command's own completion does" { commands fish; }
