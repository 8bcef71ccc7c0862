/*
 * family: a daemon and all its descendants, and how they are signaled and terminated.
 *
 * For the launcher, which is the subreaper of them all, and for --stop and --signal, which are not:
 * there a descendant that has left the daemon's session can be found only while its parents live,
 * or if it was found before. So all are found before any is signaled, and each is kept on a roll,
 * under its PID and start time, which together no other process has.
 */
#ifndef FAMILY_H
#define FAMILY_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A daemon and all its descendants. */
struct family {
	pid_t daemon;  /* its PID is not reused: it is our child until we reap it, or pinned */
	pid_t command; /* the daemon itself, or the child of a keeper */
	unsigned long long since; /* when the daemon started, as `start` below; 0: unknown */
	pid_t session;		  /* if all of it is family; 0: others are in it */
	bool leads;  /* the daemon led its process group when we looked: that is family too */
	bool adopts; /* every child of ours is family: an orphan, since we are the subreaper */
};

/* A process that has been found. */
struct member {
	pid_t pid;
	unsigned long long start;
	bool leads; /* its session, all of which is family */
	int told;   /* the last signal sent to it; 0: none */
	bool halts; /* it has been sent STOP, or may have been: CONT is due */
};

/* The processes found so far. Starts out zeroed. */
struct roll {
	struct member *members; /* the daemon first */
	size_t count;
	unsigned long long began; /* when the daemon started */
	bool blind;  /* the family cannot be seen: the daemon's process group stands in for it */
	int told;    /* the last signal sent to that group */
	bool spared; /* we, or a caller of ours, are in the family and were not signaled */
	/* As of the last signal: */
	size_t living;
	size_t refused; /* of these, those that we may not signal */
	pid_t left;	/* one that is alive; the daemon, if it is */
};

/* Has the exit of a child interrupt the wait that uses `mask`: it may be an orphan to be reaped. */
void catch_child_ends(sigset_t *mask);

/*
 * Reaps one exited child of ours, but neither the daemon nor `other`, which are reaped elsewhere.
 * As the subreaper we do init's work, and the daemon may be waiting for an orphan of its own to
 * disappear. Nobody else can ask for the status of a child that our caller had. Returns whether
 * there was one.
 */
bool orphan_reap(pid_t daemon, pid_t other);

/* Kills all of it, within TERM_GRACE. */
void family_kill(const struct family *family);

/*
 * The family of a daemon that is not our child. The session counts only if it started with the
 * daemon: with -f, a daemon may be in a login session, among strangers.
 */
struct family family_of(pid_t daemon);

/* Finds all of the family and puts them on the roll, except us and our callers. */
void family_find(const struct family *family, struct roll *roll);

/*
 * Stops them all while it looks for more, so that none can hide its child by forking and exiting.
 * Call it with signals blocked: only family_signal lets them continue.
 */
void family_halt(const struct family *family, struct roll *roll);

/*
 * Sends the signal (0: none) to each living process on the roll that has not had it yet, and CONT,
 * since a stopped process would not act on it. Each is pinned before we look at it, so that we
 * cannot hit another that gets its PID meanwhile. Returns how many are alive.
 */
size_t family_signal(const struct family *family, struct roll *roll, int number);

/* The same, but first finds those that have been started since. */
size_t family_follow(const struct family *family, struct roll *roll, int number);

/* How many processes of a group are alive, besides us; 0 where that cannot be seen. */
size_t group_count(pid_t group);

/*
 * Terminates a failed start: TERM, CONT, then KILL. False if the daemon is one that we
 * may not signal.
 */
bool family_end(const struct family *family);

#endif
