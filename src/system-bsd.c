/*
 * Where the BSDs and macOS differ from Linux in what a call does, though not in its header: the
 * page of their manual, and what follows from it here.
 *
 *   setgroups(2)   FreeBSD before 15 takes the first entry for the effective group ID, and so
 *                  getgroups(2) returns it. So our list begins with the new group, which is set
 *                  once more after it, and may_set_groups() sets exactly what it got.
 *   setgroups(2)   takes NGROUPS_MAX groups: 16, on FreeBSD 1023. The rest is left out.
 *   fcntl(2)       F_GETLK gives the PID of a process in another jail(8), where kill(2) finds
 *                  none: we do not trust its lock, and do not break it. -1, for a lock of
 *                  flock(2), is no process that we could signal.
 *   fcntl(2)       F_SETFL passes O_NONBLOCK on to the device; one that refuses is no stream.
 *   open(2)        O_NOFOLLOW: a link is EMLINK on FreeBSD, EFTYPE on NetBSD: is_symlink_error().
 *   open(2)        A FIFO that nobody reads is ENXIO to a writer with O_NONBLOCK, as on Linux.
 *   intro(2)       A path has 1023 bytes, a socket's 103: PATH_MAX and sun_path say so.
 *   fdescfs(5)     FreeBSD's /dev/fd ends at 2 unless this is mounted; closefrom(2) needs no list.
 *   closefrom(2)   macOS lacks it, but its /dev/fd lists all.
 *   kqueue(2)      does not say that a process that has exited cannot be watched, even before it
 *                  is waited for: ESRCH. On FreeBSD it can. Nor that on NetBSD only root can watch
 *                  another user's process: EACCES, and we poll.
 *   procctl(2)     FreeBSD's reaper is a subreaper, and a process can ask to be killed with its
 *                  parent. The others have neither: init gets the orphans.
 *   unix(4)        A process that may not write to a socket's file cannot send to it. We do not
 *                  ask for credentials, which each system passes in a way of its own.
 */
#include "features.h"

#include "system.h"

#include "system-choice.h"

#if !defined(__linux__)

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
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
#if defined(HAVE_SUBREAPER) || defined(HAVE_PARENT_DEATH)
#include <sys/procctl.h>
#endif
#if defined(HAVE_PARENT_DEATH)

void die_with_parent(void)
{
	procctl(P_PID, 0, PROC_PDEATHSIG_CTL, &(int){SIGKILL});
}

#endif
#if defined(HAVE_SUBREAPER)

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
typedef int listed_group; /* as getgrouplist(3) declares them */
#else
typedef gid_t listed_group;
#endif

/*
 * getgrouplist() returns whether all fit, which need not be: the kernel takes 16, and
 * users have more.
 */
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
