/*
 * identity: the user and groups of -u and -g. The launcher resolves them, the daemon assumes them.
 */
#ifndef IDENTITY_H
#define IDENTITY_H

#include "options.h"
#include "steps.h"

#include <stdbool.h>
#include <sys/types.h>

/* Who the daemon runs as. */
struct identity {
	bool change;
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	int n_groups;
};

/*
 * Resolves -u USER[:GROUP] and -g GROUP, or dies; sets HOME and the like. Returns the step that we
 * lack the privileges for, errno set.
 */
enum step identity_resolve(const struct options *opt, struct identity *id);

/*
 * Whether chdir(2), which failed with this error, may work later: NFS can keep root out of a
 * directory that the daemon's user can enter.
 */
bool may_enter_later(const struct identity *id, int error);

#endif
