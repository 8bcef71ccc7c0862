/*
 * clock: time as one number, monotonic nanoseconds, with a number for "never".
 *
 * The launcher calls all of it. The children, who borrow its memory, may too, except seconds_text,
 * which is stdio's.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NANOSECONDS INT64_C(1000000000) /* in a second */
#define NEVER INT64_MAX
#define NAP (NANOSECONDS / 1000)	 /* between two looks at what is about to change */
#define POLL_INTERVAL (NANOSECONDS / 20) /* where what is waited for cannot be watched */
#define BUSY_LIMIT NANOSECONDS		 /* nobody is in the middle of a step for longer */
#define TERM_GRACE (5 * NANOSECONDS)	 /* for what a failed start ends, after TERM, and KILL */

/* What a clock shows, CLOCK_MONOTONIC or another. */
int64_t clock_read(clockid_t clock);

/* The moment on CLOCK_MONOTONIC at which this time will have passed; NEVER if that is NEVER. */
int64_t deadline_in(int64_t duration);

/* The earlier of two moments, the shorter of two durations. */
int64_t earliest(int64_t a, int64_t b);

/* Writes a duration as "0.03 s" into `text`, and returns it. */
const char *seconds_text(char text[32], int64_t duration);

/* Sleeps for so long, less if a signal comes; not at all for a duration that is not positive. */
void nap(int64_t duration);

/* Nanoseconds, NEVER or less than none, as poll(2) wants them. */
int poll_timeout(int64_t left);

/* Polls until the deadline, whatever signals come; false when it has passed. */
bool poll_until(int fd, int64_t deadline);

#endif
