/*
 * daemon: what the two children do: the middle child detaches, the second becomes the daemon.
 *
 * They borrow the launcher's memory: only system calls on what was settled before, no malloc, no
 * stdio. With -f, the launcher itself becomes the daemon.
 */
#ifndef DAEMON_H
#define DAEMON_H

#include "descriptors.h"
#include "identity.h"
#include "instance.h"
#include "keeper.h"
#include "options.h"
#include "steps.h"
#include "streams.h"

#include <limits.h>
#include <sys/types.h>

/* All that the daemon needs. */
struct plan {
	const struct options *opt;
	struct objects objects;
	struct identity id;
	char path[PATH_MAX]; /* the command's file; with --chroot, resolved inside */
	struct streams streams;
	int flock_fd;
	int channel_fd;	       /* the status channel; -1 in the foreground */
	struct fds keep;       /* every fd from 3 up that stays open */
	int lock_fd;	       /* carries the pidfile's lock; -1: not taken yet */
	int pidfile_parent_fd; /* in the foreground: the pidfile's directory */
	char draft[PATH_MAX];  /* the pidfile, until it is complete */
	pid_t launcher;
	struct instance instance;
	int ready_write_fd; /* with --notify-fd the daemon's end, with --ready that of its command */
	struct keeper keeper;
};

/*
 * Turns this process into the daemon. It closes all fds before it locks the pidfile, since any
 * close might drop the lock, and does what needs privileges while it has them.
 */
__attribute__((noreturn)) void become_daemon(struct plan *plan);

/*
 * The middle child. Its new session has no controlling terminal, and a process that does not lead
 * the session can never acquire one by opening it: daemon(7), steps 5 to 7.
 */
__attribute__((noreturn)) int detach(void *argument);

#endif
