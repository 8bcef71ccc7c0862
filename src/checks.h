/*
 * checks: finds what can fail in front of the user, before anything on disk changes.
 *
 * For the launcher. Each returns, or dies with the reason.
 */
#ifndef CHECKS_H
#define CHECKS_H

#include "identity.h"
#include "options.h"
#include "steps.h"

#include <sys/types.h>

/*
 * Refuses to run set-user-ID or set-group-ID: a start would make anybody root, a stop reach
 * anybody's daemon.
 */
void check_set_user_id(void);

/*
 * Checks the caller's fds. `missing` has a bit for each of 0 to 2 that was closed. Occupies the
 * number of --notify-fd, so that no file of ours gets it.
 */
void check_caller(const struct options *opt, unsigned int missing);

/*
 * Checks all files and directories that the options name, and the launcher's PID: the first process
 * of a PID namespace cannot detach. `path` is the command's file, empty with --chroot.
 */
void check_paths(const struct options *opt, const struct objects *objects,
	const struct identity *id, const char *path, pid_t launcher);

#endif
