/*
 * control: --status, --signal and --stop.
 *
 * Who is meant is what the kernel says of the lock. The process is pinned by a pidfd before it
 * is asked for a second time, so that the signal cannot hit another that got its PID meanwhile.
 *
 * Each returns the exit status.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "options.h"

/* --status: says of each pidfile who has it. 0, or the worst of the statuses that LSB gives. */
int control_status(const struct options *opt);

/*
 * --signal: signals each daemon once, with --tree all of its family. 0, or EXIT_SETUP if one was not
 * signalled, and said why.
 */
int control_signal(const struct options *opt);

/*
 * --stop: TERM to all, or the signal of --signal, CONT, wait until they have ended, KILL if asked for; their
 * pidfiles are removed. 0, or EXIT_SETUP if one may not be signalled, or EXIT_GAVE_UP if one still runs.
 */
int control_stop(const struct options *opt);

#endif
