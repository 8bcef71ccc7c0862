/*
 * clock: time as one number, monotonic nanoseconds, with a number for "never".
 *
 * For the launcher, and for the children, which borrow its memory; but seconds_text uses stdio, and
 * is for the launcher only.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NANOSECONDS INT64_C(1000000000) /* in a second */
#define NEVER INT64_MAX
#define NAP (NANOSECONDS / 1000)	 /* between two looks at what is about to change */
#define POLL_INTERVAL (NANOSECONDS / 20) /* where we cannot watch what we wait for */
#define BUSY_LIMIT NANOSECONDS		 /* no single step takes longer */
#define TERM_GRACE (5 * NANOSECONDS)	 /* for a failed start to exit after TERM, and after KILL */

/* The time of a clock, CLOCK_MONOTONIC or another, in nanoseconds. */
int64_t clock_read(clockid_t clock);

/* The moment on CLOCK_MONOTONIC when this duration will have passed; NEVER for NEVER. */
int64_t deadline_in(int64_t duration);

/* The earlier of two moments, the shorter of two durations. */
int64_t earliest(int64_t a, int64_t b);

/* Writes a duration as "0.03 s" into `text`, and returns it. */
const char *seconds_text(char text[32], int64_t duration);

/* Sleeps, less if a signal comes; not at all if the duration is zero or negative. */
void nap(int64_t duration);

/* Milliseconds for poll(2), rounded up, of nanoseconds that may be NEVER or negative. */
int poll_timeout(int64_t left);

/*
 * Polls the fd for input, an error or a hangup, whatever signals come; false once the
 * deadline has passed.
 */
bool poll_until(int fd, int64_t deadline);

#endif
