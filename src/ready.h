/*
 * ready: the command of --ready, which is tried until it exits with 0.
 *
 * A try is a shell command that runs as the caller would run it, in a session of its own, with the
 * daemon's PID in its environment. One runs at a time; when it exits, what it leaves in its process
 * group is killed. The first line of its output counts as a STATUS= from the daemon.
 *
 * For the launcher.
 */
#ifndef READY_H
#define READY_H

#include "notify.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tries {
	const char *command; /* NULL: there is nothing to try */
	pid_t daemon;
	int output[2];	   /* a pipe: our end, and that of each try */
	pid_t pid;	   /* of the running try; 0: none */
	int64_t next;	   /* when to start the next; nanoseconds */
	size_t said;	   /* how much of the line we have */
	bool line_is_over; /* the rest is discarded */
};

/* Starts a try if it is time. Returns when the next is due, NEVER if something else comes first. */
int64_t ready_try(struct tries *tries, struct notice *notice);

/* Takes in what a try has written. */
void ready_hear(struct tries *tries, struct notice *notice);

/* If the try has exited: the daemon is ready, or there will be another. */
void ready_note_end(struct tries *tries, struct notice *notice);

/* For a failed start: kills the running try, with all of its session, and closes the pipe. */
void ready_end(struct tries *tries);

#endif
