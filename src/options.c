#include "features.h"

#include "options.h"

#include "clock.h"
#include "descriptors.h"
#include "say.h"
#include "signals.h"
#include "values.h"

#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEFAULT_UMASK = 022 };
enum { LONGEST_NAME = 31 }; /* of a long option; a longer word is not close to any */

enum {
	OPTION_DEFAULT_SIGNAL = 256,
	OPTION_IGNORE_SIGNAL,
	OPTION_KILL_AFTER,
	OPTION_NO_CORE,
	OPTION_NOTIFY,
	OPTION_NOTIFY_FD,
	OPTION_OK_IF_RUNNING,
	OPTION_READY,
	OPTION_RESTART,
	OPTION_SIGNAL,
	OPTION_STATUS,
	OPTION_STOP,
	OPTION_TREE,
	OPTION_TRUNCATE,
};

static const char short_options[] = "+:ac:e:E:fg:hi:k:l:m:o:O:p:PrR:s:t:u:vVw:";

static const struct option long_options[] = {
	{"append", no_argument, NULL, 'a'},
	{"chdir", required_argument, NULL, 'c'},
	{"chroot", required_argument, NULL, 'R'},
	{"default-signal", required_argument, NULL, OPTION_DEFAULT_SIGNAL},
	{"env", required_argument, NULL, 'E'},
	{"foreground", no_argument, NULL, 'f'},
	{"group", required_argument, NULL, 'g'},
	{"help", no_argument, NULL, 'h'},
	{"ignore-signal", required_argument, NULL, OPTION_IGNORE_SIGNAL},
	{"keep-fd", required_argument, NULL, 'k'},
	{"kill-after", required_argument, NULL, OPTION_KILL_AFTER},
	{"lock", required_argument, NULL, 'l'},
	{"no-core", no_argument, NULL, OPTION_NO_CORE},
	{"notify", no_argument, NULL, OPTION_NOTIFY},
	{"notify-fd", required_argument, NULL, OPTION_NOTIFY_FD},
	{"ok-if-running", no_argument, NULL, OPTION_OK_IF_RUNNING},
	{"output", required_argument, NULL, 'O'},
	{"pidfile", required_argument, NULL, 'p'},
	{"print-pid", no_argument, NULL, 'P'},
	{"ready", required_argument, NULL, OPTION_READY},
	{"refuse-if-running", no_argument, NULL, 'r'},
	{"restart", required_argument, NULL, OPTION_RESTART},
	{"signal", required_argument, NULL, OPTION_SIGNAL},
	{"startsecs", required_argument, NULL, 's'},
	{"status", no_argument, NULL, OPTION_STATUS},
	{"stderr", required_argument, NULL, 'e'},
	{"stdin", required_argument, NULL, 'i'},
	{"stdout", required_argument, NULL, 'o'},
	{"stop", no_argument, NULL, OPTION_STOP},
	{"timeout", required_argument, NULL, 't'},
	{"tree", no_argument, NULL, OPTION_TREE},
	{"truncate", no_argument, NULL, OPTION_TRUNCATE},
	{"umask", required_argument, NULL, 'm'},
	{"user", required_argument, NULL, 'u'},
	{"verbose", no_argument, NULL, 'v'},
	{"version", no_argument, NULL, 'V'},
	{"wait-if-running", required_argument, NULL, 'w'},
	{NULL, 0, NULL, 0},
};

