#include "features.h"

#include "keeper.h"

#include "clock.h"
#include "command.h"
#include "interrupts.h"
#include "options.h"
#include "say.h"
#include "signals.h"
#include "steps.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LEAST_PAUSE (NANOSECONDS / 10)
#define MOST_PAUSE (60 * NANOSECONDS) /* how far pauses grow */

enum { PATIENCE = 5 };	  /* after this many short lives in a row, pauses grow */
enum { SIGNALLED = 128 }; /* plus the signal: a shell's exit status for a process that it killed */

/* The keeper's argv. */
enum { SETTINGS, ROOT, DIRECTORY, COMMAND_FILE, COMMAND };
enum { SETTINGS_SIZE = 384 };

static const char keeper_name[] = "daemonize: keeper of ";

/* The keeper's settings, from its argv[0], and its state. */
struct keeping {
	pid_t command; /* -1: it could not be executed */
	int64_t pause;
	int lock_fd;
	int channel_fd; /* where the launcher hears whether we can follow the command; -1: it need not */
	int token_fd;
	int notify_fd;
	bool notify;
	sigset_t ignore;
	char *title; /* what ps(1) shows: argv[0], and what follows it */
	char **argv; /* the command's */
	size_t size; /* of its arguments */
	char path[PATH_MAX];
	unsigned long starts;
	unsigned int short_lives; /* in a row */
	int64_t begun;
	int status; /* of the last run */
};

/* The command's PID, for the handler; 0: it is not running. Set only while signals are blocked. */
static volatile sig_atomic_t handed_to;

/* TERM: the command is not started again; INT or QUIT: only if it exits for another reason. */
static volatile sig_atomic_t stopped_by;

/* ---- The start ---- */

static char *copy_or_die(const char *text)
{
	const size_t size = strlen(text) + 1;

	return memcpy(allocate_or_die(size, 1), text, size);
}

void keeper_prepare_or_die(struct keeper *keeper, const struct options *opt)
{
	static char program[PATH_MAX];
	size_t count = 0;
	int token[2];

	keeper->opt = opt;
	keeper->program = program;
	keeper->program_fd = program_open();
	if (keeper->program_fd == -1 && command_find(opt->program, program) == 0)
		keeper->program_fd = open(program, O_PATH | O_CLOEXEC);
	if (keeper->program_fd == -1)
		die(EXIT_SETUP, "cannot find '%s', which --restart needs to supervise '%s'",
			opt->program, opt->name);
	while (opt->command[count])
		count++;
	keeper->argv = allocate_or_die(COMMAND + count + 1, sizeof *keeper->argv);
	keeper->argv[SETTINGS] = allocate_or_die(SETTINGS_SIZE, 1);
	/*
	 * Copies of what linker_variables() changes: the daemon shares our memory, and the command
	 * of --ready must see the originals.
	 */
	for (char **entry = environ; entry && *entry; entry++)
		if (!strncmp(*entry, "LD_", 3))
			*entry = copy_or_die(*entry);
	keeper->argv[ROOT] = copy_or_die(opt->root ? opt->root : "");
	keeper->argv[DIRECTORY] = copy_or_die(opt->directory ? opt->directory : "/");
	for (size_t i = 0; i < count; i++)
		keeper->argv[COMMAND + i] = opt->command[i];
	if (!waits_for_readiness(opt))
		return;
	if (pipe_close_on_exec(token) == -1 || write(token[1], "", 1) != 1)
		die(EXIT_SETUP, "cannot create a pipe: %s", strerror(errno));
	close(token[1]);
	keeper->token_fd = token[0];
}

bool keeper_let_go(int token_fd)
{
	char token;

	return read(token_fd, &token, 1) == 1;
}

/* Enters the directory, from which NFS may keep root, and becomes the user. */
static bool enter_as(const char *directory, bool change, uid_t uid)
{
	const bool entered = chdir(directory) == 0;

	return (!change || set_user_ids(uid) == 0) && (entered || chdir(directory) == 0);
}

/*
 * LD_PRELOAD and the like are meant for the command, perhaps in another root directory and as
 * another user. The keeper, which is executed with privileges and uses our own libc, must not honor
 * them.
 */
