/*
 * identity: who to be, of -u and -g. It is resolved here, in the launcher, and assumed by the daemon.
 */
#ifndef IDENTITY_H
#define IDENTITY_H

#include "options.h"
#include "steps.h"

#include <stdbool.h>
#include <sys/types.h>

/* Who to be. */
struct identity {
	bool change;
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	int n_groups;
};

/* Settles who to be, of -u USER[:GROUP] and -g GROUP. Returns the step that we may not do, errno set. */
enum step identity_resolve(const struct options *opt, struct identity *id);

/* root may be kept from a directory (NFS) that the user to be can enter. */
bool may_enter_later(const struct identity *id, int error);

#endif
