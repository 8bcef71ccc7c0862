/*
 * checks: what can fail in front of the user is found here, before anything on disk has changed.
 *
 * For the launcher. Each dies with what is wrong.
 */
#ifndef CHECKS_H
#define CHECKS_H

#include "identity.h"
#include "options.h"
#include "steps.h"

#include <sys/types.h>

/* Whether we run with another's privileges: a start would make anybody root, a stop reach anybody's daemon. */
void check_set_user_id(void);

/*
 * The caller's fds. `missing` has a bit for each of 0 to 2 that was closed. The number of --notify-fd is
 * taken, so that no file of ours gets it.
 */
void check_caller(const struct options *opt, unsigned int missing);

/*
 * All files and directories that the options name. `path` is the command's file, empty inside of
 * --chroot. And the launcher: as the first process of a PID namespace it cannot detach.
 */
void check_paths(const struct options *opt, const struct objects *objects,
	const struct identity *id, const char *path, pid_t launcher);

#endif