const char options_help[] =
	"Usage: daemonize [option ...] [--] command [argument ...]\n"
	"       daemonize --status | --stop | --signal SIG  [-p] FILE ...\n"
	"Runs command as a daemon. Exit status 0 means that it was executed and, if\n"
	"-s, --notify, --notify-fd or --ready was given, that it is ready.\n"
	"\n"
	"One instance:\n"
	"  -p, --pidfile FILE         holds the PID and a lock; refuse a second start\n"
	"  -r, --refuse-if-running    if already running: exit with 3 (the default)\n"
	"      --ok-if-running        if already running: exit with 0, silently\n"
	"  -w, --wait-if-running SEC  if already running: wait for it to exit (or inf)\n"
	"  -l, --lock FILE            hold an flock(2) on FILE\n"
	"Streams (/dev/null by default) and file descriptors:\n"
	"  -i, --stdin FILE           standard input; '-' keeps the caller's\n"
	"  -o, --stdout FILE          standard output;  -e, --stderr FILE: errors\n"
	"  -O, --output FILE          both;  '|command' instead of FILE: a pipe to it\n"
	"  -a, --append, --truncate   append to logs (the default), or empty them first\n"
	"  -k, --keep-fd LIST         keep these open: 3,5-7\n"
	"State of the daemon:\n"
	"  -c, --chdir DIR            working directory (/);  -R, --chroot DIR\n"
	"  -u, --user USER[:GROUP]    with its groups;  -g, --group GROUP\n"
	"  -m, --umask MODE           octal (022);  --no-core: no core dumps\n"
	"  -E, --env NAME=VALUE       set an environment variable; repeatable\n"
	"      --ignore-signal LIST, --default-signal LIST    HUP,USR1\n"
	"  -f, --foreground           do not fork;  --restart SEC: restart after exit\n"
	"Readiness:\n"
	"  -s, --startsecs SEC        it must survive that long\n"
	"      --notify               it sends READY=1;  --notify-fd N: newline on fd N\n"
	"      --ready COMMAND        COMMAND, tried repeatedly, exits with 0\n"
	"  -t, --timeout SEC          give up after that time (60; --stop: 10)\n"
	"Control, for the daemon of each pidfile FILE:\n"
	"      --status               running (0), dead (1), not running (3);  -v: more\n"
	"      --stop                 send TERM and wait;  --kill-after SEC: then KILL\n"
	"      --signal SIG           send SIG;  with --stop: instead of TERM\n"
	"      --tree                 signal all its descendants and its session, too\n"
	"  -P, --print-pid;  -v, --verbose;  -h, --help;  -V, --version\n"
	"\n"
	"Exit status: 0 started; 1 setup failed; 2 usage; 3 already running; 4 died\n"
	"  at start; 124 timed out; 126 cannot be executed; 127 not found\n"
	"Examples:\n"
	"  daemonize -s 1 -p app.pid -O app.log ./server --port 8080\n"
	"  daemonize --ok-if-running -p /run/app.pid -u www -- /usr/local/bin/app\n"
	"  daemonize --stop -p app.pid\n";

static void options_keep_fds(struct options *opt, const char *list)
{
	unsigned long long first, last;
	char word[32], *dash;

	for (const char *rest = list; rest;) {
		rest = parse_element(rest, word, sizeof word);
		dash = strchr(word, '-');
		if (dash)
			*dash++ = '\0';
		if (!parse_number(word, 10, INT_MAX - 1, &first) ||
			!parse_number(dash ? dash : word, 10, INT_MAX - 1, &last) || first > last)
			die_usage("invalid list of file descriptors: '%s' (such as 3,5-7)", list);
		if (first <= STDERR_FILENO)
			die_usage(
				"file descriptors 0 to 2 are set with -i, -o and -e, not with -k '%s'",
				list);
		for (; first <= last; first++) {
			if (fcntl((int)first, F_GETFD) == -1) {
				if (opt->missing_fd == -1)
					opt->missing_fd = (int)first;
				break;
			}
			opt->keep.fd =
				grow_or_die(opt->keep.fd, opt->keep.count, sizeof *opt->keep.fd);
			fds_insert(&opt->keep, (int)first);
		}
	}
}

static void options_signals(struct options *opt, const char *list, int (*change)(sigset_t *, int))
{
	char word[32];
	int number;

	for (const char *rest = list; rest;) {
		rest = parse_element(rest, word, sizeof word);
		if (!parse_signal(word, &number))
			die_usage("unknown signal '%s'", *word ? word : list);
		if (number == SIGKILL || number == SIGSTOP)
			die_usage("signal %s can be neither ignored nor caught", word);
		change(&opt->ignore, number);
	}
}

static void options_environment(struct options *opt, char *setting)
{
	if (*setting == '=' || !strchr(setting, '='))
		die_usage("'%s' is not of the form NAME=VALUE", setting);
	opt->env = grow_or_die(opt->env, opt->n_env, sizeof *opt->env);
	opt->env[opt->n_env++] = setting;
}

