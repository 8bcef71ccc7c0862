/*
 * notify: the socket of --notify and the pipe of --notify-fd, and what comes through them.
 *
 * For the launcher.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

#include "identity.h"
#include "system.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What the daemon has said. */
struct notice {
	struct sender speaker; /* of the last message */
	bool ready;
	struct sender ready_by;
	bool barrier;	  /* BARRIER=1, since READY=1 */
	bool closed;	  /* --notify-fd, without a newline */
	int error;	  /* ERRNO= */
	pid_t main_pid;	  /* MAINPID= */
	int64_t deadline; /* of the wait, which EXTEND_TIMEOUT_USEC= moves; nanoseconds */
	char status[160]; /* STATUS= */
};

/* A signal handler may call it. */
void notify_unbind(void);

/* The socket on which sd_notify(3) speaks, and its name in the daemon's environment. */
int notify_open_or_die(const char *root, const struct identity *id);

/* The pipe of --notify-fd: our end, and in `write_fd` the daemon's. */
int notify_pipe_or_die(int *write_fd);

/* Takes in one message, lines of NAME=VALUE: sd_notify(3). Text ends with a NUL, and is changed. */
void notify_parse(char *text, struct notice *notice);

/*
 * Takes in the next message, if it is from the daemon's user, root or us; false if there is none.
 */
bool notify_receive(int fd, uid_t user, struct notice *notice);

/* s6's protocol: a newline means ready, whatever comes before it. */
void notify_read(int fd, struct notice *notice);

#endif
