/*
 * readiness: the wait of -s, --notify, --notify-fd and --ready.
 *
 * Until the daemon is ready, the launcher waits: for the daemon to exit (then the start has
 * failed), for its word on a socket or a pipe, or that of the command of --ready, for the
 * deadline, and for the user's Ctrl-C. It terminates a start that fails, with TERM and then
 * KILL, including all that has been spawned in its session and what the launcher as
 * subreaper has inherited from it.
 *
 * MAINPID= other than the daemon's own is a failure: the lock, and so the pidfile, cannot be
 * handed over to another process.
 *
 * For the launcher.
 */
#ifndef READINESS_H
#define READINESS_H

#include "family.h"
#include "options.h"
#include "streams.h"

#include <sys/types.h>

/*
 * Returns once the daemon is ready. Otherwise terminates it, and exits with the reason. With
 * --ready, `write_fd` is the other end of `ready_fd`.
 */
void await_ready_or_die(const struct options *opt, const struct family *family,
	const struct streams *streams, uid_t user, int ready_fd, int write_fd);

#endif
