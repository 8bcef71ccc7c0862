/*
 * control: --status, --signal and --stop.
 *
 * The kernel says which process holds the lock. We pin that with a pidfd and then ask again, so
 * that a signal cannot hit another process that got its PID meanwhile.
 *
 * Each runs in the process that the user started, and returns its exit status.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "options.h"

/*
 * --status: prints which process holds each pidfile. Returns 0, or the worst of the statuses that
 * LSB defines.
 */
int control_status(const struct options *opt);

/*
 * --signal: signals each daemon once, with --tree all of its family. Returns 0; or EXIT_SETUP, with
 * a message, if one was not signaled.
 */
int control_signal(const struct options *opt);

/*
 * --stop: sends TERM, or the signal of --signal, and CONT; waits until all have exited; sends KILL
 * if asked to; removes the pidfiles. Returns 0, EXIT_SETUP if one may not be signaled, or
 * EXIT_GAVE_UP if one still runs.
 */
int control_stop(const struct options *opt);

#endif
