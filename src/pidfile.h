/*
 * pidfile: who holds it, and how it is taken and removed.
 *
 * The lock is the truth, the number a convenience. A write lock is held for the few calls in
 * which a file is judged and replaced, or removed; the daemon holds a read lock while it lives:
 *
 *   pidfile_take        lock the file of that name for writing, or an empty one made for that;
 *   (in the daemon)     judge its number; write ours into a new file, lock that for reading, on a
 *                       read-only fd; and rename it into place. Nobody else ever has an fd with
 *                       which to write to it, and whoever sees it sees it complete and locked.
 *   pidfile_look        who holds the lock? If nobody does, is the number that of a living process
 *   (in the launcher)   that is not younger than the file? A daemon that closes all its fds, or
 *                       its own pidfile, has lost its lock but not its place.
 *   pidfile_remove      lock for writing; remove it only if it still names the daemon that exited.
 *
 * Where the directory takes no new file, the old one is written in place if only we can have it
 * open for writing: see pidfile_rewrite.
 *
 * pidfile_take is for the daemon, the rest for the launcher, --status and the like. `user` may own
 * the file, besides root and us; NULL: anybody may. A step that is returned is the one that failed,
 * errno set.
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

/*
 * Who holds a pidfile: by its lock, or without one by its number. From PIDFILE_CHANGING on, a
 * process does.
 */
enum pidfile_state {
	PIDFILE_ABSENT,
	PIDFILE_STALE,
	PIDFILE_CHANGING, /* locked for writing, for the moment that a claim or a removal takes */
	PIDFILE_STARTING, /* its owner has yet to execute the command */
	PIDFILE_LOCKED,	  /* as a daemon locks it */
	PIDFILE_ORPHANED, /* likewise, but a child of the process that took the lock holds it */
	PIDFILE_NUMBERED, /* not locked, but its number is that of a living process */
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
 * Returns the PID in the file's first line; 0 if there is none; -1, errno set, if it cannot be
 * read. `pure`: the file holds nothing but digits, and at most a newline.
 */
pid_t pidfile_number(int fd, bool *pure);

/* Whether its time is ahead of the clock, which was reset: then it proves nothing. */
bool is_in_future(const struct stat *file);

/*
 * Looks until the state is settled, for at most `patience` nanoseconds. What is still changing then
 * is another program's lock.
 */
enum step pidfile_look_settled(const char *path, const uid_t *user, int64_t patience,
	struct owner *owner);

/* Whether a process holds the pidfile: for good, if we looked until that was settled. */
bool owner_runs(const struct owner *owner);

/*
 * Why the process that the lock or the number names may not be the daemon, but another that
 * got its PID since; NULL: it is the daemon. Pin it first, and look again, to signal it. A
 * lock names the process that took it, and a child made with CLONE_FILES keeps it when that
 * one exits: so the process must have the file open. If its PID is not the number in the file,
 * it must be root's or ours. Where there is no lock, or its fds cannot be seen, only a number
 * that root or we wrote counts.
 */
const char *owner_doubt(const struct owner *owner);

/* "pid 1234", or where the process is if it has no PID here; in `text`, or constant. */
const char *owner_text(char text[32], pid_t pid);

/*
 * Names the new file, in the directory of the pidfile: before the fork, so that the launcher can
 * remove what a killed daemon leaves behind. The name is unique, whatever our PID namespace.
 */
void pidfile_name_draft(char draft[PATH_MAX], const char *path);

/*
 * Makes the pidfile the calling process's. `lock_fd`, which carries the lock, stays open across
 * exec. STEP_PIDFILE_LOST: another process holds it.
 */
enum step pidfile_take(const char *path, const char *draft, const uid_t *user, pid_t launcher,
	int *lock_fd);

/*
 * Removes the pidfile of a daemon that has exited, unless it is another's by now: only if it holds
 * that daemon's number, and nothing else.
 */
void pidfile_remove(const char *path, const uid_t *user, pid_t number);

#endif
