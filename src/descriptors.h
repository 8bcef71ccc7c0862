/*
 * descriptors: sets of file descriptors, and the close of all others.
 *
 * ensure_standard_fds is for the launcher, the others are for the children too.
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

/* Puts fd into a set that has room for it. */
void fds_insert(struct fds *set, int fd);

/*
 * Closes every fd from 3 up that is not to be kept, whatever RLIMIT_NOFILE is: close_range(2), or one
 * by one those that /proc/self/fd or /dev/fd lists, or all that are allowed. -1, errno set, if it cannot.
 */
int close_others(const struct fds *keep);

/* An fd from 10 up, or, where RLIMIT_NOFILE is lower than that, any. */
int move_high(int fd);

/*
 * Opens /dev/null on those of fds 0 to 2 that the caller has closed, lest a file of ours
 * become a standard stream. Returns those that were missing, a bit each.
 */
unsigned int ensure_standard_fds(void);

#endif
