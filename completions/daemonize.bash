# bash completion for daemonize(1); needs bash-completion, which loads it on demand.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154,SC2207 # variables and words as bash-completion has them

_daemonize()
{
	local cur prev words cword split
	_init_completion -s -n : || return

	# Either a word of its own that the next word belongs to, or a bundle whose last letter is one.
	local with_file='--@(pidfile|lock|stdin|stdout|stderr|output)|-*([afhPrvV])[plioeO]'
	local with_directory='--@(chdir|chroot)|-*([afhPrvV])[cR]'
	local with_user='--user|-*([afhPrvV])u'
	local with_group='--group|-*([afhPrvV])g'
	local with_signals='--@(signal|ignore-signal|default-signal)'
	local with_other='--@(env|keep-fd|kill-after|notify-fd|ready|restart|startsecs|timeout|umask|wait-if-running)|-*([afhPrvV])[Ekmstw]'
	local with_argument="@($with_file|$with_directory|$with_user|$with_group|$with_signals|$with_other)"

	local control='' command='' i offset rest list
	for ((i = 1; i < cword; i++)); do
		[[ ${words[i]} != --@(status|stop|signal|signal=*) ]] || control=yes
		# shellcheck disable=SC2053 # patterns
		if [[ ${words[i]} == -- ]]; then
			command=yes
			((i++))
			break
		elif [[ ${words[i]} == $with_argument ]]; then
			((i++))
		elif [[ ${words[i]} != -* ]]; then
			break
		fi
	done

	# Now words[i] is the command, or the option to be completed; or prev is an option, and cur its argument.
	if ((i > cword)) || [[ $i == "$cword" && $split == true ]]; then
		case $prev in
			@($with_file)) _filedir ;;
			@($with_directory)) _filedir -d ;;
			@($with_user)) _usergroup ;;
			@($with_group)) COMPREPLY=($(compgen -g -- "$cur")) ;;
			@($with_signals))
				list=${cur%"${cur##*,}"}
				COMPREPLY=($(compgen -P "$list" -W "$(compgen -A signal SIG | cut -c 4-)" -- "${cur##*,}"))
				;;
		esac
	elif ((i == cword)) && [[ ! $command && $cur == -* ]]; then
		COMPREPLY=($(compgen -W '--append --chdir --chroot --default-signal --env --foreground --group
			--help --ignore-signal --keep-fd --kill-after --lock --no-core --notify --notify-fd
			--ok-if-running --output --pidfile --print-pid --ready --refuse-if-running --restart
			--signal --startsecs --status --stderr --stdin --stdout --stop --timeout --tree --truncate
			--umask --user --verbose --version --wait-if-running' -- "$cur"))
	elif [[ $control ]]; then
		_filedir # pidfiles
	else
		# In COMP_WORDS, a word with ":" or "=" is several.
		for ((offset = 0; i > 0; i--)); do
			rest=${words[0]} words=("${words[@]:1}")
			while [[ $rest ]] && ((offset < COMP_CWORD)); do
				rest=${rest#"${COMP_WORDS[offset++]}"}
			done
		done
		_command_offset "$offset"
	fi
} &&
	complete -F _daemonize daemonize
