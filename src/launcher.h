/*
 * launcher: forks the children, listens to what they report, and proves that the daemon has been
 * executed. What has failed is cleared up.
 */
#ifndef LAUNCHER_H
#define LAUNCHER_H

#include "daemon.h"
#include "family.h"
#include "steps.h"

#include <stdbool.h>
#include <sys/types.h>

/* What has become of one try to start the daemon. */
struct attempt {
	struct family family;  /* its daemon is 0 if none was born */
	struct report failure; /* the step that failed; STEP_DONE if none has reported */
	int ready_fd;	       /* our end of --notify, --notify-fd or --ready; -1: none */
};

/*
 * Starts the daemon; true once it has exec'd, with all signals blocked; false if another starter
 * was faster. Signals wait: a Ctrl-C must not leave a daemon behind that nobody has heard of.
 */
bool launch(struct plan *plan, struct attempt *attempt);

/* With -f: this process becomes the daemon. */
__attribute__((noreturn)) void launch_in_foreground(struct plan *plan);

/* Prints it on standard output, for -P. False, and said why, if it cannot. */
bool tell_pid(pid_t pid);

/*
 * After the end of a daemon that is not up: reaps what is left, and removes its pidfile, its socket,
 * and its log commands. Until now the zombie has kept its numbers from being another's.
 */
void bury(const char *pidfile, uid_t user, const struct family *family);

#endif
