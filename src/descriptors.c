#include "features.h"

#include "descriptors.h"

#include "say.h"
#include "system.h"
#include "values.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

bool fds_hold(const struct fds *set, int fd)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->fd[i] == fd)
			return true;
	return false;
}

void fds_insert(struct fds *set, int fd)
{
	size_t i = set->count;

	if (fds_hold(set, fd))
		return;
	for (; i > 0 && set->fd[i - 1] > fd; i--)
		set->fd[i] = set->fd[i - 1];
	set->fd[i] = fd;
	set->count++;
}

static bool is_kept(const struct fds *keep, int fd)
{
	return fd <= STDERR_FILENO || fds_hold(keep, fd);
}

/* A handful of calls, however many fds are open or allowed. */
static int close_spans(const struct fds *keep)
{
	int low = STDERR_FILENO + 1;

	for (size_t i = 0; i < keep->count; i++) {
		if (keep->fd[i] > low && close_span(low, keep->fd[i] - 1) == -1)
			return -1;
		low = keep->fd[i] + 1;
	}
	return close_span(low, INT_MAX);
}

/* One call for each open fd. A list that changes while it is read may skip some. */
static int close_listed(const struct fds *keep, const char *directory)
{
	struct dirent *entry;
	unsigned long long fd;
	bool closed = true, failed;
	DIR *list = opendir(directory);

	if (!list)
		return -1;
	while (closed) {
		closed = false;
		rewinddir(list);
		while (errno = 0, (entry = readdir(list)))
			if (parse_number(entry->d_name, 10, INT_MAX, &fd) &&
				(int)fd != dirfd(list) && !is_kept(keep, (int)fd))
				closed |= close((int)fd) == 0;
	}
	failed = errno != 0;
	closedir(list);
	return failed ? -1 : 0;
}

/* The last resort: it misses fds above a limit that has been lowered. */
static int close_each(const struct fds *keep)
{
	long limit = sysconf(_SC_OPEN_MAX);

	for (int fd = STDERR_FILENO + 1; fd < limit; fd++)
		if (!is_kept(keep, fd))
			close(fd);
	return 0;
}

int close_others(const struct fds *keep)
{
	if (close_spans(keep) == 0 || close_listed(keep, "/proc/self/fd") == 0 ||
		close_listed(keep, "/dev/fd") == 0)
		return 0;
	return close_each(keep);
}

int move_high(int fd)
{
	int high = fcntl(fd, F_DUPFD, FIRST_LOCK_FD);

	if (high == -1 && (errno == EINVAL || errno == EMFILE))
		return fcntl(fd, F_SETFD, 0) == -1 ? -1 : fd;
	if (high != -1)
		close(fd);
	return high;
}

unsigned int ensure_standard_fds(void)
{
	unsigned int missing = 0;

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1) {
			missing |= 1U << fd;
			if (open("/dev/null", O_RDWR) != fd)
				die(EXIT_SETUP, "cannot open '/dev/null': %s", strerror(errno));
		}
	return missing;
}
