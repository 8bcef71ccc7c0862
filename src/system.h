/*
 * system: what differs from system to system, and nothing else. Each function promises the same
 * everywhere, and says what it does where the system lacks it. Each is in one of three files,
 * system-linux.c, system-bsd.c and system-posix.c, as system-choice.h decides.
 *
 * The launcher may call all of it; the children, which may only make system calls, all except
 * list_groups and receive_from. fork_lending has a stack for each of them.
 */
#ifndef SYSTEM_H
#define SYSTEM_H

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#if defined(__APPLE__)
#define st_mtim st_mtimespec
#endif
#if !defined(CLOCK_BOOTTIME)
#define CLOCK_BOOTTIME CLOCK_MONOTONIC
#endif
#if !defined(O_PATH)
#define O_PATH O_RDONLY
#endif
#if !defined(LOGIN_NAME_MAX)
#define LOGIN_NAME_MAX 256
#endif
#if !defined(__linux__)
extern char **environ; /* POSIX declares it in no header */
#endif

enum { FIRST_LINE_MAX = 256 }; /* as much of a script's first line as Linux reads */

/* The first and last signal number beyond the standard ones that libc leaves to programs. */
#ifdef SIGRTMIN
#define REALTIME_FIRST SIGRTMIN
#define REALTIME_LAST SIGRTMAX
#else
#define REALTIME_FIRST (STANDARD_LAST + 1)
#define REALTIME_LAST STANDARD_LAST
#endif
#if defined(__NetBSD__)
#define STANDARD_LAST 32 /* SIGPWR */
#else
#define STANDARD_LAST 31 /* on OpenBSD 32 is libc's */
#endif

/* Whose stack the child of fork_lending() gets. */
enum borrower { DAEMON, MIDDLE_CHILD, BORROWERS };

/* What the kernel knows about a process. */
struct process {
	char state;
	pid_t parent;
	pid_t group;
	pid_t session;
	bool execed; /* it has exec'd since it was forked, or since process_name_starting() */
	bool ending; /* it has begun to exit, and runs no code of its own any more */
	bool kernel; /* it is a kernel thread */
	long threads;
	unsigned long long start; /* clock ticks since boot */
};

/* Who sent a message. */
struct sender {
	pid_t pid; /* 0: in another PID namespace, or not known */
	uid_t uid;
};

/*
 * Forks, and calls `child`, which must not return. On Linux the child borrows our memory, as with
 * vfork(2): we go on when it has exec'd or exited, and nothing is copied. It gets a stack of its
 * own, since it may lend all this to a child in turn: if it is killed then, we go on while that one
 * still runs, and until that exits must not touch what the two of us could share. That includes
 * errno, which is of no use to either. -1, errno set, if it fails.
 *
 * The stacks are not on ours, which may be small (ulimit -s). They take no memory until they are
 * used. Below them is a guard page: a child that needs more must not write elsewhere.
 */
pid_t fork_lending(enum borrower borrower, int (*child)(void *), void *argument);

/* Closes every fd from low to high; INT_MAX: to the last. -1, ENOSYS: it cannot. close_range(2) */
int close_span(int low, int high);

/*
 * Makes orphaned descendants ours, so that a daemon that dies stays a zombie, with its exit
 * status, until we have looked. Where the system cannot, init reaps it.
 */
void become_subreaper(void);

/*
 * Returns an fd that polls as readable once the process has exited, and never means another that
 * gets the same PID. -1 with ESRCH: no such process; with another errno: poll by hand.
 */
int process_watch(pid_t pid);

/* Signals the process that `watch` pins, whatever has its PID by now; with -1, signals the PID. */
int process_signal(int watch, pid_t pid, int number);

/* ppoll(2); `left` in nanoseconds, NEVER for no limit. `mask` is the signal mask meanwhile. */
int poll_signals(struct pollfd *events, nfds_t count, int64_t left, const sigset_t *mask);

/*
 * Binds a socket to a name in Linux's abstract namespace, which needs no file and reaches into any
 * chroot; but once we have exited, anybody can bind to it. The kernel chooses it: unix(7),
 * "Autobind". sd_notify(3) writes it with an '@'. False where that does not exist.
 */
bool bind_abstract(int fd, struct sockaddr_un *address);

/* Asks for the sender's credentials with each message. */
int want_credentials(int fd);

/*
 * Receives a message and its sender: unix(7), SCM_CREDENTIALS. Where those do not exist, the
 * socket's file lets only those send whom we trust. Of a message that is too long, it returns the
 * whole lines. -1, errno set: there is none.
 */
ssize_t receive_from(int fd, struct iovec *text, struct sender *sender);

/* How many columns the terminal has; 80 where that is unknown. */
int terminal_columns(int fd);

/* pipe(2), both ends close-on-exec. */
int pipe_close_on_exec(int ends[2]);

/*
 * An fd of the file that this process has executed, close-on-exec: it stays right in another root
 * directory, and when the name means another file. -1 where the system cannot.
 */
int program_open(void);

/* fexecve(3), and if that fails execv(3), unless path is ""; returns if it cannot, errno set. */
void program_execute(int fd, const char *path, char **argv);

/* Has this process killed when its parent exits; where the system cannot, it lives on. */
void die_with_parent(void);

/* Names this process for ps(1) and pgrep(1), where exec by an fd would name it after that. */
void process_set_name(const char *name);

/* Whether the kernel sent it, not a process: a terminal signals the whole process group. */
bool is_from_kernel(const siginfo_t *info);

/*
 * Reads the file of that name from the process's directory in /proc, as a string: as much as there
 * is room for. Returns its size, or -1 if it cannot.
 */
ssize_t proc_read(pid_t pid, const char *name, char *text, size_t size);

/* Reads what /proc knows about a process; false where that is nothing. proc_pid_stat(5) */
bool process_read(pid_t pid, struct process *process);

/* With -f, until the command is executed: shows others that this process is not the daemon yet. */
void process_name_starting(void);

/*
 * getgrouplist(3). Where the kernel takes 16 groups and a user has more, the first are what a login
 * would set: initgroups(3).
 */
int list_groups(const char *user, gid_t group, gid_t *groups, int *count);

/* setgroups(2): glibc and musl take a size_t. */
int set_groups(int count, const gid_t *groups);

/* 0 if we may change our groups, -1 if not; changes nothing. */
int may_set_groups(void);

/* Whether this is what open(2) says about a symbolic link, with O_NOFOLLOW. */
bool is_symlink_error(int error);

/* Sets the real, effective and saved IDs alike, so that none is left to go back to. */
int set_group_ids(gid_t gid);

/* The same for the user. */
int set_user_ids(uid_t uid);

/*
 * Resets a signal that libc keeps for itself, and refuses to touch; but exec preserves an
 * ignored one.
 */
void reset_reserved_signal(int number);

#endif
