#include "features.h"

#include "system.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif
#if defined(__FreeBSD__)
#include <sys/procctl.h>
#endif
#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__NetBSD__)
#include <sys/event.h>
#define HAVE_KQUEUE 1
#endif

#define STARTING_NAME "daemonize start" /* of a process, in the 15 letters that there are */

enum { CHILD_STACK = 262144 }; /* bytes; we use 5 kB, but what is preloaded may need more */

pid_t fork_lending(enum borrower borrower, int (*child)(void *), void *argument)
{
#if defined(__linux__) && !defined(NO_LENDING) && !defined(__hppa__) /* stacks grow upwards */
	static _Alignas(max_align_t) char stacks[BORROWERS][CHILD_STACK];
	char *stack = stacks[borrower];
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (mprotect(stack + page - (uintptr_t)stack % page, page, PROT_NONE) == -1)
		return -1;
	return clone(child, stack + CHILD_STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, argument);
#else
	pid_t pid = fork();

	(void)borrower;
	if (pid == 0)
		child(argument);
	return pid;
#endif
}

int close_span(int low, int high)
{
#if defined(SYS_close_range) && !defined(NO_CLOSE_RANGE)
	unsigned int last = high == INT_MAX ? UINT_MAX : (unsigned int)high;

	return (int)syscall(SYS_close_range, (unsigned int)low, last, 0U);
#elif defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__NetBSD__)
	if (high == INT_MAX) {
		closefrom(low);
		return 0;
	}
	while (low <= high)
		close(low++);
	return 0;
#else
	(void)low;
	(void)high;
	errno = ENOSYS;
	return -1;
#endif
}

void become_subreaper(void)
{
#if defined(PR_SET_CHILD_SUBREAPER) && !defined(NO_SUBREAPER)
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
#elif defined(PROC_REAP_ACQUIRE) && !defined(NO_SUBREAPER)
	procctl(P_PID, getpid(), PROC_REAP_ACQUIRE, NULL);
#endif
}

int process_watch(pid_t pid)
{
#if defined(SYS_pidfd_open) && !defined(NO_PIDFD)
	return (int)syscall(SYS_pidfd_open, pid, 0U);
#elif defined(HAVE_KQUEUE)
	struct kevent event;
	int saved, queue = kqueue();

	EV_SET(&event, pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, NULL);
	if (queue == -1 || kevent(queue, &event, 1, NULL, 0, NULL) == 0)
		return queue;
	saved = errno;
	close(queue);
	errno = saved;
	return -1;
#else
	(void)pid;
	errno = ENOSYS;
	return -1;
#endif
}

int process_signal(int watch, pid_t pid, int number)
{
#if defined(SYS_pidfd_send_signal) && !defined(NO_PIDFD)
	if (watch != -1) {
		struct pollfd end = {.fd = watch, .events = POLLIN};
		int result = (int)syscall(SYS_pidfd_send_signal, watch, number, NULL, 0U);

		/* EPERM is also what a container's filter says to a call that it does not know. */
		if (result == 0 || (errno != ENOSYS && errno != EPERM))
			return result;
		/* While it lives, its PID is no other's. */
		if (poll(&end, 1, 0) > 0) {
			errno = ESRCH;
			return -1;
		}
	}
#else
	(void)watch;
#endif
	return kill(pid, number);
}

int poll_signals(struct pollfd *events, nfds_t count, int64_t left, const sigset_t *mask)
{
#if defined(__APPLE__)
	sigset_t old;
	int result, milliseconds = left == NEVER ? 50 : (int)(left / 1000000 % INT_MAX);

	/* A signal between the two calls waits for the end of the poll, hence its short limit. */
	sigprocmask(SIG_SETMASK, mask, &old);
	result = poll(events, count, milliseconds > 50 ? 50 : milliseconds);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return result;
#else
	struct timespec time = {0, 0};

	if (left > 0) {
		time.tv_sec = (time_t)(left / NANOSECONDS);
		time.tv_nsec = (long)(left % NANOSECONDS);
	}
	return ppoll(events, count, left == NEVER ? NULL : &time, mask);
#endif
}

bool bind_abstract(int fd, struct sockaddr_un *address)
{
#if defined(__linux__) && !defined(NO_ABSTRACT_SOCKETS)
	socklen_t size = sizeof *address;

	if (bind(fd, (const struct sockaddr *)address, sizeof address->sun_family) == -1 ||
		getsockname(fd, (struct sockaddr *)address, &size) == -1)
		return false;
	address->sun_path[0] = '@';
	address->sun_path[size - offsetof(struct sockaddr_un, sun_path)] = '\0';
	return true;
#else
	(void)fd;
	(void)address;
	return false;
#endif
}

int want_credentials(int fd)
{
#if defined(SO_PASSCRED)
	return setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int));
#else
	(void)fd;
	return 0;
#endif
}

ssize_t receive_from(int fd, struct iovec *text, struct sender *sender)
{
	struct msghdr message = {.msg_iov = text, .msg_iovlen = 1};
	const char *end = text->iov_base;
	ssize_t received;
#if defined(SO_PASSCRED)
	struct cmsghdr *first;
	struct ucred from;
	/* No room for fds: the kernel closes them, which is what sd_notify_barrier(3) waits for. */
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof from)];
	} control;

	message.msg_control = control.space;
	message.msg_controllen = sizeof control.space;
	received = recvmsg(fd, &message, MSG_DONTWAIT);
	*sender = (struct sender){.pid = 0, .uid = (uid_t)-1};
	if (received == -1)
		return -1;
	/* The kernel puts the credentials first. */
	first = CMSG_FIRSTHDR(&message);
	if (first && first->cmsg_level == SOL_SOCKET && first->cmsg_type == SCM_CREDENTIALS) {
		memcpy(&from, CMSG_DATA(first), sizeof from);
		*sender = (struct sender){.pid = from.pid, .uid = from.uid};
	}
