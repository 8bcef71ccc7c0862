/*
 * descriptors: sets of file descriptors, and how to close all others.
 *
 * ensure_standard_fds is for the launcher, the rest is for the children too.
 */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>

enum { FIRST_LOCK_FD = 10 }; /* clear of the low numbers that shell scripts use */

/* A set of file descriptors: sorted, no number twice. */
struct fds {
	int *fd;
	size_t count;
};

/* Whether fd is in the set. */
bool fds_hold(const struct fds *set, int fd);

/* Adds fd to a set that has room for it. */
void fds_insert(struct fds *set, int fd);

/*
 * Closes every fd from 3 up except those to keep: by close_range(2); or one by one, those
 * that /proc/self/fd or /dev/fd lists, whatever RLIMIT_NOFILE is; or, failing that, all
 * below that limit. Returns 0.
 */
int close_others(const struct fds *keep);

/*
 * Moves fd to 10 or above, or leaves it where RLIMIT_NOFILE is lower than that. It stays open
 * across exec. -1, errno set, if it fails.
 */
int move_high(int fd);

/*
 * Opens /dev/null on each of fds 0 to 2 that the caller has closed, lest a file of ours become a
 * standard stream; or dies. Returns a bit for each that was closed.
 */
unsigned int ensure_standard_fds(void);

#endif
