/*
 * loggers: -o '|command'.
 *
 * A shell command reads the stream from a pipe. It runs as the caller would run it, in the
 * caller's directory, environment and umask, as logs are opened by the caller; but in a session of
 * its own, neither a child of the daemon nor of its family. It ends as it likes when nobody has
 * the pipe open any more. -E is for it as well: a build server ends whatever has its BUILD_ID, and
 * without a reader the daemon would die of SIGPIPE.
 *
 * For the launcher. A failed start ends them, when it exits at the latest.
 */
#ifndef LOGGERS_H
#define LOGGERS_H

#include "options.h"
#include "streams.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Whether the session is that of a log command. */
bool is_logger_session(pid_t session);

/* A child of ours has ended, of this process group: its wait status is known only once. */
void logger_note_end(pid_t group, int status);

/* The start has succeeded: they are the daemon's now. */
void loggers_let_go(void);

/* For a start that has failed: at the end of their input they end; or else they are ended. */
void loggers_end(void);

/* Complains of the first that has ended, or does so before the deadline. */
bool loggers_ended(int64_t deadline, const char *when);

/*
 * They outlive us, if the start does not fail. The shell finds its command, and reads, or ends, soon:
 * where it cannot be seen which, a tenth of a second is waited for its end.
 */
void loggers_start_or_die(const struct options *opt, struct streams *streams);

#endif