static void options_umask(struct options *opt, const char *text)
{
	unsigned long long value;

	if (!parse_number(text, 8, 0777, &value))
		die_usage("invalid umask: '%s' (octal, from 0 to 777)", text);
	opt->umask = (mode_t)value;
}

static int64_t duration_or_die(const char *text, bool may_be_endless)
{
	int64_t duration;

	if (!parse_duration(text, &duration) || (duration == NEVER && !may_be_endless))
		die_usage("invalid number of seconds: '%s'", text);
	return duration;
}

static void options_pidfile(struct options *opt, char *path)
{
	opt->pidfiles[opt->n_pidfiles++] = path;
	opt->pidfile = path;
}

static void options_notify_fd(struct options *opt, const char *text)
{
	unsigned long long fd;

	if (!parse_number(text, 10, INT_MAX, &fd) || fd <= STDERR_FILENO)
		die_usage("invalid file descriptor: '%s' (3 or higher)", text);
	opt->notify_fd = (int)fd;
}

/* 0 is not a signal, but --stop may be told to send it. */
static void options_signal(struct options *opt, const char *name)
{
	unsigned long long none;

	if (parse_number(name, 10, 0, &none))
		opt->signal = 0;
	else if (!parse_signal(name, &opt->signal))
		die_usage("unknown signal '%s'", name);
}

static void options_mode(struct options *opt, enum mode mode, const char *signal_name)
{
	if (opt->mode == MODE_HELP || opt->mode == MODE_VERSION)
		return;
	if (opt->mode != MODE_START && (opt->mode == MODE_STATUS) != (mode == MODE_STATUS))
		die_usage("%s", "--status cannot be combined with --stop or --signal");
	if (signal_name)
		options_signal(opt, signal_name);
	if (opt->mode != MODE_STOP) /* with --stop, --signal only says which */
		opt->mode = mode;
	if (mode == MODE_STATUS)
		diagnostics.failure = LSB_UNKNOWN;
}

static void options_if_running(struct options *opt, enum if_running if_running)
{
	opt->if_running = if_running;
	opt->if_running_given = true;
}

/* How many letters to insert, delete or replace make one word the other (Levenshtein). */
static size_t word_distance(const char *one, const char *other)
{
	size_t row[LONGEST_NAME + 1], length = strlen(other), before, above;

	for (size_t i = 0; i <= length; i++)
		row[i] = i;
	for (; *one; one++) {
		before = row[0]++;
		for (size_t i = 1; i <= length; i++) {
			above = row[i];
			row[i] = (row[i - 1] < above ? row[i - 1] : above) + 1;
			if (before + (*one != other[i - 1]) < row[i])
				row[i] = before + (*one != other[i - 1]);
			before = above;
		}
	}
	return row[length];
}

/* Lists the options that the abbreviation could mean, or names the one that was mistyped. */
static _Noreturn void die_unknown_long(const char *word)
{
	char name[LONGEST_NAME + 1], list[512] = "";
	size_t length = strcspn(word, "="), size = 0, distance, nearest = 3;

	snprintf(name, sizeof name, "%.*s", (int)length - 2, word + 2);
	for (const struct option *option = long_options; option->name; option++)
		if (*name && !strncmp(option->name, name, length - 2))
			size += (size_t)snprintf(list + size, sizeof list - size, "%s--%s",
				size ? ", " : "", option->name);
	if (size)
		die_usage("ambiguous option '%.*s': %s", (int)length, word, list);
	for (const struct option *option = long_options; option->name; option++) {
		distance = word_distance(name, option->name);
		if (distance < nearest && 3 * distance <= strlen(option->name)) {
			nearest = distance;
			snprintf(list, sizeof list, " (did you mean '--%s'?)", option->name);
		}
	}
	die_usage("unknown option '%.*s'%s", (int)length, word, list);
}

/* What getopt_long could not make sense of, named as the user typed it. */
static _Noreturn void die_unknown(int result, const char *word)
{
	bool is_long = !strncmp(word, "--", 2);

	if (result == ':' && !is_long)
		die_usage("option '-%c' needs an argument", optopt);
	if (result == ':')
		die_usage("option '%s' needs an argument", word);
	if (is_long && optopt)
		die_usage("option '%.*s' takes no argument", (int)strcspn(word, "="), word);
	if (is_long)
		die_unknown_long(word);
	die_usage("unknown option '-%c'", optopt);
}

