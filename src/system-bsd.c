#include "features.h"

#include "system.h"

#include "system-choice.h"

#if !defined(__linux__)

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

#if defined(HAVE_CLOSEFROM)

int close_span(int low, int high)
{
	if (high == INT_MAX) {
		closefrom(low);
		return 0;
	}
	while (low <= high)
		close(low++);
	return 0;
}

#endif
#if defined(HAVE_SUBREAPER)

#include <sys/procctl.h>

void become_subreaper(void)
{
	procctl(P_PID, getpid(), PROC_REAP_ACQUIRE, NULL);
}

#endif
#if defined(HAVE_KQUEUE)

#include <sys/event.h>

int process_watch(pid_t pid)
{
	struct kevent event;
	int saved, queue = kqueue();

	EV_SET(&event, pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, NULL);
	if (queue == -1 || kevent(queue, &event, 1, NULL, 0, NULL) == 0)
		return queue;
	saved = errno;
	close(queue);
	errno = saved;
	return -1;
}

#endif

#if defined(__APPLE__)
typedef int listed_group; /* as getgrouplist(3) has them */
#else
typedef gid_t listed_group;
#endif

/* Its result tells whether all went in: the kernel takes 16, and users have more. */
int list_groups(const char *user, gid_t group, gid_t *groups, int *count)
{
	const int max = *count;

	getgrouplist(user, (listed_group)group, (listed_group *)groups, count);
	if (*count > max)
		*count = max;
	return 0;
}

int set_groups(int count, const gid_t *groups)
{
	return setgroups(count, groups);
}

int may_set_groups(void)
{
	static gid_t groups[NGROUPS_MAX];
	int count = getgroups(NGROUPS_MAX, groups);

	return count == -1 ? -1 : set_groups(count, groups);
}

#endif
