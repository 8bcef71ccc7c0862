#include "features.h"

#include "clock.h"

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
