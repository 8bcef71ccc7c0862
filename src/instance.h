/*
 * instance: if the daemon already runs, the start fails, succeeds, or waits; and the lock of -l.
 *
 * For the launcher, and for a start in the foreground.
 */
#ifndef INSTANCE_H
#define INSTANCE_H

#include "options.h"
#include "steps.h"

#include <stdint.h>
#include <sys/types.h>

/* Where to look for a running instance, and what to do about it. */
struct instance {
	const struct options *opt;
	const struct objects *objects;
	const uid_t *user; /* who may own the pidfile, besides root and us */
	int64_t deadline;  /* of -w, on CLOCK_MONOTONIC, in nanoseconds */
};

/* Returns once no daemon runs under the pidfile; exits if one does, unless told to wait. */
void instance_settle(const struct instance *instance);

/*
 * Takes bmc/daemonize's kind of lock: flock(2) on a file whose content does not matter.
 * It belongs to the open file description, so the daemon and its children inherit it.
 * Returns the fd, or exits.
 */
int instance_lock_or_die(const struct instance *instance);

#endif
