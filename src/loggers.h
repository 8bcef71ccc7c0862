/*
 * loggers: -o '|command'.
 *
 * A shell command reads the stream from a pipe. It runs as the caller would run it, with the
 * caller's directory, environment and umask, just as the caller opens the logs; but in a session of
 * its own, neither a child of the daemon nor part of its family. It exits when it likes, once
 * nobody has the pipe open any more. -E applies to it too: a build server kills whatever has its
 * BUILD_ID, and without a reader the daemon would die of SIGPIPE.
 *
 * For the launcher. A failed start terminates them, at the latest when it exits.
 */
#ifndef LOGGERS_H
#define LOGGERS_H

#include "options.h"
#include "streams.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Whether the session is a log command's. */
bool is_logger_session(pid_t session);

/* Notes that a child in this process group has exited: wait(2) tells its status only once. */
void logger_note_end(pid_t group, int status);

/* The start has succeeded: they are the daemon's now. */
void loggers_let_go(void);

/* For a failed start: closes their input, at which they should exit; kills those that do not. */
void loggers_end(void);

/* Complains about the first that has exited, or does so before the deadline; false if none. */
bool loggers_ended(int64_t deadline, const char *when);

/*
 * Starts the log commands, which outlive us if the start succeeds; or dies. Each shell
 * soon finds its command, which reads, or exits. Where we cannot see which, we wait a
 * tenth of a second for the exit.
 */
void loggers_start_or_die(const struct options *opt, struct streams *streams);

#endif
