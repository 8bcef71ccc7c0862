/*
 * ready: the command of --ready, which is tried until it exits with 0.
 *
 * A try is a shell command that runs as the caller would run it, in a session of its own, with the daemon's
 * PID in its environment. One runs at a time, and what it leaves in its process group ends with it. Of its
 * output the first line is kept, as if the daemon had sent it as its STATUS=.
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
	pid_t pid;	   /* of the try that runs; 0: none */
	int64_t next;	   /* when to begin the next; nanoseconds */
	size_t said;	   /* how much of the line we have */
	bool line_is_over; /* what comes now is discarded */
};

/* Begins a try if it is time. Returns when it will be time, NEVER if something else comes first. */
int64_t ready_try(struct tries *tries, struct notice *notice);

/* Takes in what a try has said. */
void ready_hear(struct tries *tries, struct notice *notice);

/* If the try has ended: the daemon is ready, or there will be another. */
void ready_note_end(struct tries *tries, struct notice *notice);

/* The start has failed: kills the try that runs, with all of its session, and closes the pipe. */
void ready_end(struct tries *tries);

#endif
