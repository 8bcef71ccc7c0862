/*
 * family: a daemon and all that descends from it, and how it is signalled and ended.
 *
 * For the launcher, which is the subreaper of it all, and for who stops a daemon, which is not:
 * a descendant that has left the daemon's session is found only while its parents live, or once
 * it has been found before. So all are looked for before any is signalled, and who has been found
 * is kept on a roll, by its PID and the time when it began, which no other process has.
 */
#ifndef FAMILY_H
#define FAMILY_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A daemon and all that it has begun. */
struct family {
	pid_t daemon;  /* its PID is its own: it is our child until it is reaped, or pinned */
	pid_t command; /* the daemon, or where that is a keeper, its child */
	unsigned long long since; /* nobody of it began before; 0: not known */
	pid_t session;		  /* all of which is of the family; 0: who else is in it is not */
	bool leads; /* the daemon was seen to lead its process group, which is of the family too */
	bool adopts; /* whoever is our child is of the family: an orphan, since we are the subreaper */
};

/* One that has been found. */
struct member {
	pid_t pid;
	unsigned long long start;
	bool leads; /* a session, all of which is of the family */
	int told;   /* the signal that it has got; 0: none */
	bool halts; /* has been sent STOP, or may have been: CONT is due */
};

/* Those that have been found. Zeroed to begin with. */
struct roll {
	struct member *members; /* the daemon first */
	size_t count;
	unsigned long long began; /* the daemon */
	bool blind;  /* who is of the family cannot be seen: its process group stands for it */
	int told;    /* the signal that this has got */
	bool spared; /* we, or who has called us, are of the family, and have not been signalled */
	/* As of the last signal: */
	size_t living;
	size_t refused; /* of these, who may not be signalled */
	pid_t left;	/* one of those who live; the daemon, if it does */
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

/*
 * The family of a daemon that is not our child. Its session belongs to it only if it has begun
 * with the daemon: one started with -f may be in that of a login, whose others are none of it.
 */
struct family family_of(pid_t daemon);

/* Looks for all of the family, and puts them on the roll, except us and those who have called us. */
void family_find(const struct family *family, struct roll *roll);

/*
 * Has them all halt while they are looked for, so that none can fork, end, and so hide
 * its child. Not where an interrupt could leave them so: family_signal lets them go on.
 */
void family_halt(const struct family *family, struct roll *roll);

/*
 * Sends the signal to all on the roll that live and have not got it yet, and CONT, since who is
 * stopped would not see it; 0: none. Each is pinned before it is looked at, so that another that
 * gets its PID meanwhile cannot be hit. Returns how many live.
 */
size_t family_signal(const struct family *family, struct roll *roll, int number);

/* Finds and signals also who has been begun since. Returns how many live. */
size_t family_follow(const struct family *family, struct roll *roll, int number);

/* How many live of a process group, besides us; 0 where that cannot be seen. */
size_t group_count(pid_t group);

/* Ends a start that has failed: TERM, CONT, and then KILL. False if the daemon is one that we may not. */
bool family_end(const struct family *family);

#endif
