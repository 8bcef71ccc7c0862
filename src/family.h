/*
 * family: a daemon and all that descends from it, and how it is ended.
 *
 * For the launcher, which is the subreaper of it all.
 */
#ifndef FAMILY_H
#define FAMILY_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* A daemon and all that it has begun. */
struct family {
	pid_t daemon;  /* ours, and so its PID, until it is reaped */
	pid_t command; /* the daemon, or where that is a keeper, its child */
	pid_t session; /* which the middle child has led */
	bool adopts; /* whoever is our child is of the family: an orphan, since we are the subreaper */
};

/* The end of a child interrupts the wait: it may be an orphan to be reaped. */
void catch_child_ends(sigset_t *mask);

/*
 * Reaps one of our children that has ended, but neither the daemon nor `other`, whose ends are asked for
 * elsewhere: as the subreaper we are what init is to others, and the daemon may wait until an orphan of
 * its own is gone. Nobody else can ask for the status of one that the caller had. Returns whether there
 * was one.
 */
bool orphan_reap(pid_t daemon, pid_t other);

/* Kills all that lives of it. */
void family_kill(const struct family *family);

/* Ends a start that has failed: TERM, CONT, and then KILL. False if the daemon is one that we may not. */
bool family_end(const struct family *family);

#endif