static void linker_variables(bool hide)
{
	const char first = hide ? 'L' : '\1', other = hide ? '\1' : 'L';

	for (char **entry = environ; entry && *entry; entry++)
		if (**entry == first && !strncmp(*entry + 1, "D_", 2))
			**entry = other;
}

void keeper_execute(const struct keeper *keeper, const struct identity *id, char *path, int lock_fd,
	int channel_fd, pid_t command)
{
	const struct options *opt = keeper->opt;
	const int kept_fd = opt->root ? channel_fd : -1;
	char *text = keeper->argv[SETTINGS];
	int error, size = snprintf(text, SETTINGS_SIZE, "%s%ld %lld %d %d %d %d %d %d %lu ",
			   keeper_name, (long)command, (long long)opt->restart, lock_fd, kept_fd,
			   keeper->token_fd, opt->notify_fd, opt->notify, id->change,
			   (unsigned long)id->uid);

	for (int number = 1; number <= REALTIME_LAST; number++)
		text[size++] = sigismember(&opt->ignore, number) == 1 ? '1' : '0';
	keeper->argv[COMMAND_FILE] = path;
	if (keeper->token_fd != -1)
		fcntl(keeper->token_fd, F_SETFD, 0);
	if (kept_fd != -1)
		fcntl(kept_fd, F_SETFD, 0);
	linker_variables(true);
	if ((!opt->no_core || setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) == 0) &&
		(!id->change || (set_groups(id->n_groups, id->groups) == 0 &&
					set_group_ids(id->gid) == 0)) &&
		(opt->root || enter_as(keeper->argv[DIRECTORY], id->change, id->uid)))
		program_execute(keeper->program_fd, keeper->program, keeper->argv);
	error = errno;
	linker_variables(false);
	kill(command, SIGKILL);
	waitpid(command, NULL, 0);
	errno = error;
}

/* ---- The keeper ---- */

bool is_keeper(int argc, char **argv)
{
	return argc > COMMAND && !strncmp(argv[0], keeper_name, sizeof keeper_name - 1);
}

/* Reads the settings, and takes the steps that keeper_execute() left to us. */
static void settle_in(struct keeping *k, char **argv)
{
	char *text = argv[SETTINGS] + sizeof keeper_name - 1;
	bool change;
	uid_t uid;

	k->command = (pid_t)strtol(text, &text, 10);
	k->pause = strtoll(text, &text, 10);
	if (k->pause < LEAST_PAUSE)
		k->pause = LEAST_PAUSE;
	k->lock_fd = (int)strtol(text, &text, 10);
	k->channel_fd = (int)strtol(text, &text, 10);
	k->token_fd = (int)strtol(text, &text, 10);
	k->notify_fd = (int)strtol(text, &text, 10);
	k->notify = strtol(text, &text, 10) == 1;
	change = strtol(text, &text, 10) == 1;
	uid = (uid_t)strtoul(text, &text, 10);
	sigemptyset(&k->ignore);
	text += *text == ' ';
	for (int number = 1; number <= REALTIME_LAST && *text; number++)
		if (*text++ == '1')
			sigaddset(&k->ignore, number);
	k->title = argv[SETTINGS];
	k->argv = argv + COMMAND;
	for (char **word = k->argv; *word; word++)
		k->size = (size_t)(*word + strlen(*word) + 1 - *k->argv);
	if (!*argv[ROOT])
		snprintf(k->path, sizeof k->path, "%s", argv[COMMAND_FILE]);
	else if (chroot(argv[ROOT]) == -1 || chdir("/") == -1 ||
		 !enter_as(argv[DIRECTORY], change, uid) ||
		 (errno = command_find(*k->argv, k->path)) != 0) {
		const int error = errno;

		kill(k->command, SIGKILL);
		if (k->channel_fd != -1 && report(k->channel_fd, STEP_KEEPER, true, error))
			exit(EXIT_SETUP);
		die(EXIT_SETUP, "cannot supervise '%s': %s", *k->argv, strerror(error));
	}
	if (k->channel_fd != -1)
		close(k->channel_fd);
}

/*
 * Shows the command's PID, and how often it was started, in ps(1). The arguments are adjacent in
 * memory: the command's follow the title wherever that ends.
 */
