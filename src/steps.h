/*
 * steps: the steps of a start, and the words for each: "cannot ..." if it fails, and for -v
 * what was done.
 *
 * The children write reports, one write(2) each; the launcher finds the words.
 */
#ifndef STEPS_H
#define STEPS_H

#include <stdbool.h>
#include <sys/types.h>

enum step {
	STEP_DONE, /* no step failed */
	STEP_BORN,
	STEP_CHANNEL,
	STEP_FORK,
	STEP_PID_NAMESPACE,
	STEP_SESSION,
	STEP_FORK_AGAIN,
	STEP_PROCESS_GROUP,
	STEP_STREAMS,
	STEP_CLOSE,
	STEP_PIDFILE_OPEN,
	STEP_PIDFILE_SYMLINK,
	STEP_PIDFILE_TYPE,
	STEP_PIDFILE_LINKS,
	STEP_PIDFILE_OWNER,
	STEP_PIDFILE_READ,
	STEP_PIDFILE_LOCK,
	STEP_PIDFILE_LOST,
	STEP_PIDFILE_REPLACE,
	STEP_PIDFILE_WRITE,
	STEP_TRUNCATE,
	STEP_CHROOT,
	STEP_CHDIR,
	STEP_CORE,
	STEP_GROUPS,
	STEP_GROUP,
	STEP_USER,
	STEP_REGAIN,
	STEP_SIGNALS,
	STEP_FORK_COMMAND,
	STEP_KEEPER,
	STEP_FIND,
	STEP_EXEC,
};

/* What the steps are done to, in the user's words. */
struct objects {
	const char *pidfile, *root, *directory, *user, *command;
	const char *file; /* the file to execute; NULL with --chroot, inside which it is another */
};

/* What the daemon-to-be writes into the status channel: far below PIPE_BUF, so never torn. */
struct report {
	enum step step;
	int failed; /* a bool would leave padding, which is not ours to send */
	int error;
	pid_t pid;
};

/* Says "cannot ... 'object': reason", and exits with 127, 126 or 1, as nohup(1) and env(1) do. */
__attribute__((noreturn)) void die_of_step(const struct objects *objects, enum step step,
	int error);

/* The same for --status and the like, with errno as the reason, but returns. */
void complain_of_step(const char *path, enum step step);

/* Whether -v shows this step. */
bool step_is_told(enum step step);

/* Says that the step was done, if -v shows it. */
void verbose_step(const struct objects *objects, enum step step);

/* Writes a report to the status channel; false if nobody listens. For the children. */
bool report(int channel_fd, enum step step, bool failed, int error);

#endif
