/*
 * instance: where it runs already, the start is refused, is content, or waits; and the lock of -l.
 *
 * For the launcher, and for a start in the foreground.
 */
#ifndef INSTANCE_H
#define INSTANCE_H

#include "options.h"
#include "steps.h"

#include <stdint.h>
#include <sys/types.h>

/* Where to look whether it runs already, and what to do then. */
struct instance {
	const struct options *opt;
	const struct objects *objects;
	const uid_t *user; /* who may own the pidfile, besides root and us */
	int64_t deadline;  /* of -w */
};

/* Returns when no daemon runs under the pidfile, or does not return. */
void instance_settle(const struct instance *instance);

/*
 * Takes bmc/daemonize's kind of lock: flock(2) on a file whose content does not matter. It
 * belongs to the open file description, so the daemon and its children inherit it.
 */
int instance_lock_or_die(const struct instance *instance);

#endif
