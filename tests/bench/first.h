/* What the command reports to the benchmark: far below PIPE_BUF, so never torn. */
#ifndef FIRST_H
#define FIRST_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define NANOSECONDS INT64_C(1000000000) /* in a second */

struct first {
	int64_t begun; /* CLOCK_MONOTONIC at its first instruction, in nanoseconds */
	pid_t pid;
};

#endif