#else
	received = recvmsg(fd, &message, MSG_DONTWAIT);
	*sender = (struct sender){.pid = 0, .uid = geteuid()};
#endif
	while (message.msg_flags & MSG_TRUNC && received > 0 && end[received - 1] != '\n')
		received--;
	return received;
}

int terminal_columns(int fd)
{
	struct winsize size;

	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

int pipe_close_on_exec(int ends[2])
{
#if defined(__APPLE__)
	if (pipe(ends) == -1)
		return -1;
	return fcntl(ends[0], F_SETFD, FD_CLOEXEC) | fcntl(ends[1], F_SETFD, FD_CLOEXEC);
#else
	return pipe2(ends, O_CLOEXEC);
#endif
}

#if defined(__linux__) && !defined(NO_PROC)

/* Whether /proc shows our own PID namespace: after unshare(1) it may still be the outer one. */
static bool proc_is_ours(void)
{
	char link[16] = "";

	return readlink("/proc/self", link, sizeof link - 1) > 0 &&
	       strtol(link, NULL, 10) == (long)getpid();
}

#endif

bool process_read(pid_t pid, struct process *process)
{
#if defined(__linux__) && !defined(NO_PROC)
	enum { STATE = 3, PARENT, GROUP, SESSION, FLAGS = 9, THREADS = 20, START = 22 };
	enum { FORKED_NO_EXEC = 0x40, KERNEL_THREAD = 0x200000 }; /* PF_* in linux/sched.h */
	char text[1024], *word;
	bool starting;
	ssize_t size;
	int fd;

	if (!proc_is_ours())
		return false;
	snprintf(text, sizeof text, "/proc/%ld/stat", (long)pid);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return false;
	size = read(fd, text, sizeof text - 1);
	close(fd);
	if (size <= 0)
		return false;
	text[size] = '\0';
	/* The second field is the command's name, in parentheses, and may hold any character. */
	word = strrchr(text, ')');
	starting =
		word && word - text > (ptrdiff_t)sizeof STARTING_NAME &&
		!memcmp(word - (sizeof STARTING_NAME - 1), STARTING_NAME, sizeof STARTING_NAME - 1);
	for (int field = STATE; word && field <= START; field++) {
		word = strchr(word + 1, ' ');
		if (!word)
			break;
		if (field == STATE)
			process->state = word[1];
		else if (field == PARENT)
			process->parent = (pid_t)strtol(word, NULL, 10);
		else if (field == SESSION)
			process->session = (pid_t)strtol(word, NULL, 10);
		else if (field == FLAGS) {
			process->execed = !starting && !(strtoul(word, NULL, 10) & FORKED_NO_EXEC);
			process->kernel = strtoul(word, NULL, 10) & KERNEL_THREAD;
		} else if (field == THREADS)
			process->threads = strtol(word, NULL, 10);
		else if (field == START)
			process->start = strtoull(word, NULL, 10);
	}
	return word != NULL;
#else
	(void)pid;
	(void)process;
	return false;
#endif
}

void process_name_starting(void)
{
#if defined(__linux__)
	prctl(PR_SET_NAME, STARTING_NAME, 0, 0, 0);
#endif
}

int list_groups(const char *user, gid_t group, gid_t *groups, int *count)
{
#if defined(__linux__)
	return getgrouplist(user, group, groups, count);
#else
	const int max = *count;
#if defined(__APPLE__)
	getgrouplist(user, (int)group, (int *)groups, count);
#else
	getgrouplist(user, group, groups, count);
#endif
	if (*count > max)
		*count = max;
	return 0;
#endif
}

int set_groups(int count, const gid_t *groups)
{
#if defined(__linux__)
	return setgroups((size_t)count, groups);
#else
	return setgroups(count, groups);
#endif
}

int may_set_groups(void)
{
#if defined(__linux__)
	return set_groups(1, &(gid_t){(gid_t)-1}) == -1 && errno == EINVAL ? 0 : -1;
#else
	static gid_t groups[NGROUPS_MAX];
	int count = getgroups(NGROUPS_MAX, groups);

	return count == -1 ? -1 : set_groups(count, groups);
#endif
}

bool is_symlink_error(int error)
{
#if defined(EFTYPE)
	if (error == EFTYPE) /* NetBSD */
		return true;
#endif
	return error == ELOOP || error == EMLINK; /* POSIX; FreeBSD */
}

int set_group_ids(gid_t gid)
{
#if defined(__APPLE__) || defined(__NetBSD__)
	return setgid(gid);
#else
	return setresgid(gid, gid, gid);
#endif
}

int set_user_ids(uid_t uid)
{
#if defined(__APPLE__) || defined(__NetBSD__)
	return setuid(uid);
#else
	return setresuid(uid, uid, uid);
#endif
}

void reset_reserved_signal(int number)
{
#if defined(__linux__)
	static const long zeros[16];

	syscall(SYS_rt_sigaction, number, zeros, NULL, (size_t)(SIGRTMAX + 1) / CHAR_BIT);
#else
	(void)number;
#endif
}