static void title_show(struct keeping *k)
{
	char *const end = *k->argv + k->size, *from = *k->argv;
	char title[80], *to;
	int size = handed_to ? snprintf(title, sizeof title, "%spid %ld (start %lu):", keeper_name,
				       (long)k->command, k->starts)
			     : snprintf(title, sizeof title,
				       "daemonize: keeper, pausing after start %lu:", k->starts);

	to = k->title + size + 1;
	memmove(to, from, k->size);
	memcpy(k->title, title, (size_t)size + 1);
	if (to < from)
		memset(to + k->size, 0, (size_t)(end - (to + k->size)));
	for (char **word = k->argv; *word; word++)
		*word = to + (*word - from);
}

/* Whether a terminal sent it, to the whole process group: then the command has it already. */
static bool is_from_terminal(int number, const siginfo_t *info)
{
	static const int sent[] = {SIGHUP, SIGINT, SIGQUIT, SIGCONT, SIGTSTP, SIGWINCH};

	for (size_t i = 0; i < sizeof sent / sizeof *sent; i++)
		if (number == sent[i])
			return is_from_kernel(info);
	return false;
}

/* Runs only while we wait: otherwise signals are blocked. */
static void on_signal(int number, siginfo_t *info, void *context)
{
	const bool at_terminal = is_from_terminal(number, info);

	(void)context;
	if (number == SIGCHLD)
		return;
	if (number == SIGTERM || (at_terminal && (number == SIGINT || number == SIGQUIT)))
		stopped_by = SIGTERM;
	else if ((number == SIGINT || number == SIGQUIT) && stopped_by != SIGTERM)
		stopped_by = number;
	if (handed_to && !at_terminal)
		kill((pid_t)handed_to, number);
}

/* Catches all signals while we wait, except those that our own writes to the log may raise. */
static void catch_signals(void)
{
	struct sigaction action = {.sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_NOCLDSTOP};
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	action.sa_mask = all;
	for (int number = 1; number <= REALTIME_LAST; number++)
		if (number <= STANDARD_LAST || number >= REALTIME_FIRST)
			sigaction(number, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/*
 * Runs the command, without our lock. Returns its PID; -1, errno set, if it cannot be executed,
 * which the child reports through a pipe that exec closes.
 */
static pid_t command_run(char *path, char **command, const sigset_t *ignore, int lock_fd)
{
	const pid_t parent = getpid();
	int ends[2], error;
	pid_t pid;

	if (pipe_close_on_exec(ends) == -1)
		return -1;
	pid = fork();
	if (pid == 0) {
		die_with_parent();
		close(lock_fd);
		errno = ESRCH; /* the keeper exited before that */
		if (getppid() == parent && reset_signals(ignore) == 0)
			command_execute(path, command);
		error = errno;
		(void)!write(ends[1], &error, sizeof error);
		_exit(EXIT_CANNOT_EXECUTE);
	}
	error = errno;
	close(ends[1]);
	if (pid != -1 && read(ends[0], &error, sizeof error) == (ssize_t)sizeof error) {
		waitpid(pid, NULL, 0);
		pid = -1;
	}
	close(ends[0]);
	errno = error;
	return pid;
}

/* Waits for a signal, for at most this time; true if one was caught. */
static bool wait_for_signal(int64_t left)
{
	sigset_t none;

	sigemptyset(&none);
	return poll_signals(NULL, 0, left, &none) == -1 && errno == EINTR;
}

/* Reaps what has exited; true if that was the command. */
static bool reap(struct keeping *k)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == (pid_t)handed_to) {
			k->status = status;
			handed_to = 0;
			return true;
		}
	return false;
}

/* Whether the log takes a line: its reader may be stuck. */
static bool can_tell(void)
{
	struct pollfd event = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&event, 1, 0) == 1;
}

/* "app (pid 820) exited with status 1 after 0.03 s; starting it again in 1.00 s" */
static void tell_end(const struct keeping *k, int64_t lived, int64_t pause)
{
	char after[32], text[32], next[64] = "not starting it again";

	if (pause >= 0)
		snprintf(next, sizeof next, "starting it again in %s", seconds_text(text, pause));
	if (!can_tell())
		return;
	seconds_text(after, lived);
	if (WIFSIGNALED(k->status))
		complain("%s (pid %ld) was killed by signal %d (%s) after %s; %s", *k->argv,
			(long)k->command, WTERMSIG(k->status), signal_name(WTERMSIG(k->status)),
			after, next);
	else
		complain("%s (pid %ld) exited with status %d after %s; %s", *k->argv,
			(long)k->command, WEXITSTATUS(k->status), after, next);
}

