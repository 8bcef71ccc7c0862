/*
 * What src/system-bsd.c asks of kqueue(2), and no more, made of Linux's pidfds. A process that has
 * exited, but has not been waited for, can be watched only on FreeBSD.
 */
#ifndef EVENT_H
#define EVENT_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define EVFILT_PROC (-5)
#define EV_ADD 0x1
#define NOTE_EXIT 0x80000000

struct kevent {
	uintptr_t ident;
	short filter;
	unsigned short flags;
	unsigned int fflags;
};

#define EV_SET(event, ident, filter, flags, fflags, data, udata)                                   \
	(*(event) = (struct kevent){(uintptr_t)(ident), filter, flags, fflags})

static inline int kqueue(void)
{
	return eventfd(0, EFD_CLOEXEC); /* which has nothing to tell */
}

static inline int kevent(int queue, const struct kevent *change, int changes, struct kevent *event,
	int events, const struct timespec *timeout)
{
	struct pollfd end = {.events = POLLIN};
	int error = 0;

	(void)event;
	(void)timeout;
	errno = EINVAL;
	if (changes != 1 || events != 0 || change->filter != EVFILT_PROC ||
		change->flags != EV_ADD || change->fflags != NOTE_EXIT)
		return -1;
	end.fd = (int)syscall(SYS_pidfd_open, (pid_t)change->ident, 0U);
	if (end.fd == -1)
		return -1;
#if !defined(__FreeBSD__)
	if (poll(&end, 1, 0) != 0)
		error = ESRCH;
#endif
	if (!error && dup3(end.fd, queue, O_CLOEXEC) == -1)
		error = errno;
	close(end.fd);
	errno = error;
	return error ? -1 : 0;
}

#endif