static void options_record(struct options *opt, int letter, char *argument)
{
	switch (letter) {
	case 'a': opt->truncate = false; break;
	case 'c': opt->directory = argument; break;
	case 'e': opt->stream[STDERR_FILENO] = argument; break;
	case 'E': options_environment(opt, argument); break;
	case 'f': opt->foreground = true; break;
	case 'g': opt->group = argument; break;
	case 'h': opt->mode = MODE_HELP; break;
	case 'i': opt->stream[STDIN_FILENO] = argument; break;
	case 'k': options_keep_fds(opt, argument); break;
	case 'l': opt->lockfile = argument; break;
	case 'm': options_umask(opt, argument); break;
	case 'o': opt->stream[STDOUT_FILENO] = argument; break;
	case 'O': opt->stream[STDOUT_FILENO] = opt->stream[STDERR_FILENO] = argument; break;
	case 'p': options_pidfile(opt, argument); break;
	case 'P': opt->print_pid = true; break;
	case 'r': options_if_running(opt, IF_RUNNING_REFUSE); break;
	case 'R': opt->root = argument; break;
	case 's': opt->startsecs = duration_or_die(argument, false); break;
	case 't': opt->timeout = duration_or_die(argument, true); break;
	case 'u': opt->user = argument; break;
	case 'v': diagnostics.verbose = true; break;
	case 'V': opt->mode = MODE_VERSION; break;
	case 'w':
		options_if_running(opt, IF_RUNNING_WAIT);
		opt->wait = duration_or_die(argument, true);
		break;
	case OPTION_DEFAULT_SIGNAL: options_signals(opt, argument, sigdelset); break;
	case OPTION_IGNORE_SIGNAL: options_signals(opt, argument, sigaddset); break;
	case OPTION_KILL_AFTER: opt->kill_after = duration_or_die(argument, false); break;
	case OPTION_NO_CORE: opt->no_core = true; break;
	case OPTION_NOTIFY: opt->notify = true; break;
	case OPTION_NOTIFY_FD: options_notify_fd(opt, argument); break;
	case OPTION_OK_IF_RUNNING: options_if_running(opt, IF_RUNNING_OK); break;
	case OPTION_READY: opt->ready = argument; break;
	case OPTION_RESTART: opt->restart = duration_or_die(argument, false); break;
	case OPTION_SIGNAL: options_mode(opt, MODE_SIGNAL, argument); break;
	case OPTION_STATUS: options_mode(opt, MODE_STATUS, NULL); break;
	case OPTION_STOP: options_mode(opt, MODE_STOP, NULL); break;
	case OPTION_TREE: opt->tree = true; break;
	case OPTION_TRUNCATE: opt->truncate = true; break;
	}
}

bool is_logger(const struct options *opt, int number)
{
	return number != STDIN_FILENO && opt->stream[number] && *opt->stream[number] == '|';
}

bool has_loggers(const struct options *opt)
{
	return is_logger(opt, STDOUT_FILENO) || is_logger(opt, STDERR_FILENO);
}

bool is_file(const struct options *opt, int number)
{
	return opt->stream[number] && strcmp(opt->stream[number], "-") != 0 &&
	       !is_logger(opt, number);
}

bool waits_for_readiness(const struct options *opt)
{
	return opt->startsecs >= 0 || opt->notify || opt->notify_fd != -1 || opt->ready;
}

/* What follows the options are more pidfiles: the shell expands "-p *.pid" to that. */
static void options_more_pidfiles(struct options *opt)
{
	const bool ended = !strcmp(opt->command[-1], "--");

	for (char **word = opt->command; *word; word++) {
		if (!**word)
			die_usage("%s", "the name of a pidfile is an empty string");
		if (**word == '-' && !ended)
			die_usage("'%s' after a pidfile: options come first", *word);
		options_pidfile(opt, *word);
	}
}

/* A start's options are tolerated: a script may keep them in a variable for all its calls. */
static void options_check_control(const struct options *opt)
{
	if (!opt->pidfile)
		die_usage("%s", "--status, --stop and --signal need a pidfile");
}

