/*
 * launcher: forks the children, listens to their reports, and proves that the command has been
 * executed. Clears up what has failed.
 */
#ifndef LAUNCHER_H
#define LAUNCHER_H

#include "daemon.h"
#include "family.h"
#include "steps.h"

#include <stdbool.h>
#include <sys/types.h>

/* The outcome of one try to start the daemon. */
struct attempt {
	struct family family;  /* its daemon is 0 if none was born */
	struct report failure; /* the step that failed; STEP_DONE: none was reported */
	int ready_fd;	       /* our end of --notify, --notify-fd or --ready; -1: none */
};

/*
 * Starts the daemon. True once it has exec'd: then all signals stay blocked, lest a
 * Ctrl-C leave behind a daemon that nobody knows of. False if another start was faster.
 * Exits if the start fails.
 */
bool launch(struct plan *plan, struct attempt *attempt);

/* With -f: this process becomes the daemon. */
__attribute__((noreturn)) void launch_in_foreground(struct plan *plan);

/* -P: prints the PID on standard output. False, with a message unless interrupted, if it cannot. */
bool tell_pid(pid_t pid);

/*
 * After the death of a daemon that did not come up: reaps what is left, and removes its pidfile,
 * its socket, and its log commands. Until then, the zombie keeps its IDs from being reused.
 */
void bury(const char *pidfile, uid_t user, const struct family *family);

#endif
