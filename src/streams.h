/*
 * streams: the files of the standard streams, opened by the launcher, put in place by the daemon.
 *
 * streams_redirect and streams_truncate are for the children.
 */
#ifndef STREAMS_H
#define STREAMS_H

#include "options.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* What the daemon is to have on fds 0 to 2. */
struct streams {
	int fd[3]; /* -1: the caller's own */
	struct stat status[3];
	off_t log_size[3]; /* before this start; -1: no regular file */
};

/* Dies if the file system of a log has no room for a single line. statvfs(3) */
void check_disk_or_die(const char *path, bool truncate);

/*
 * Opens what the daemon is to have on fds 0 to 2: first what exists, so that nothing is created
 * where something else cannot be opened, and in a second call the rest. Two names of one log
 * share one open file description.
 */
void streams_open_or_die(const struct options *opt, struct streams *streams, bool create);

/* For one who has waited: the logs may have been rotated meanwhile. Two may have been one. */
void streams_reopen_or_die(const struct options *opt, struct streams *streams);

/* Puts them on fds 0 to 2. -1, errno set, if it cannot. */
int streams_redirect(const struct streams *streams);

/* Empties the regular files among the outputs. -1, errno set, if it cannot. */
int streams_truncate(const struct streams *streams);

/*
 * Shows the person who has just seen a start fail the last lines that it wrote to its log: standard error
 * says why, where it has said anything. For the launcher.
 */
void streams_show(const struct options *opt, const struct streams *streams);

#endif
