#include "features.h"

#include "launcher.h"

#include "daemon.h"
#include "descriptors.h"
#include "family.h"
#include "interrupts.h"
#include "loggers.h"
#include "notify.h"
#include "options.h"
#include "paths.h"
#include "pidfile.h"
#include "process.h"
#include "say.h"
#include "steps.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUR_FDS = 5 }; /* at most, to keep besides those of -k */

/* Settles which fds the daemon keeps: those of -k, of --notify-fd, of -l and of --restart. */
static void prepare_keep(struct plan *plan)
{
	static int few[OUR_FDS];
	const struct options *opt = plan->opt;
	struct fds *keep = &plan->keep;

	keep->fd = opt->keep.count == 0
			   ? few
			   : allocate_or_die(opt->keep.count + OUR_FDS, sizeof *keep->fd);
	keep->count = opt->keep.count;
	for (size_t i = 0; i < keep->count; i++)
		keep->fd[i] = opt->keep.fd[i];
	if (opt->notify_fd != -1)
		fds_insert(keep, opt->notify_fd);
	if (plan->flock_fd != -1)
		fds_insert(keep, plan->flock_fd);
	if (plan->keeper.program_fd != -1)
		fds_insert(keep, plan->keeper.program_fd);
	if (plan->keeper.token_fd != -1)
		fds_insert(keep, plan->keeper.token_fd);
}

/* Reads the status channel to its end. False, errno set, if it cannot. */
static bool listen_to(const struct objects *objects, int fd, struct attempt *attempt)
{
	struct report report;
	ssize_t size;

	while ((size = read(fd, &report, sizeof report)) != 0) {
		if (size == -1 && errno == EINTR)
			continue;
		if (size != (ssize_t)sizeof report) {
			errno = size == -1 ? errno : EIO;
			return false;
		}
		if (report.step == STEP_BORN)
			attempt->family.daemon = attempt->family.command = report.pid;
		else if (report.failed)
			attempt->failure = report;
		else
			verbose_step(objects, report.step);
		if (report.step == STEP_FORK_COMMAND)
			attempt->family.command = report.pid;
	}
	return true;
}

static void fork_daemon_or_die(struct plan *plan, struct attempt *attempt)
{
	struct report next;
	int channel[2];

	if (pipe_close_on_exec(channel) == -1)
		die(EXIT_SETUP, "cannot create the status channel: %s", strerror(errno));
	prepare_keep(plan);
	fds_insert(&plan->keep, channel[1]);
	plan->channel_fd = channel[1];
	attempt->family.session = fork_lending(MIDDLE_CHILD, detach, plan);
	if (attempt->family.session == -1)
		die_of_step(&plan->objects, STEP_FORK, errno);
	close(channel[1]); /* Linux closes it even if this fails: close(2) */
	if (!listen_to(&plan->objects, channel[0], attempt)) {
		/* A daemon that we cannot hear must not run. Until reaped, the PIDs are theirs. */
		attempt->failure =
			(struct report){.step = STEP_CHANNEL, .failed = true, .error = errno};
		while (!attempt->family.daemon &&
			read(channel[0], &next, sizeof next) == (ssize_t)sizeof next)
			if (next.step == STEP_BORN)
				attempt->family.daemon = next.pid;
		if (attempt->family.daemon) {
			kill(attempt->family.daemon, SIGKILL);
			kill(-attempt->family.daemon, SIGKILL);
		}
		kill(attempt->family.session, SIGKILL);
	}
	close(channel[0]);
}

/* The daemon did not come up: clears up and exits with the reason; returns if it lost a race. */
static void clear_up(const struct plan *plan, const struct attempt *attempt, int middle_status)
{
	const struct options *opt = plan->opt;
	int status = attempt->family.daemon ? process_reap(attempt->family.daemon) : middle_status;

	if (attempt->failure.step == STEP_PIDFILE_LOST)
		return;
	if (attempt->family.daemon && opt->pidfile) {
		unlink(plan->draft);
		pidfile_remove(opt->pidfile, &plan->id.uid, attempt->family.daemon);
	}
	if (attempt->failure.step)
		die_of_step(&plan->objects, attempt->failure.step, attempt->failure.error);
	if (status != -1 && WIFSIGNALED(status))
		die(EXIT_SETUP, "cannot start '%s': killed by signal %d before it was executed",
			opt->name, WTERMSIG(status));
	die(EXIT_SETUP, "cannot start '%s': died before it was executed", opt->name);
}

bool launch(struct plan *plan, struct attempt *attempt)
{
	sigset_t all, old;
	int middle_status;

	attempt->family.daemon = 0;
	attempt->family.leads = true;
	attempt->failure.step = STEP_DONE;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	fork_daemon_or_die(plan, attempt);
	middle_status = process_reap(attempt->family.session);
	if (attempt->family.daemon && !attempt->failure.step &&
		process_has_execed(attempt->family.daemon))
		return true;
	clear_up(plan, attempt, middle_status);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return false;
}

void bury(const char *pidfile, uid_t user, const struct family *family)
{
	if (process_has_died(family->daemon))
		process_reap(family->daemon);
	while (family->adopts && waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (pidfile)
		pidfile_remove(pidfile, &user, family->daemon);
	notify_unbind();
	loggers_end();
}

bool tell_pid(pid_t pid)
{
	char text[16];
	int size = snprintf(text, sizeof text, "%ld\n", (long)pid);

	if (write_or_give_up(STDOUT_FILENO, text, (size_t)size) == size)
		return true;
	if (!interrupted_by)
		complain("cannot print the PID: %s", strerror(errno));
	return false;
}

_Noreturn void launch_in_foreground(struct plan *plan)
{
	char parent[PATH_MAX];

	prepare_keep(plan);
	/* Exempt from the closing of all fds; exec closes it. */
	diagnostics.fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (diagnostics.fd == -1)
		diagnostics.fd = STDERR_FILENO;
	else
		fds_insert(&plan->keep, diagnostics.fd);
	if (plan->opt->pidfile) {
		path_parent(parent, plan->opt->pidfile);
		plan->pidfile_parent_fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (plan->pidfile_parent_fd == -1)
			die_of_step(&plan->objects, STEP_PIDFILE_OPEN, errno);
		fds_insert(&plan->keep, plan->pidfile_parent_fd);
	}
	if (plan->opt->print_pid && !tell_pid(getpid()))
		exit(EXIT_SETUP);
	if (plan->opt->pidfile)
		process_name_starting();
	become_daemon(plan);
}
