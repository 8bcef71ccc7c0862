#include "features.h"

#include "loggers.h"

#include "clock.h"
#include "command.h"
#include "options.h"
#include "process.h"
#include "say.h"
#include "streams.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOGGER_TRIAL (NANOSECONDS / 10) /* a logger that exits before that cannot have started */

static struct logger {
	const char *stream; /* "|command" */
	pid_t group;	    /* process group, and session */
	pid_t pid;	    /* 0: not known */
	int fd;		    /* the writing end of the pipe */
	int status;	    /* of its last process that orphan_reap() reaped; -1: none */
} loggers[2];
static size_t n_loggers;

static void logger_start_or_die(const char *stream)
{
	struct logger *logger = &loggers[n_loggers];
	int ends[2], born[2], status;
	pid_t pid;

	logger->stream = stream;
	logger->status = -1;
	logger->pid = 0;
	if (pipe_close_on_exec(ends) == -1 || pipe_close_on_exec(born) == -1)
		die(EXIT_SETUP, "cannot create a pipe to '%s': %s", stream, strerror(errno));
	logger->fd = ends[1];
	logger->group = fork();
	if (logger->group == 0) {
		pid = setsid() == -1 ? -1 : fork();
		/* The second child: a session leader could acquire a terminal by opening one. */
		if (pid == 0)
			become_shell_command(stream + 1, NULL, ends[0],
				open("/dev/null", O_WRONLY | O_CLOEXEC));
		(void)!write(born[1], &pid, sizeof pid);
		_exit(pid == -1 ? errno : 0);
	}
	close(ends[0]);
	close(born[1]);
	if (read(born[0], &pid, sizeof pid) == sizeof pid)
		logger->pid = pid;
	close(born[0]);
	if (logger->group != -1)
		errno = waitpid(logger->group, &status, 0) == -1 ? errno
			: WIFEXITED(status)			 ? WEXITSTATUS(status)
								 : EINTR;
	if (logger->group == -1 || errno)
		die(EXIT_SETUP, "cannot fork for '%s': %s", stream, strerror(errno));
	n_loggers++;
	verbose("started '%s', to read from a pipe", stream + 1);
}

/*
 * Reaps what we, the subreaper, have inherited of it, or waits until init has. False if some
 * of it is left.
 */
static bool logger_reap(const struct logger *logger, int64_t deadline, int *status)
{
	pid_t pid;

	*status = logger->status;
	while ((pid = waitpid(-logger->group, status, WNOHANG)) != -1 ||
		kill(-logger->group, 0) == 0) {
		if (pid > 0)
			continue;
		if (clock_read(CLOCK_MONOTONIC) > deadline)
			return false;
		nap(NAP);
	}
	return true;
}

bool is_logger_session(pid_t session)
{
	for (size_t i = 0; i < n_loggers; i++)
		if (loggers[i].group == session)
			return true;
	return false;
}

void logger_note_end(pid_t group, int status)
{
	for (size_t i = 0; i < n_loggers; i++)
		if (loggers[i].group == group)
			loggers[i].status = status;
}

void loggers_let_go(void)
{
	n_loggers = 0;
}

void loggers_end(void)
{
	const int64_t deadline = deadline_in(TERM_GRACE);
	int status;

	for (size_t i = 0; i < n_loggers; i++)
		close(loggers[i].fd);
	/* In the foreground our own streams may be their pipes by now. */
	if (n_loggers > 0 && diagnostics.fd != STDERR_FILENO) {
		dup2(diagnostics.fd, STDOUT_FILENO);
		dup2(diagnostics.fd, STDERR_FILENO);
	}
	for (size_t i = 0; i < n_loggers; i++)
		if (!logger_reap(&loggers[i], deadline, &status)) {
			kill(-loggers[i].group, SIGKILL);
			logger_reap(&loggers[i], deadline_in(BUSY_LIMIT), &status);
		}
	n_loggers = 0;
}

bool loggers_ended(int64_t deadline, const char *when)
{
	char why[32] = "";
	int status = -1; /* stays so if init has reaped the logger */

	for (size_t i = 0; i < n_loggers; i++) {
		if (!poll_until(loggers[i].fd, deadline))
			continue; /* a process has the other end open */
		logger_reap(&loggers[i], deadline_in(LOGGER_TRIAL), &status);
		if (status != -1 && WIFEXITED(status))
			snprintf(why, sizeof why, ", with exit status %d", WEXITSTATUS(status));
		complain("cannot start '%s': it ended %s%s", loggers[i].stream, when, why);
		return true;
	}
	return false;
}

/* Whether all wait for input: then the shells have found their commands. */
static bool loggers_read(void)
{
	for (size_t i = 0; i < n_loggers; i++)
		if (!process_reads_pipe(loggers[i].pid))
			return false;
	return true;
}

void loggers_start_or_die(const struct options *opt, struct streams *streams)
{
	const int64_t deadline = deadline_in(LOGGER_TRIAL);

	atexit(loggers_end);
	for (int i = STDOUT_FILENO; i <= STDERR_FILENO; i++) {
		if (!is_logger(opt, i))
			continue;
		if (n_loggers == 0 || strcmp(loggers[0].stream, opt->stream[i]) != 0)
			logger_start_or_die(opt->stream[i]);
		streams->fd[i] = loggers[n_loggers - 1].fd;
	}
	while (!loggers_read() && clock_read(CLOCK_MONOTONIC) < deadline)
		if (loggers_ended(deadline_in(NAP), "at once"))
			exit(EXIT_SETUP);
}
