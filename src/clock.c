#include "features.h"

#include "clock.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>

int64_t clock_read(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NANOSECONDS + now.tv_nsec;
}

int64_t deadline_in(int64_t duration)
{
	return duration == NEVER ? NEVER : clock_read(CLOCK_MONOTONIC) + duration;
}

int64_t earliest(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

const char *seconds_text(char text[32], int64_t duration)
{
	snprintf(text, 32, "%lld.%02lld s", (long long)(duration / NANOSECONDS),
		(long long)(duration % NANOSECONDS / (NANOSECONDS / 100)));
	return text;
}

void nap(int64_t duration)
{
	struct timespec time = {(time_t)(duration / NANOSECONDS), (long)(duration % NANOSECONDS)};

	if (duration > 0)
		nanosleep(&time, NULL);
}

int poll_timeout(int64_t left)
{
	const int64_t millisecond = NANOSECONDS / 1000;

	if (left == NEVER)
		return -1;
	if (left <= 0)
		return 0;
	return left / millisecond < INT_MAX ? (int)(left / millisecond) + 1 : INT_MAX;
}

bool poll_until(int fd, int64_t deadline)
{
	struct pollfd event = {.fd = fd, .events = POLLIN};
	int64_t left;

	do {
		left = deadline == NEVER ? NEVER : deadline - clock_read(CLOCK_MONOTONIC);
		if (poll(&event, 1, poll_timeout(left)) > 0)
			return true;
	} while (left > 0);
	return false;
}
