# fish completion for daemonize(1)

# The command and its arguments, as far as they are typed; false while it is an option, or its argument.
function __fish_daemonize_command
    set -l words (commandline -opc) (commandline -ct)
    argparse -s a/append c/chdir= R/chroot= default-signal= E/env= f/foreground g/group= h/help \
        ignore-signal= k/keep-fd= kill-after= l/lock= no-core notify notify-fd= ok-if-running \
        O/output= p/pidfile= P/print-pid ready= r/refuse-if-running restart= signal= s/startsecs= status e/stderr= \
        i/stdin= o/stdout= stop t/timeout= tree truncate m/umask= u/user= v/verbose V/version \
        w/wait-if-running= -- $words[2..] 2>/dev/null
    or return
    # --status and its kin take pidfiles, and no command.
    set -q _flag_status || set -q _flag_stop || set -q _flag_signal
    and return 1
    set -q argv[1]
    and not string match -q -- '-*' $argv[1]
    and printf '%s\0' $argv
end

function __fish_daemonize_complete_command
    set -l words (__fish_daemonize_command | string split0)
    set -l last $words[-1]
    set -e words[-1]
    complete -C (string join -- ' ' (string escape -- $words) $last)
end

function __fish_daemonize_no_command
    not __fish_daemonize_command >/dev/null
end

function __fish_daemonize_control
    __fish_daemonize_no_command
    and string match -qr -- '^--(status|stop|signal)\b' (commandline -opc)
end

function __fish_daemonize_signals
    set -l before (commandline -ct | string replace -r '^--?[a-z-]+=' '' | string match -r '.*,')
    printf '%s\n' "$before"(kill -l | string split -n ' ')
end

function __fish_daemonize_users
    set -l user (commandline -ct | string match -r '^(?:--user=|-u)?(.*):')[2]
    and printf '%s\n' $user:(__fish_complete_groups)
    or __fish_complete_users
end

complete -c daemonize -f
complete -c daemonize -n __fish_daemonize_command -x -a '(__fish_daemonize_complete_command)'
complete -c daemonize -n __fish_daemonize_control -F
set -l option -c daemonize -n __fish_daemonize_no_command
complete $option -s p -l pidfile -r -F -d 'The PID, and a lock; a second start is refused'
complete $option -s r -l refuse-if-running -d 'Where it runs already: exit 3 (the default)'
complete $option -l ok-if-running -d 'Where it runs already: exit 0, in silence'
complete $option -s w -l wait-if-running -x -d 'Where it runs already: wait for its end'
complete $option -s l -l lock -r -F -d 'Hold an flock(2) on a file'
complete $option -s i -l stdin -r -F -d 'Standard input'
complete $option -s o -l stdout -r -F -d 'Standard output'
complete $option -s e -l stderr -r -F -d 'Standard error'
complete $option -s O -l output -r -F -d 'Standard output and error'
complete $option -s a -l append -d 'Add to logs (the default)'
complete $option -l truncate -d 'Empty the logs first'
complete $option -s k -l keep-fd -x -d 'Leave file descriptors open: 3,5-7'
complete $option -s c -l chdir -x -a '(__fish_complete_directories)' -d 'Working directory (/)'
complete $option -s R -l chroot -x -a '(__fish_complete_directories)' -d 'Root directory'
complete $option -s u -l user -x -a '(__fish_daemonize_users)' -d 'Run as user, and with their groups'
complete $option -s g -l group -x -a '(__fish_complete_groups)' -d 'Run as group'
complete $option -s m -l umask -x -d 'Umask (022)'
complete $option -l no-core -d 'No core dumps'
complete $option -s E -l env -x -d 'Set NAME=VALUE in the environment'
complete $option -l ignore-signal -x -a '(__fish_daemonize_signals)' -d 'Ignore signals'
complete $option -l default-signal -x -a '(__fish_daemonize_signals)' -d 'Do not ignore signals'
complete $option -s f -l foreground -d 'All of it but fork and setsid'
complete $option -l restart -x -d 'Start it again so many seconds after each end'
complete $option -s s -l startsecs -x -d 'It must live that many seconds'
complete $option -l notify -d 'It says READY=1, as in sd_notify(3)'
complete $option -l notify-fd -x -d 'It writes a newline to a file descriptor'
complete $option -l ready -x -d 'A shell command, tried again and again, exits with 0'
complete $option -s t -l timeout -x -d 'Wait at most that many seconds'
complete $option -l status -d 'Say whether it runs'
complete $option -l stop -d 'Send TERM, and wait for its end'
complete $option -l tree -d 'With --stop or --signal: all that it has begun as well'
complete $option -l kill-after -x -d 'With --stop: seconds until KILL'
complete $option -l signal -x -a '(__fish_daemonize_signals)' -d 'Send a signal, or stop by it'
complete $option -s P -l print-pid -d 'Print the PID'
complete $option -s v -l verbose -d 'Tell each step'
complete $option -s h -l help -d 'Print a summary of the options'
complete $option -s V -l version -d 'Print the version'