static void options_check_start(const struct options *opt)
{
	if (!opt->command[0])
		die_usage("%s", "no command given");
	if (!*opt->command[0])
		die_usage("%s", "the command is an empty string");
	for (size_t i = 0; i < opt->n_pidfiles; i++)
		if (strcmp(opt->pidfiles[i], opt->pidfile) != 0)
			die_usage("a daemon has one pidfile, not '%s' and '%s'", opt->pidfiles[i],
				opt->pidfile);
	if (opt->if_running_given && !opt->pidfile && !opt->lockfile)
		die_usage("%s", "-r, -w and --ok-if-running need -p or -l to tell what is running");
	if (opt->foreground && waits_for_readiness(opt))
		die_usage("%s",
			"-f leaves no process to wait for -s, --notify, --notify-fd or --ready");
	if (opt->timeout >= 0 && opt->timeout < opt->startsecs)
		die_usage("%s", "the time of -t is shorter than that of -s");
	if (opt->notify + (opt->notify_fd != -1) + (opt->ready != NULL) > 1)
		die_usage("%s", "--notify, --notify-fd and --ready are mutually exclusive");
	if (opt->ready && !opt->ready[strspn(opt->ready, " \t\n")])
		die_usage("no command in '%s'", opt->ready);
	for (int i = STDOUT_FILENO; i <= STDERR_FILENO; i++)
		if (is_logger(opt, i) && !opt->stream[i][strspn(opt->stream[i], "| \t")])
			die_usage("no command in '%s'", opt->stream[i]);
	if (fds_hold(&opt->keep, opt->notify_fd))
		die_usage("file descriptor %d is the one of --notify-fd: -k cannot keep it",
			opt->notify_fd);
	if (opt->missing_fd != -1)
		die(EXIT_SETUP, "cannot keep file descriptor %d: it is not open", opt->missing_fd);
}

static void options_check(const struct options *opt)
{
	if (opt->mode == MODE_HELP || opt->mode == MODE_VERSION)
		return;
	if (opt->mode == MODE_START)
		options_check_start(opt);
	else
		options_check_control(opt);
	if (opt->timeout >= 0 && opt->mode == MODE_START && !waits_for_readiness(opt))
		die_usage("%s", "-t needs -s, --notify, --notify-fd, --ready or --stop");
	if (opt->mode == MODE_SIGNAL && opt->signal == 0)
		die_usage("%s", "signal 0 needs --stop, which then only waits");
	if (opt->kill_after >= 0 && opt->mode != MODE_STOP)
		die_usage("%s", "--kill-after needs --stop");
	if (opt->tree && opt->mode != MODE_STOP && opt->mode != MODE_SIGNAL)
		die_usage("%s", "--tree needs --stop or --signal");
}

void options_parse(struct options *opt, int argc, char **argv)
{
	*opt = (struct options){.umask = DEFAULT_UMASK,
		.missing_fd = -1,
		.notify_fd = -1,
		.startsecs = -1,
		.timeout = -1,
		.kill_after = -1,
		.restart = -1,
		.program = argv[0],
		.signal = NO_SIGNAL};
	sigemptyset(&opt->ignore);
	sigaddset(&opt->ignore, SIGTSTP);
	sigaddset(&opt->ignore, SIGTTIN);
	sigaddset(&opt->ignore, SIGTTOU);
	if (argc < 1)
		die_usage("%s", "no command given");
	opt->pidfiles = argv + 1;
	for (;;) {
		/* After an error, where optind points depends on the libc. */
		const char *word = argv[optind];
		int letter = getopt_long(argc, argv, short_options, long_options, NULL);

		if (letter == -1)
			break;
		if (letter == '?' || letter == ':')
			die_unknown(letter, word);
		if (optarg && !*optarg)
			die_usage("option '%s' needs an argument, not an empty string", word);
		options_record(opt, letter, optarg ? optarg : argv[0]);
	}
	opt->command = argv + optind;
	opt->name = opt->command[0];
	if (opt->mode == MODE_STATUS || opt->mode == MODE_STOP || opt->mode == MODE_SIGNAL)
		options_more_pidfiles(opt);
	options_check(opt);
}
