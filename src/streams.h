/*
 * streams: the files of the standard streams, opened by the launcher, put in place by the daemon.
 *
 * For the launcher; streams_redirect and streams_truncate are for the children.
 */
#ifndef STREAMS_H
#define STREAMS_H

#include "options.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* What the daemon gets on fds 0 to 2. */
struct streams {
	int fd[3]; /* -1: the caller's own */
	struct stat status[3];
	off_t log_size[3]; /* before this start; -1: not a regular file */
};

/* Dies if the log's file system has no room for a single line. statvfs(3) */
void check_disk_or_die(const char *path, bool truncate);

/*
 * Opens what the daemon gets on fds 0 to 2, or dies: first what exists, so that nothing is created
 * if something else cannot be opened; and in a second call, with `create`, the rest. Two names of
 * one log share one open file description.
 */
void streams_open_or_die(const struct options *opt, struct streams *streams, bool create);

/* Reopens them after a wait, in which logs may have been rotated; or dies. Two may share an fd. */
void streams_reopen_or_die(const struct options *opt, struct streams *streams);

/* Puts them on fds 0 to 2. -1, errno set, if it fails. */
int streams_redirect(const struct streams *streams);

/* Empties the regular files among the outputs. -1, errno set, if it fails. */
int streams_truncate(const struct streams *streams);

/*
 * Shows the last lines that a failed start wrote to its log: standard error's, which says why, if
 * there are any.
 */
void streams_show(const struct options *opt, const struct streams *streams);

#endif