static void tell_failure(const struct keeping *k, int error, int64_t pause)
{
	char text[32];

	if (can_tell())
		complain("cannot execute '%s': %s; trying again in %s", *k->argv, strerror(error),
			seconds_text(text, pause));
}

static _Noreturn void end_of_signal(int number)
{
	if (getpid() == 1) /* no signal of its own kills it */
		exit(SIGNALLED + number);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* the command's dump is enough */
	die_of_signal(number);
}

/* Exits as the command did, so that the launcher, or with -f our parent, knows how. */
static _Noreturn void end_as(int status)
{
	if (WIFSIGNALED(status))
		end_of_signal(WTERMSIG(status));
	exit(WEXITSTATUS(status));
}

/* Whether the command exited because we were asked to stop it. */
static bool was_stopped(int status)
{
	if (!stopped_by || stopped_by == SIGTERM)
		return stopped_by;
	return WIFSIGNALED(status)
		       ? WTERMSIG(status) == stopped_by
		       : WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == SIGNALLED + stopped_by;
}

/* The pause before the next start, after a run of this length. */
static int64_t next_pause(struct keeping *k, int64_t lived)
{
	int64_t pause = k->pause;

	k->short_lives = lived < k->pause ? k->short_lives + 1 : 0;
	for (unsigned int i = PATIENCE; i <= k->short_lives && pause < MOST_PAUSE; i++)
		pause = earliest(2 * pause, MOST_PAUSE);
	return pause;
}

/* Later runs must not report to a start that is over. */
static void forget_the_start(struct keeping *k)
{
	int fd;

	if (k->token_fd != -1)
		close(k->token_fd);
	k->token_fd = -1;
	if (k->notify)
		unsetenv("NOTIFY_SOCKET");
	k->notify = false;
	if (k->notify_fd == -1)
		return;
	fd = open("/dev/null", O_WRONLY);
	if (fd != -1 && fd != k->notify_fd) {
		dup2(fd, k->notify_fd);
		close(fd);
	}
	k->notify_fd = -1;
}

/* Waits until the command exits; returns the pause before it is started again, or exits with it. */
static int64_t await_end(struct keeping *k)
{
	int64_t lived, pause;

	handed_to = k->command;
	title_show(k);
	while (!reap(k))
		wait_for_signal(NEVER);
	while (wait_for_signal(0)) /* those that came before it exited, but are still pending */
		;
	lived = clock_read(CLOCK_MONOTONIC) - k->begun;
	if (k->token_fd != -1 && keeper_let_go(k->token_fd))
		end_as(k->status);
	if (was_stopped(k->status)) {
		tell_end(k, lived, -1);
		end_as(k->status);
	}
	stopped_by = 0;
	pause = next_pause(k, lived);
	tell_end(k, lived, pause);
	return pause;
}

static void sleep_until(struct keeping *k, int64_t deadline)
{
	int64_t left;

	title_show(k);
	while ((left = deadline - clock_read(CLOCK_MONOTONIC)) > 0) {
		reap(k);
		wait_for_signal(left);
		if (stopped_by)
			end_of_signal((int)stopped_by);
	}
}

_Noreturn void keeper_main(char **argv)
{
	static struct keeping k;
	int64_t pause;

	catch_signals();
	process_set_name("daemonize");
	linker_variables(false);
	settle_in(&k, argv);
	if (k.notify_fd != -1)
		close(k.notify_fd); /* with ours open, the command's close would not be seen */
	for (k.starts = 1;; k.starts++) {
		k.begun = clock_read(CLOCK_MONOTONIC);
		if (k.command != -1)
			pause = await_end(&k);
		else {
			const int error = errno;

			pause = next_pause(&k, 0);
			tell_failure(&k, error, pause);
		}
		sleep_until(&k, deadline_in(pause));
		forget_the_start(&k);
		k.command = command_run(k.path, k.argv, &k.ignore, k.lock_fd);
	}
}
