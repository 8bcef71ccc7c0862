#include "features.h"

#include "system.h"

#include "system-choice.h"

#if defined(__linux__)

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#if defined(HAVE_LENDING)

enum { CHILD_STACK = 262144 }; /* bytes; we use 5 kB, but what is preloaded may need more */

pid_t fork_lending(enum borrower borrower, int (*child)(void *), void *argument)
{
	static _Alignas(max_align_t) char stacks[BORROWERS][CHILD_STACK];
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	/* The middle child's stack lies above the daemon's, which is not in use yet. */
	if (borrower == MIDDLE_CHILD &&
		mprotect(*stacks + page - (uintptr_t)*stacks % page, page, PROT_NONE) == -1)
		return -1;
	return clone(child, stacks[borrower] + CHILD_STACK, CLONE_VM | CLONE_VFORK | SIGCHLD,
		argument);
}

#endif
#if defined(HAVE_CLOSE_RANGE)

int close_span(int low, int high)
{
	unsigned int last = high == INT_MAX ? UINT_MAX : (unsigned int)high;

	return (int)syscall(SYS_close_range, (unsigned int)low, last, 0U);
}

#endif
#if defined(HAVE_SUBREAPER)

void become_subreaper(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

#endif
#if defined(HAVE_PARENT_DEATH)

void die_with_parent(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

#endif
#if defined(HAVE_PIDFD)

int process_watch(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0U);
}

int process_signal(int watch, pid_t pid, int number)
{
	if (watch != -1) {
		struct pollfd end = {.fd = watch, .events = POLLIN};
		int result = (int)syscall(SYS_pidfd_send_signal, watch, number, NULL, 0U);

		/* A container's filter also says EPERM, to a call that it does not know. */
		if (result == 0 || (errno != ENOSYS && errno != EPERM))
			return result;
		/* While it lives, no other process has its PID. */
		if (poll(&end, 1, 0) > 0) {
			errno = ESRCH;
			return -1;
		}
	}
	return kill(pid, number);
}

#endif
#if defined(HAVE_ABSTRACT_SOCKETS)

bool bind_abstract(int fd, struct sockaddr_un *address)
{
	socklen_t size = sizeof *address;

	if (bind(fd, (const struct sockaddr *)address, sizeof address->sun_family) == -1 ||
		getsockname(fd, (struct sockaddr *)address, &size) == -1)
		return false;
	address->sun_path[0] = '@';
	address->sun_path[size - offsetof(struct sockaddr_un, sun_path)] = '\0';
	return true;
}

#endif
#if defined(HAVE_CREDENTIALS)

int want_credentials(int fd)
{
	return setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int));
}

ssize_t receive_message(int fd, struct msghdr *message, struct sender *sender)
{
	struct cmsghdr *first;
	struct ucred from;
	ssize_t received;
	/* No room for fds: the kernel closes them, which is what sd_notify_barrier(3) waits for. */
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof from)];
	} control;

	message->msg_control = control.space;
	message->msg_controllen = sizeof control.space;
	received = recvmsg(fd, message, MSG_DONTWAIT);
	*sender = (struct sender){.pid = 0, .uid = (uid_t)-1};
	if (received == -1)
		return -1;
	/* The kernel puts the credentials first. */
	first = CMSG_FIRSTHDR(message);
	if (first && first->cmsg_level == SOL_SOCKET && first->cmsg_type == SCM_CREDENTIALS) {
		memcpy(&from, CMSG_DATA(first), sizeof from);
		*sender = (struct sender){.pid = from.pid, .uid = from.uid};
	}
	return received;
}

#endif
#if defined(HAVE_PROC)

static const char starting_name[] =
	"(daemonize start"; /* a process's name has room for 15 letters */

/* Whether /proc shows our own PID namespace: after unshare(1) it may still be the outer one. */
static bool proc_is_ours(void)
{
	char link[16] = "";

	return readlink("/proc/self", link, sizeof link - 1) > 0 &&
	       strtol(link, NULL, 10) == (long)getpid();
}

ssize_t proc_read(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t length;
	int fd;

	snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	length = read(fd, text, size - 1);
	close(fd);
	text[length > 0 ? length : 0] = '\0';
	return length;
}

bool process_read(pid_t pid, struct process *process)
{
	enum { STATE = 3, PARENT, GROUP, SESSION, FLAGS = 9, THREADS = 20, START = 22 };
	enum {
		EXITING = 0x4,
		FORKED_NO_EXEC = 0x40,
		KERNEL_THREAD = 0x200000
	}; /* PF_* in linux/sched.h */
	char text[1024], *word;
	bool starting;

	if (!proc_is_ours() || proc_read(pid, "stat", text, sizeof text) <= 0)
		return false;
	/* The second field is the command's name, in parentheses, and may hold any character. */
	word = strrchr(text, ')');
	starting = word && word - text > (ptrdiff_t)strlen(starting_name) &&
		   !memcmp(word - strlen(starting_name), starting_name, strlen(starting_name));
	for (int field = STATE; word && field <= START; field++) {
		word = strchr(word + 1, ' ');
		if (!word)
			break;
		if (field == STATE)
			process->state = word[1];
		else if (field == PARENT)
			process->parent = (pid_t)strtol(word, NULL, 10);
		else if (field == GROUP)
			process->group = (pid_t)strtol(word, NULL, 10);
		else if (field == SESSION)
			process->session = (pid_t)strtol(word, NULL, 10);
		else if (field == FLAGS) {
			process->execed = !starting && !(strtoul(word, NULL, 10) & FORKED_NO_EXEC);
			process->ending = strtoul(word, NULL, 10) & EXITING;
			process->kernel = strtoul(word, NULL, 10) & KERNEL_THREAD;
		} else if (field == THREADS)
			process->threads = strtol(word, NULL, 10);
		else if (field == START)
			process->start = strtoull(word, NULL, 10);
	}
	return word != NULL;
}

void process_name_starting(void)
{
	prctl(PR_SET_NAME, starting_name + 1, 0, 0, 0);
}

int program_open(void)
{
	return open("/proc/self/exe", O_PATH | O_CLOEXEC);
}

#endif

void process_set_name(const char *name)
{
	prctl(PR_SET_NAME, name, 0, 0, 0);
}

int list_groups(const char *user, gid_t group, gid_t *groups, int *count)
{
	return getgrouplist(user, group, groups, count);
}

int set_groups(int count, const gid_t *groups)
{
	return setgroups((size_t)count, groups);
}

/*
 * Linux checks the privilege before the groups, so an invalid one changes nothing. Those that we
 * have may have no number in our user namespace.
 */
int may_set_groups(void)
{
	return set_groups(1, &(gid_t){(gid_t)-1}) == -1 && errno == EINVAL ? 0 : -1;
}

/* In the kernel's structure, zeros mean the default: sigaction(2). */
void reset_reserved_signal(int number)
{
	static const long zeros[16];

	syscall(SYS_rt_sigaction, number, zeros, NULL, (size_t)(SIGRTMAX + 1) / CHAR_BIT);
}

#endif
