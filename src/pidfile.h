/*
 * pidfile: who has it, and how it is taken and removed.
 *
 * The lock is the truth, the number a convenience. A write lock is held for the few calls in
 * which a file is judged and replaced, or removed; a read lock by the daemon while it lives:
 *
 *   pidfile_take        lock for writing what has the name, or an empty file made for that; judge
 *   (in the daemon)     its number; write ours into a new file, lock that for reading, on a
 *                       read-only fd; and rename it into place. Nobody else ever has an fd with
 *                       which to write to it, and who sees it sees it complete and locked.
 *   pidfile_look        who holds the lock? If nobody, is the number of a living process that
 *   (in the launcher)   is not younger than the file? A daemon that closes all its fds, or its
 *                       own pidfile, has lost its lock but not its place.
 *   pidfile_remove      lock for writing; only if the file still names the daemon that is gone.
 *
 * Where the directory takes no new file, the old one is written in place if only we can have it
 * open for writing: see pidfile_rewrite.
 *
 * Who only looks is the launcher, or asks with --status and the like; pidfile_take is the daemon's.
 * `user` is who may own the file besides root and us; NULL: whoever. A step that is returned is the
 * one that failed, errno set.
 */
#ifndef PIDFILE_H
#define PIDFILE_H

#include "process.h"
#include "steps.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Who has a pidfile: what its lock says, or else the number in it. From PIDFILE_CHANGING on, somebody does. */
enum pidfile_state {
	PIDFILE_ABSENT,
	PIDFILE_STALE,
	PIDFILE_CHANGING, /* locked for writing, for the moment that a claim or a removal takes */
	PIDFILE_STARTING, /* its owner has yet to execute the command */
	PIDFILE_LOCKED,	  /* as a daemon locks it */
	PIDFILE_ORPHANED, /* likewise, but who took the lock does not hold it: a child of it does */
	PIDFILE_NUMBERED, /* not locked, but the number in it is that of a living process */
};

struct owner {
	enum pidfile_state state;
	enum seen open;	    /* whether the process has the file open */
	bool ending;	    /* the process has begun to exit */
	pid_t pid;	    /* 0: in another PID namespace */
	pid_t number;	    /* what the file says */
	struct stat status; /* the file's */
};

/*
 * Returns the PID in the file's first line; 0 if what is there is none; -1 if it cannot be read.
 * `pure`: there is nothing but digits, and at most a newline.
 */
pid_t pidfile_number(int fd, bool *pure);

/* A time ahead of the clock, which was reset, says nothing. */
bool is_in_future(const struct stat *file);

/* Looks again until it is settled, for so long. What is not by then, is another's lock. */
enum step pidfile_look_settled(const char *path, const uid_t *user, int64_t patience,
	struct owner *owner);

/* Whether somebody has the pidfile: for good, if it was looked at until it was settled. */
bool owner_runs(const struct owner *owner);

/*
 * Why the process that the lock or the number names may not be the daemon, but one that has got its
 * PID since; NULL: it is. Who pins it first, and looks again afterwards, can signal it. A lock tells
 * who took it, and a child made with CLONE_FILES keeps it beyond that one's end: so its owner must
 * have the file open. If it has another number than the file, it must be root's or ours. Where
 * there is no lock, or fds cannot be seen, only a number that root or we have written will do.
 */
const char *owner_doubt(const struct owner *owner);

/* "pid 1234", or where it is if it has none here; in `text`, or constant. */
const char *owner_text(char text[32], pid_t pid);

/*
 * Names the new file, in the directory of the pidfile, before the fork: so the launcher can remove
 * what a daemon that was killed has left. Nobody else has the name, whatever PID namespace we are in.
 */
void pidfile_name_draft(char draft[PATH_MAX], const char *path);

/* Makes the pidfile the caller's. The fd that carries the lock stays open across exec. */
enum step pidfile_take(const char *path, const char *draft, const uid_t *user, pid_t launcher,
	int *lock_fd);

/*
 * Removes the pidfile of a daemon that is gone, unless it has become another's: only while it
 * says what it said of that one, and nothing else.
 */
void pidfile_remove(const char *path, const uid_t *user, pid_t number);

#endif
