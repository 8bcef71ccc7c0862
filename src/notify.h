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
	bool closed;	  /* --notify-fd, before a newline came */
	int error;	  /* ERRNO= */
	pid_t main_pid;	  /* MAINPID= */
	int64_t deadline; /* of the wait, which EXTEND_TIMEOUT_USEC= moves; nanoseconds */
	char status[160]; /* STATUS= */
};

/* Removes the socket's file and directory. A signal handler may call it. */
void notify_unbind(void);

/* Opens the socket for sd_notify(3) and puts its name into our environment, or dies. */
int notify_open_or_die(const char *root, const struct identity *id);

/* Makes the pipe of --notify-fd or --ready, or dies. Returns our end; `write_fd` is the other. */
int notify_pipe_or_die(int *write_fd);

/* Takes in one message, lines of NAME=VALUE: sd_notify(3). Modifies `text`, a string. */
void notify_parse(char *text, struct notice *notice);

/*
 * Takes in the next message, ignored unless it is from the daemon's user, root or us.
 * False if none.
 */
bool notify_receive(int fd, uid_t user, struct notice *notice);

/* s6's protocol: a newline means ready, whatever comes before it. */
void notify_read(int fd, struct notice *notice);

#endif
