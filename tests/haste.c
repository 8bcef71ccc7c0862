/*
 * haste: linked to the program with -Wl,--wrap=clock_gettime,--wrap=ppoll, a clock that jumps ahead to
 * where a wait would end.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __real_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *limit,
	const sigset_t *mask);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *limit,
	const sigset_t *mask);

static time_t ahead; /* seconds */

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	const int result = __real_clock_gettime(clock, now);

	now->tv_sec += ahead;
	return result;
}

int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *limit,
	const sigset_t *mask)
{
	const struct timespec none = {0, 0};

	if (limit && (limit->tv_sec > 0 || limit->tv_nsec > 0))
		ahead += limit->tv_sec + 1;
	return __real_ppoll(fds, count, limit ? &none : NULL, mask);
}
