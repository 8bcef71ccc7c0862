#include "features.h"

#include "system.h"

#include "clock.h"
#include "system-choice.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* ---- The same on each system ---- */

ssize_t receive_from(int fd, struct iovec *text, struct sender *sender)
{
	struct msghdr message = {.msg_iov = text, .msg_iovlen = 1};
	ssize_t received = receive_message(fd, &message, sender);
	const char *end = text->iov_base;

	while (message.msg_flags & MSG_TRUNC && received > 0 && end[received - 1] != '\n')
		received--;
	return received;
}

int terminal_columns(int fd)
{
	struct winsize size;

	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

#if !defined(EFTYPE)
#define EFTYPE (-1) /* not an errno */
#endif

bool is_symlink_error(int error)
{
	return error == ELOOP || error == EMLINK || error == EFTYPE; /* POSIX; FreeBSD; NetBSD */
}

void program_execute(int fd, const char *path, char **argv)
{
#if defined(HAVE_FEXECVE)
	fexecve(fd, argv, environ);
#else
	(void)fd;
#endif
	if (*path)
		execv(path, argv);
}

bool is_from_kernel(const siginfo_t *info)
{
#if defined(SI_KERNEL)
	return info->si_code == SI_KERNEL;
#else
	(void)info;
	return false;
#endif
}

/* ---- What stands in where a system lacks something ---- */

#if !defined(HAVE_LENDING)

pid_t fork_lending(enum borrower borrower, int (*child)(void *), void *argument)
{
	pid_t pid = fork();

	(void)borrower;
	if (pid == 0)
		child(argument);
	return pid;
}

#endif
#if !defined(HAVE_CLOSE_RANGE) && !defined(HAVE_CLOSEFROM)

int close_span(int low, int high)
{
	(void)low;
	(void)high;
	errno = ENOSYS;
	return -1;
}

#endif
#if !defined(HAVE_SUBREAPER)

void become_subreaper(void)
{
}

#endif
#if !defined(HAVE_PARENT_DEATH)

void die_with_parent(void)
{
}

#endif
#if !defined(HAVE_PIDFD) && !defined(HAVE_KQUEUE)

int process_watch(pid_t pid)
{
	(void)pid;
	errno = ENOSYS;
	return -1;
}

#endif
#if !defined(HAVE_PIDFD)

int process_signal(int watch, pid_t pid, int number)
{
	(void)watch;
	return kill(pid, number);
}

#endif
#if !defined(HAVE_ABSTRACT_SOCKETS)

bool bind_abstract(int fd, struct sockaddr_un *address)
{
	(void)fd;
	(void)address;
	return false;
}

#endif
#if !defined(HAVE_CREDENTIALS)

int want_credentials(int fd)
{
	(void)fd;
	return 0;
}

ssize_t receive_message(int fd, struct msghdr *message, struct sender *sender)
{
	*sender = (struct sender){.pid = 0, .uid = geteuid()};
	return recvmsg(fd, message, MSG_DONTWAIT);
}

#endif
#if !defined(HAVE_PROC)

ssize_t proc_read(pid_t pid, const char *name, char *text, size_t size)
{
	(void)pid;
	(void)name;
	(void)text;
	(void)size;
	return -1;
}

bool process_read(pid_t pid, struct process *process)
{
	(void)pid;
	(void)process;
	return false;
}

void process_name_starting(void)
{
}

int program_open(void)
{
	return -1;
}

#endif
#if !defined(__linux__)

void process_set_name(const char *name)
{
	(void)name;
}

void reset_reserved_signal(int number)
{
	(void)number;
}

#endif

/* ---- POSIX of 2024, and what stands in for it ---- */

#if defined(HAVE_PPOLL)

int poll_signals(struct pollfd *events, nfds_t count, int64_t left, const sigset_t *mask)
{
	struct timespec time = {0, 0};

	if (left > 0) {
		time.tv_sec = (time_t)(left / NANOSECONDS);
		time.tv_nsec = (long)(left % NANOSECONDS);
	}
	return ppoll(events, count, left == NEVER ? NULL : &time, mask);
}

#else

/* A signal between two of these calls waits until poll returns, hence its short limit. */
int poll_signals(struct pollfd *events, nfds_t count, int64_t left, const sigset_t *mask)
{
	sigset_t old;
	int result;

	sigprocmask(SIG_SETMASK, mask, &old);
	result = poll(events, count, poll_timeout(earliest(left, POLL_INTERVAL)));
	sigprocmask(SIG_SETMASK, &old, NULL);
	return result;
}

#endif
#if defined(HAVE_PIPE2)

int pipe_close_on_exec(int ends[2])
{
	return pipe2(ends, O_CLOEXEC);
}

#else

int pipe_close_on_exec(int ends[2])
{
	if (pipe(ends) == -1)
		return -1;
	return fcntl(ends[0], F_SETFD, FD_CLOEXEC) | fcntl(ends[1], F_SETFD, FD_CLOEXEC);
}

#endif
#if defined(HAVE_SETRESUID)

int set_group_ids(gid_t gid)
{
	return setresgid(gid, gid, gid);
}

int set_user_ids(uid_t uid)
{
	return setresuid(uid, uid, uid);
}

#else

/* For root, these set the saved ID as well. */
int set_group_ids(gid_t gid)
{
	return setgid(gid);
}

int set_user_ids(uid_t uid)
{
	return setuid(uid);
}

#endif
