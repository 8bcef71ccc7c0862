/*
 * daemonize: run a command as a daemon, and say truthfully whether it is up.
 *
 * Who forks whom, and who holds what:
 *
 *   launcher   what the user typed. Does everything that can fail in front of the user: checks
 *      |       options, resolves names and paths, opens the logs, looks at the pidfile. Then it
 *      |       forks, stays as the subreaper of what follows, and exits last, with the verdict.
 *      +- middle child    setsid(2): a session without a terminal. Forks again and exits.
 *            +- daemon    not the session's leader, so no terminal it opens can become its own.
 *                         Takes the pidfile's lock, assumes its identity, execs the command.
 *
 * After the first fork there are only system calls on what was settled before. Every one that
 * fails goes one way: {step, errno} down the status channel, a close-on-exec pipe, and _exit.
 * What the launcher may conclude from the channel:
 *
 *   a report with an errno     the start failed at that step
 *   end of file                the daemon has exec'd or has died: each closes the pipe, so the
 *                              kernel is asked which (PF_FORKNOEXEC), see daemon_has_execed()
 *
 * Invariants:
 *   - fds 0-2 exist before anything is opened, so that no file of ours becomes a stream;
 *   - the pidfile carries a POSIX record lock that belongs to the daemon itself: it outlives
 *     exec, no child inherits it, and it ends with the process however that ends;
 *   - so the daemon's fds are closed before the lock is taken: closing any fd of a file drops
 *     every record lock that the process has on it;
 *   - whoever writes or removes a pidfile has its write lock; the daemon keeps a read lock, on
 *     a read-only fd.
 *
 * The file goes from leaves to main(). Read a start from start(): launch() forks and listens,
 * detach() and become_daemon() are what the children do, await_ready_or_die() is --notify and the
 * like. pidfile_look() and pidfile_take() are the two sides of the lock; --status and its kin
 * are control_status() and its neighbours. Every system that differs is behind a shim.
 *
 * References: PEP 3143; daemon(7); Stevens, Fenner, Rudoff, "UNIX Network Programming", 13.4;
 * fcntl_locking(2).
 */
#include "src/features.h"

#include "src/clock.h"
#include "src/interrupts.h"
#include "src/say.h"
#include "src/values.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
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
#if !defined(__linux__)
extern char **environ; /* POSIX: in no header */
#endif

#define VERSION "1.0.0"

/* LSB, "Init Script Actions". */
enum lsb_status { LSB_RUNNING = 0, LSB_DEAD = 1, LSB_NOT_RUNNING = 3, LSB_UNKNOWN = 4 };

enum {
	FIRST_LOCK_FD = 10, /* clear of the low numbers that shell scripts use */
	PIDFILE_MODE = 0644,
	LOCK_MODE = 0600, /* who can read the file can lock it */
	LOG_MODE = 0666,  /* less the umask */
	DEFAULT_UMASK = 022,
	OUR_FDS = 3,	      /* at most, to be kept besides those of -k */
	FIRST_LINE_MAX = 256, /* as much of a script's first line as Linux reads */
	CHILD_STACK = 262144, /* bytes; we use 5 kB, but what is preloaded may need more */
};

#define NAP (NANOSECONDS / 1000)	 /* between two looks at what is about to change */
#define POLL_INTERVAL (NANOSECONDS / 20) /* where a process cannot be watched */
#define BUSY_LIMIT NANOSECONDS		 /* no starter has the write lock for longer */
#define READY_TIMEOUT (60 * NANOSECONDS) /* -t of --notify and --notify-fd */
#define STOP_TIMEOUT (10 * NANOSECONDS)	 /* -t of --stop */
#define AT_ONCE (2 * NANOSECONDS)	 /* who exits with 0 before that may be in the background */
#define HEAR_OUT (NANOSECONDS / 2)	 /* for one who says READY=1 and has more to say */
#define LOGGER_TRIAL (NANOSECONDS / 10)	 /* a logger that ends before that cannot have started */
#define STARTING_NAME "daemonize start"	 /* of a process, in the 15 letters that there are */
#define TERM_GRACE (5 * NANOSECONDS)	 /* for a start that has failed, after TERM, and KILL */

/*
 * The steps of a start. Each has its words for the one who reads of its failure ("cannot ...")
 * and, for -v, for the one who wants to see what happens. `why` replaces the text of errno
 * where the system's own would say nothing, `object` is what the step was done to.
 */
enum step {
	STEP_DONE, /* no step failed */
	STEP_BORN,
	STEP_CHANNEL,
	STEP_FORK,
	STEP_PID_NAMESPACE,
	STEP_SESSION,
	STEP_FORK_AGAIN,
	STEP_PROCESS_GROUP,
	STEP_STREAMS,
	STEP_CLOSE,
	STEP_PIDFILE_OPEN,
	STEP_PIDFILE_SYMLINK,
	STEP_PIDFILE_TYPE,
	STEP_PIDFILE_LINKS,
	STEP_PIDFILE_OWNER,
	STEP_PIDFILE_READ,
	STEP_PIDFILE_LOCK,
	STEP_PIDFILE_LOST,
	STEP_PIDFILE_REPLACE,
	STEP_PIDFILE_WRITE,
	STEP_TRUNCATE,
	STEP_CHROOT,
	STEP_CHDIR,
	STEP_CORE,
	STEP_GROUPS,
	STEP_GROUP,
	STEP_USER,
	STEP_REGAIN,
	STEP_SIGNALS,
	STEP_FIND,
	STEP_EXEC,
};

enum object { OF_NOTHING, OF_PIDFILE, OF_CHROOT, OF_CHDIR, OF_USER, OF_COMMAND };

static const struct {
	enum object object;
	const char *verb;
	const char *why;
	const char *done;
} steps[] = {
	[STEP_BORN] = {OF_NOTHING, "tell the launcher the daemon's PID", NULL, NULL},
	[STEP_CHANNEL] = {OF_NOTHING, "hear from the daemon", NULL, NULL},
	[STEP_FORK] = {OF_NOTHING, "fork", NULL, NULL},
	[STEP_PID_NAMESPACE] = {OF_NOTHING, "fork",
		"children are in another PID namespace; unshare(1) has --fork for that", NULL},
	[STEP_SESSION] = {OF_NOTHING, "start a session", NULL,
		"left the caller's session and terminal (setsid)"},
	[STEP_FORK_AGAIN] = {OF_NOTHING, "fork a second time", NULL,
		"forked again: not the session's leader, it can never acquire a terminal"},
	[STEP_PROCESS_GROUP] = {OF_NOTHING, "start a process group", NULL,
		"became the leader of a process group (setpgid)"},
	[STEP_STREAMS] = {OF_NOTHING, "redirect the standard streams", NULL,
		"redirected standard input, output and error"},
	[STEP_CLOSE] = {OF_NOTHING, "close the inherited file descriptors", NULL,
		"closed all other file descriptors but those to keep"},
	[STEP_PIDFILE_OPEN] = {OF_PIDFILE, "open pidfile", NULL, NULL},
	[STEP_PIDFILE_SYMLINK] = {OF_PIDFILE, "use pidfile", "it is a symbolic link", NULL},
	[STEP_PIDFILE_TYPE] = {OF_PIDFILE, "use pidfile", "it is not a regular file", NULL},
	[STEP_PIDFILE_LINKS] = {OF_PIDFILE, "use pidfile", "it has another hard link", NULL},
	[STEP_PIDFILE_OWNER] = {OF_PIDFILE, "use pidfile", "it belongs to another user", NULL},
	[STEP_PIDFILE_READ] = {OF_PIDFILE, "read pidfile", NULL, NULL},
	[STEP_PIDFILE_LOCK] = {OF_PIDFILE, "lock pidfile", NULL, NULL},
	[STEP_PIDFILE_LOST] = {OF_PIDFILE, "lock pidfile", NULL, NULL},
	[STEP_PIDFILE_REPLACE] = {OF_PIDFILE, "replace pidfile", NULL, NULL},
	[STEP_PIDFILE_WRITE] = {OF_PIDFILE, "write pidfile", NULL,
		"took the lock of, and wrote the PID into, pidfile"},
	[STEP_TRUNCATE] = {OF_NOTHING, "truncate the logs", NULL, "truncated the logs"},
	[STEP_CHROOT] = {OF_CHROOT, "change the root directory to", NULL,
		"changed the root directory to"},
	[STEP_CHDIR] = {OF_CHDIR, "change to directory", NULL, "changed the working directory to"},
	[STEP_CORE] = {OF_NOTHING, "forbid core dumps", NULL, "forbade core dumps"},
	[STEP_GROUPS] = {OF_USER, "set the supplementary groups of", NULL, NULL},
	[STEP_GROUP] = {OF_USER, "set the group of", NULL, NULL},
	[STEP_USER] = {OF_USER, "become user", NULL, "set groups and group, and became user"},
	[STEP_REGAIN] = {OF_USER, "become user", "root's privileges could be taken back",
		"made sure that root's privileges are out of reach of user"},
	[STEP_SIGNALS] = {OF_NOTHING, "reset the signals", NULL,
		"reset signal dispositions and mask"},
	[STEP_FIND] = {OF_COMMAND, "find", "command not found", NULL},
	[STEP_EXEC] = {OF_COMMAND, "execute", NULL, NULL},
};

/* What the steps are done to, in the user's words. */
struct objects {
	const char *pidfile, *root, *directory, *user, *command;
	const char *file; /* that is to be executed; NULL: another one inside of --chroot */
};

/* ---- Types ------------------------------------------------------------------------------ */

enum mode { MODE_START, MODE_STATUS, MODE_STOP, MODE_SIGNAL, MODE_HELP, MODE_VERSION };

enum if_running { IF_RUNNING_REFUSE, IF_RUNNING_WAIT, IF_RUNNING_OK };

/* A set of file descriptors: sorted, no number twice. */
struct fds {
	int *fd;
	size_t count;
};

/* What the user asked for: const once it has been parsed and checked. */
struct options {
	enum mode mode;
	const char *pidfile; /* of a start: the last of those below */
	char **pidfiles;     /* in argv, where the options were */
	size_t n_pidfiles;
	const char *lockfile;
	const char *user;
	const char *group;
	const char *root;
	const char *directory; /* NULL: not given, which means "/" */
	const char *stream[3]; /* NULL: /dev/null; "-": the caller's; "|command": a logger */
	bool truncate;
	bool foreground;
	bool no_core;
	bool print_pid;
	bool if_running_given;
	enum if_running if_running;
	int64_t wait; /* nanoseconds */
	mode_t umask;
	struct fds keep;
	int missing_fd;	 /* of -k, the first that is not open; -1: none */
	sigset_t ignore; /* the dispositions of the daemon: ignored, or else default */
	char **env;	 /* NAME=VALUE, in the order given */
	size_t n_env;
	int64_t startsecs; /* durations in nanoseconds, -1 where not given */
	int64_t timeout;
	int64_t kill_after;
	bool notify;
	int notify_fd;	  /* -1: not given */
	int signal;	  /* of --signal */
	const char *name; /* the command as typed */
	char **command;	  /* NULL-terminated; command[-1] exists: ours, or an option */
};

/* Who to be. */
struct identity {
	bool change;
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	int n_groups;
};

/* What the daemon is to have on fds 0 to 2. */
struct streams {
	int fd[3]; /* -1: the caller's own */
	struct stat status[3];
	off_t log_size[3]; /* before this start; -1: no regular file */
};

/* Where to look whether it runs already, and what to do then. */
struct instance {
	const struct options *opt;
	const struct objects *objects;
	const uid_t *user; /* who may own the pidfile, besides root and us */
	int64_t deadline;  /* of -w */
};

/* All that the daemon needs. */
struct plan {
	const struct options *opt;
	struct objects objects;
	struct identity id;
	char path[PATH_MAX]; /* the command's file; empty with --chroot: found after it */
	struct streams streams;
	int flock_fd;
	int channel_fd;	       /* the status channel; -1 in the foreground */
	struct fds keep;       /* every fd from 3 up that is not to be closed */
	int lock_fd;	       /* carries the pidfile's lock; -1: not yet */
	int pidfile_parent_fd; /* in the foreground: the pidfile's directory */
	char draft[PATH_MAX];  /* the pidfile, until it is complete */
	pid_t launcher;
	struct instance instance;
	int ready_write_fd; /* the daemon's end of --notify-fd */
};

/* What the daemon-to-be writes into the status channel: far below PIPE_BUF, so never torn. */
struct report {
	enum step step;
	int failed; /* a bool would leave padding, which is not ours to send */
	int error;
	pid_t pid;
};

/* What the kernel knows of a process. */
struct process {
	char state;
	pid_t parent;
	pid_t session;
	bool execed; /* it has called exec since it was forked, or is no longer us */
	bool kernel; /* it is a thread of the kernel's */
	long threads;
	unsigned long long start; /* clock ticks since boot */
};

/* Who has sent a message. */
struct sender {
	pid_t pid; /* 0: in another PID namespace, or not known */
	uid_t uid;
};

/* Who has a pidfile: what its lock says, or else the number in it. From PIDFILE_CHANGING on, somebody does. */
enum pidfile_state {
	PIDFILE_ABSENT,
	PIDFILE_STALE,
	PIDFILE_CHANGING, /* locked for writing, for the moment that a claim or a removal takes */
	PIDFILE_STARTING, /* its owner has yet to execute the command */
	PIDFILE_LOCKED,	  /* as a daemon locks it */
	PIDFILE_ORPHANED, /* likewise, but who took the lock does not hold it: a child of it does */
	PIDFILE_NUMBERED, /* not locked, but the number in it is that of a living process */
};

enum seen { UNSEEN, SEEN_NOT, SEEN };

struct owner {
	enum pidfile_state state;
	enum seen open;	    /* whether the process has the file open */
	pid_t pid;	    /* 0: in another PID namespace */
	pid_t number;	    /* what the file says */
	struct stat status; /* the file's */
};

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* ---- System shims: every #ifdef of the program is here ------------------------------------ */

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

enum borrower { MIDDLE_CHILD, DAEMON, BORROWERS };

/*
 * Forks for `child`, which must not return. On Linux the child borrows our memory, as with
 * vfork(2): we go on when it has exec'd or ended, and nothing has been copied. It gets a stack of
 * its own, since it may have lent all this to a child in turn: if it is killed then, we go on
 * while that one still runs, and until then must not touch what the two could share. That is errno,
 * too: it is of no use to either.
 *
 * The stacks are not on ours, which may be small (ulimit -s). They cost no memory until they are
 * used. Below each is a page that nobody may touch: who needs more must not write elsewhere.
 */
static pid_t fork_lending(enum borrower borrower, int (*child)(void *), void *argument)
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

/* Closes every fd from low to high, INT_MAX meaning all there are. ENOSYS: cannot. close_range(2) */
static int close_span(int low, int high)
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

/*
 * Makes orphaned descendants ours, so that a daemon that dies stays a zombie, with its exit
 * status, until we have looked. Where the system cannot, init reaps it.
 */
static void become_subreaper(void)
{
#if defined(PR_SET_CHILD_SUBREAPER) && !defined(NO_SUBREAPER)
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
#elif defined(PROC_REAP_ACQUIRE) && !defined(NO_SUBREAPER)
	procctl(P_PID, getpid(), PROC_REAP_ACQUIRE, NULL);
#endif
}

/*
 * Returns an fd that polls as readable once the process has ended, and cannot come to mean
 * another that gets the same PID. -1 with ESRCH: there is none; with ENOSYS: poll by hand.
 */
static int process_watch(pid_t pid)
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

/* Signals the process that `watch` pins, whoever has its PID by now; without one, the PID. */
static int process_signal(int watch, pid_t pid, int number)
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

/* ppoll(2); `left` in nanoseconds, NEVER for no limit. `mask` is the signal mask meanwhile. */
static int poll_signals(struct pollfd *events, nfds_t count, int64_t left, const sigset_t *mask)
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

/*
 * Binds a socket to a name in Linux's abstract namespace, which needs no file and reaches into
 * any chroot; but once we are gone, anybody can bind to it. The kernel chooses it: unix(7),
 * "Autobind". sd_notify(3) writes it with an '@'. False where there is no such thing.
 */
static bool bind_abstract(int fd, struct sockaddr_un *address)
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

/* Asks for the sender's credentials with each message. */
static int want_credentials(int fd)
{
#if defined(SO_PASSCRED)
	return setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int));
#else
	(void)fd;
	return 0;
#endif
}

/*
 * Receives a message and who sent it: unix(7), SCM_CREDENTIALS. Where there is no such thing, the
 * socket's file lets only those send who are to be believed. Of a message that is too long, the
 * lines that are whole.
 */
static ssize_t receive_from(int fd, struct iovec *text, struct sender *sender)
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

static int terminal_columns(int fd)
{
	struct winsize size;

	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

static int pipe_close_on_exec(int ends[2])
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

/* Reads what /proc knows of a process; false where that is nothing. proc_pid_stat(5) */
static bool process_read(pid_t pid, struct process *process)
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

/* With -f, until the command is executed: to tell who looks that this process is not the daemon yet. */
static void process_name_starting(void)
{
#if defined(__linux__)
	prctl(PR_SET_NAME, STARTING_NAME, 0, 0, 0);
#endif
}

/*
 * Whether the process has the file open, probably as `likely`; UNSEEN where we may not, or cannot,
 * know. proc_pid_fd(5)
 */
static enum seen process_has_open(pid_t pid, int likely, const struct stat *file)
{
	enum seen seen = SEEN_NOT;
	struct process process;
	const struct dirent *entry;
	struct stat status;
	char path[64];
	DIR *list;

	/* What else it has open may be on a file system that does not answer. */
	snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)pid, likely);
	if (!process_read(pid, &process))
		return kill(pid, 0) == -1 && errno == ESRCH ? SEEN_NOT : UNSEEN;
	if (process.state == 'Z' && process.threads > 1)
		return UNSEEN; /* the first thread is gone, and the others have the fds */
	if (stat(path, &status) == 0 && same_file(&status, file))
		return SEEN;
	snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
	list = opendir(path);
	if (!list)
		return UNSEEN;
	while (seen == SEEN_NOT && (errno = 0, entry = readdir(list)))
		if (fstatat(dirfd(list), entry->d_name, &status, 0) == 0 &&
			same_file(&status, file))
			seen = SEEN;
	if (seen == SEEN_NOT && errno)
		seen = UNSEEN;
	closedir(list);
	return seen;
}

/* The effective user of a process; false where that cannot be known. */
static bool process_user(pid_t pid, uid_t *uid)
{
	struct process process;
	struct stat status;
	char path[32];

	snprintf(path, sizeof path, "/proc/%ld", (long)pid);
	if (!process_read(pid, &process) || stat(path, &status) == -1)
		return false;
	*uid = status.st_uid;
	return true;
}

/*
 * getgrouplist(3). Where the kernel takes 16 groups and users have more, the first are what a login
 * gives them: initgroups(3).
 */
static int list_groups(const char *user, gid_t group, gid_t *groups, int *count)
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

/* setgroups(2): glibc and musl have another type. */
static int set_groups(int count, const gid_t *groups)
{
#if defined(__linux__)
	return setgroups((size_t)count, groups);
#else
	return setgroups(count, groups);
#endif
}

/*
 * 0 if we may change our groups; changes nothing. Linux asks for the right before it looks at the
 * groups, of which this is none; those that we have may have no number in our user namespace.
 */
static int may_set_groups(void)
{
#if defined(__linux__)
	return set_groups(1, &(gid_t){(gid_t)-1}) == -1 && errno == EINVAL ? 0 : -1;
#else
	static gid_t groups[NGROUPS_MAX];
	int count = getgroups(NGROUPS_MAX, groups);

	return count == -1 ? -1 : set_groups(count, groups);
#endif
}

/* What open(2) says of a symbolic link, with O_NOFOLLOW. */
static bool is_symlink_error(int error)
{
#if defined(EFTYPE)
	if (error == EFTYPE) /* NetBSD */
		return true;
#endif
	return error == ELOOP || error == EMLINK; /* POSIX; FreeBSD */
}

/* Sets the real, effective and saved IDs alike, so that none is left to go back to. */
static int set_group_ids(gid_t gid)
{
#if defined(__APPLE__) || defined(__NetBSD__)
	return setgid(gid);
#else
	return setresgid(gid, gid, gid);
#endif
}

static int set_user_ids(uid_t uid)
{
#if defined(__APPLE__) || defined(__NetBSD__)
	return setuid(uid);
#else
	return setresuid(uid, uid, uid);
#endif
}

static const struct {
	const char *name;
	int number;
} signal_names[] = {
	{"HUP", SIGHUP},
	{"INT", SIGINT},
	{"QUIT", SIGQUIT},
	{"ILL", SIGILL},
	{"TRAP", SIGTRAP},
	{"ABRT", SIGABRT},
	{"BUS", SIGBUS},
	{"FPE", SIGFPE},
	{"KILL", SIGKILL},
	{"USR1", SIGUSR1},
	{"SEGV", SIGSEGV},
	{"USR2", SIGUSR2},
	{"PIPE", SIGPIPE},
	{"ALRM", SIGALRM},
	{"TERM", SIGTERM},
	{"CHLD", SIGCHLD},
	{"CONT", SIGCONT},
	{"STOP", SIGSTOP},
	{"TSTP", SIGTSTP},
	{"TTIN", SIGTTIN},
	{"TTOU", SIGTTOU},
	{"URG", SIGURG},
	{"XCPU", SIGXCPU},
	{"XFSZ", SIGXFSZ},
	{"VTALRM", SIGVTALRM},
	{"PROF", SIGPROF},
	{"WINCH", SIGWINCH},
	{"IO", SIGIO},
	{"SYS", SIGSYS},
	{"IOT", SIGABRT},
	{"CLD", SIGCHLD},
#ifdef SIGPOLL
	{"POLL", SIGPOLL},
#endif
#ifdef SIGPWR
	{"PWR", SIGPWR},
#endif
#ifdef SIGSTKFLT
	{"STKFLT", SIGSTKFLT},
#endif
#ifdef SIGEMT
	{"EMT", SIGEMT},
#endif
#ifdef SIGINFO
	{"INFO", SIGINFO},
#endif
};

static const char *signal_name(int number)
{
	for (size_t i = 0; i < sizeof signal_names / sizeof *signal_names; i++)
		if (signal_names[i].number == number)
			return signal_names[i].name;
	return "real-time";
}

/* The first and last signal number that libc lets a program have beyond the standard ones. */
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

/* "HUP", "SIGHUP", "hup", "1", "RTMIN+3", "RTMAX-1". */
static bool parse_signal(const char *text, int *number)
{
	unsigned long long value;
	bool from_end;

	if (parse_number(text, 10, INT_MAX, &value)) {
		*number = (int)value;
		return *number > 0 && *number <= REALTIME_LAST &&
		       (*number <= STANDARD_LAST || *number >= REALTIME_FIRST);
	}
	if (!strncasecmp(text, "SIG", 3))
		text += 3;
	for (size_t i = 0; i < sizeof signal_names / sizeof *signal_names; i++)
		if (!strcasecmp(text, signal_names[i].name)) {
			*number = signal_names[i].number;
			return true;
		}
	from_end = !strncasecmp(text, "RTMAX", 5);
	if (!from_end && strncasecmp(text, "RTMIN", 5) != 0)
		return false;
	text += 5;
	value = 0;
	if (*text && (*text != "+-"[from_end] || !parse_number(text + 1, 10, 64, &value)))
		return false;
	*number = from_end ? REALTIME_LAST - (int)value : REALTIME_FIRST + (int)value;
	return *number >= REALTIME_FIRST && *number <= REALTIME_LAST;
}

static bool fds_hold(const struct fds *set, int fd)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->fd[i] == fd)
			return true;
	return false;
}

/* Puts fd into a set that has room for it. */
static void fds_insert(struct fds *set, int fd)
{
	size_t i = set->count;

	if (fds_hold(set, fd))
		return;
	for (; i > 0 && set->fd[i - 1] > fd; i--)
		set->fd[i] = set->fd[i - 1];
	set->fd[i] = fd;
	set->count++;
}

/* ---- Options: first recorded, then checked against each other in one place ---------------- */

enum {
	OPTION_DEFAULT_SIGNAL = 256,
	OPTION_IGNORE_SIGNAL,
	OPTION_KILL_AFTER,
	OPTION_NO_CORE,
	OPTION_NOTIFY,
	OPTION_NOTIFY_FD,
	OPTION_OK_IF_RUNNING,
	OPTION_SIGNAL,
	OPTION_STATUS,
	OPTION_STOP,
	OPTION_TRUNCATE,
};

static const char short_options[] = "+:ac:e:E:fg:hi:k:l:m:o:O:p:PrR:s:t:u:vVw:";

static const struct option long_options[] = {
	{"append", no_argument, NULL, 'a'},
	{"chdir", required_argument, NULL, 'c'},
	{"chroot", required_argument, NULL, 'R'},
	{"default-signal", required_argument, NULL, OPTION_DEFAULT_SIGNAL},
	{"env", required_argument, NULL, 'E'},
	{"foreground", no_argument, NULL, 'f'},
	{"group", required_argument, NULL, 'g'},
	{"help", no_argument, NULL, 'h'},
	{"ignore-signal", required_argument, NULL, OPTION_IGNORE_SIGNAL},
	{"keep-fd", required_argument, NULL, 'k'},
	{"kill-after", required_argument, NULL, OPTION_KILL_AFTER},
	{"lock", required_argument, NULL, 'l'},
	{"no-core", no_argument, NULL, OPTION_NO_CORE},
	{"notify", no_argument, NULL, OPTION_NOTIFY},
	{"notify-fd", required_argument, NULL, OPTION_NOTIFY_FD},
	{"ok-if-running", no_argument, NULL, OPTION_OK_IF_RUNNING},
	{"output", required_argument, NULL, 'O'},
	{"pidfile", required_argument, NULL, 'p'},
	{"print-pid", no_argument, NULL, 'P'},
	{"refuse-if-running", no_argument, NULL, 'r'},
	{"signal", required_argument, NULL, OPTION_SIGNAL},
	{"startsecs", required_argument, NULL, 's'},
	{"status", no_argument, NULL, OPTION_STATUS},
	{"stderr", required_argument, NULL, 'e'},
	{"stdin", required_argument, NULL, 'i'},
	{"stdout", required_argument, NULL, 'o'},
	{"stop", no_argument, NULL, OPTION_STOP},
	{"timeout", required_argument, NULL, 't'},
	{"truncate", no_argument, NULL, OPTION_TRUNCATE},
	{"umask", required_argument, NULL, 'm'},
	{"user", required_argument, NULL, 'u'},
	{"verbose", no_argument, NULL, 'v'},
	{"version", no_argument, NULL, 'V'},
	{"wait-if-running", required_argument, NULL, 'w'},
	{NULL, 0, NULL, 0},
};

static void options_keep_fds(struct options *opt, const char *list)
{
	unsigned long long first, last;
	char word[32], *dash;

	for (const char *rest = list; rest;) {
		rest = parse_element(rest, word, sizeof word);
		dash = strchr(word, '-');
		if (dash)
			*dash++ = '\0';
		if (!parse_number(word, 10, INT_MAX - 1, &first) ||
			!parse_number(dash ? dash : word, 10, INT_MAX - 1, &last) || first > last)
			die_usage("'%s' is no list of file descriptors like 3,5-7", list);
		if (first <= STDERR_FILENO)
			die_usage(
				"file descriptors 0 to 2 are set with -i, -o and -e, not with -k '%s'",
				list);
		for (; first <= last; first++) {
			if (fcntl((int)first, F_GETFD) == -1) {
				if (opt->missing_fd == -1)
					opt->missing_fd = (int)first;
				break;
			}
			opt->keep.fd =
				grow_or_die(opt->keep.fd, opt->keep.count, sizeof *opt->keep.fd);
			fds_insert(&opt->keep, (int)first);
		}
	}
}

static void options_signals(struct options *opt, const char *list, int (*change)(sigset_t *, int))
{
	char word[32];
	int number;

	for (const char *rest = list; rest;) {
		rest = parse_element(rest, word, sizeof word);
		if (!parse_signal(word, &number))
			die_usage("'%s' is no signal", *word ? word : list);
		if (number == SIGKILL || number == SIGSTOP)
			die_usage("signal %s can be neither ignored nor caught", word);
		change(&opt->ignore, number);
	}
}

static void options_environment(struct options *opt, char *setting)
{
	if (*setting == '=' || !strchr(setting, '='))
		die_usage("'%s' is not of the form NAME=VALUE", setting);
	opt->env = grow_or_die(opt->env, opt->n_env, sizeof *opt->env);
	opt->env[opt->n_env++] = setting;
}

static void options_umask(struct options *opt, const char *text)
{
	unsigned long long value;

	if (!parse_number(text, 8, 0777, &value))
		die_usage("'%s' is no umask: octal, from 0 to 777", text);
	opt->umask = (mode_t)value;
}

static int64_t duration_or_die(const char *text, bool may_be_endless)
{
	int64_t duration;

	if (!parse_duration(text, &duration) || (duration == NEVER && !may_be_endless))
		die_usage("'%s' is no number of seconds", text);
	return duration;
}

static void options_pidfile(struct options *opt, char *path)
{
	opt->pidfiles[opt->n_pidfiles++] = path;
	opt->pidfile = path;
}

static void options_notify_fd(struct options *opt, const char *text)
{
	unsigned long long fd;

	if (!parse_number(text, 10, INT_MAX, &fd) || fd <= STDERR_FILENO)
		die_usage("'%s' is no file descriptor from 3 up", text);
	opt->notify_fd = (int)fd;
}

static void options_mode(struct options *opt, enum mode mode, const char *signal_name)
{
	if (opt->mode == MODE_HELP || opt->mode == MODE_VERSION)
		return;
	if (opt->mode != MODE_START && opt->mode != mode)
		die_usage("%s", "--status, --stop and --signal exclude each other");
	if (signal_name && !parse_signal(signal_name, &opt->signal))
		die_usage("'%s' is no signal", signal_name);
	opt->mode = mode;
	if (mode == MODE_STATUS)
		diagnostics.failure = LSB_UNKNOWN;
}

static void options_if_running(struct options *opt, enum if_running if_running)
{
	opt->if_running = if_running;
	opt->if_running_given = true;
}

/* What getopt_long could not make sense of, named as the user typed it. */
static _Noreturn void die_unknown(int result, const char *word)
{
	bool is_long = !strncmp(word, "--", 2);

	if (result == ':' && !is_long)
		die_usage("option '-%c' needs an argument", optopt);
	if (result == ':')
		die_usage("option '%s' needs an argument", word);
	if (is_long && optopt)
		die_usage("option '%.*s' takes no argument", (int)strcspn(word, "="), word);
	if (is_long)
		die_usage("unknown or ambiguous option '%s'", word);
	die_usage("unknown option '-%c'", optopt);
}

static void options_record(struct options *opt, int letter, char *argument)
{
	switch (letter) {
	case 'a': opt->truncate = false; break;
	case 'c': opt->directory = argument; break;
	case 'e': opt->stream[STDERR_FILENO] = argument; break;
	case 'E': options_environment(opt, argument); break;
	case 'f': opt->foreground = true; break;
	case 'g': opt->group = argument; break;
	case 'h': opt->mode = MODE_HELP; break;
	case 'i': opt->stream[STDIN_FILENO] = argument; break;
	case 'k': options_keep_fds(opt, argument); break;
	case 'l': opt->lockfile = argument; break;
	case 'm': options_umask(opt, argument); break;
	case 'o': opt->stream[STDOUT_FILENO] = argument; break;
	case 'O': opt->stream[STDOUT_FILENO] = opt->stream[STDERR_FILENO] = argument; break;
	case 'p': options_pidfile(opt, argument); break;
	case 'P': opt->print_pid = true; break;
	case 'r': options_if_running(opt, IF_RUNNING_REFUSE); break;
	case 'R': opt->root = argument; break;
	case 's': opt->startsecs = duration_or_die(argument, false); break;
	case 't': opt->timeout = duration_or_die(argument, true); break;
	case 'u': opt->user = argument; break;
	case 'v': diagnostics.verbose = true; break;
	case 'V': opt->mode = MODE_VERSION; break;
	case 'w':
		options_if_running(opt, IF_RUNNING_WAIT);
		opt->wait = duration_or_die(argument, true);
		break;
	case OPTION_DEFAULT_SIGNAL: options_signals(opt, argument, sigdelset); break;
	case OPTION_IGNORE_SIGNAL: options_signals(opt, argument, sigaddset); break;
	case OPTION_KILL_AFTER: opt->kill_after = duration_or_die(argument, false); break;
	case OPTION_NO_CORE: opt->no_core = true; break;
	case OPTION_NOTIFY: opt->notify = true; break;
	case OPTION_NOTIFY_FD: options_notify_fd(opt, argument); break;
	case OPTION_OK_IF_RUNNING: options_if_running(opt, IF_RUNNING_OK); break;
	case OPTION_SIGNAL: options_mode(opt, MODE_SIGNAL, argument); break;
	case OPTION_STATUS: options_mode(opt, MODE_STATUS, NULL); break;
	case OPTION_STOP: options_mode(opt, MODE_STOP, NULL); break;
	case OPTION_TRUNCATE: opt->truncate = true; break;
	}
}

/* -o '|command': the stream goes to a shell command. */
static bool is_logger(const struct options *opt, int number)
{
	return number != STDIN_FILENO && opt->stream[number] && *opt->stream[number] == '|';
}

static bool has_loggers(const struct options *opt)
{
	return is_logger(opt, STDOUT_FILENO) || is_logger(opt, STDERR_FILENO);
}

/* A stream that goes to, or comes from, a file that the user has named. */
static bool is_file(const struct options *opt, int number)
{
	return opt->stream[number] && strcmp(opt->stream[number], "-") != 0 &&
	       !is_logger(opt, number);
}

static bool waits_for_readiness(const struct options *opt)
{
	return opt->startsecs >= 0 || opt->notify || opt->notify_fd != -1;
}

/* The options of a start are let pass: a script may keep them in a variable for all it calls. */
static void options_check_control(const struct options *opt)
{
	if (opt->command[0])
		die_usage("'%s': --status, --stop and --signal take no command", opt->command[0]);
	if (!opt->pidfile)
		die_usage("%s", "--status, --stop and --signal need -p");
}

static void options_check_start(const struct options *opt)
{
	if (!opt->command[0])
		die_usage("%s", "no command given");
	if (!*opt->command[0])
		die_usage("%s", "the command is an empty string");
	for (size_t i = 0; i < opt->n_pidfiles; i++)
		if (strcmp(opt->pidfiles[i], opt->pidfile) != 0)
			die_usage("a daemon has one pidfile, not '%s' and '%s'", opt->pidfiles[i],
				opt->pidfile);
	if (opt->if_running_given && !opt->pidfile && !opt->lockfile)
		die_usage("%s", "-r, -w and --ok-if-running need -p or -l, to know what runs");
	if (opt->foreground && waits_for_readiness(opt))
		die_usage("%s", "with -f nobody stays to wait for -s, --notify or --notify-fd");
	if (opt->timeout >= 0 && opt->timeout < opt->startsecs)
		die_usage("%s", "the time of -t is over before that of -s");
	if (opt->notify && opt->notify_fd != -1)
		die_usage("%s", "--notify and --notify-fd exclude each other");
	for (int i = STDOUT_FILENO; i <= STDERR_FILENO; i++)
		if (is_logger(opt, i) && !opt->stream[i][strspn(opt->stream[i], "| \t")])
			die_usage("'%s' names no command", opt->stream[i]);
	if (fds_hold(&opt->keep, opt->notify_fd))
		die_usage("file descriptor %d is for --notify-fd, not for -k", opt->notify_fd);
	if (opt->missing_fd != -1)
		die(EXIT_SETUP, "cannot keep file descriptor %d: it is not open", opt->missing_fd);
}

static void options_check(const struct options *opt)
{
	if (opt->mode == MODE_HELP || opt->mode == MODE_VERSION)
		return;
	if (opt->mode == MODE_START)
		options_check_start(opt);
	else
		options_check_control(opt);
	if (opt->timeout >= 0 && opt->mode == MODE_START && !waits_for_readiness(opt))
		die_usage("%s", "-t needs -s, --notify, --notify-fd or --stop");
	if (opt->kill_after >= 0 && opt->mode != MODE_STOP)
		die_usage("%s", "--kill-after needs --stop");
}

static void options_parse(struct options *opt, int argc, char **argv)
{
	*opt = (struct options){.umask = DEFAULT_UMASK,
		.missing_fd = -1,
		.notify_fd = -1,
		.startsecs = -1,
		.timeout = -1,
		.kill_after = -1};
	sigemptyset(&opt->ignore);
	sigaddset(&opt->ignore, SIGTSTP);
	sigaddset(&opt->ignore, SIGTTIN);
	sigaddset(&opt->ignore, SIGTTOU);
	if (argc < 1)
		die_usage("%s", "no command given");
	opt->pidfiles = argv + 1;
	for (;;) {
		/* Where optind points after an error is each libc's own affair. */
		const char *word = argv[optind];
		int letter = getopt_long(argc, argv, short_options, long_options, NULL);

		if (letter == -1)
			break;
		if (letter == '?' || letter == ':')
			die_unknown(letter, word);
		if (optarg && !*optarg)
			die_usage("option '%s' needs an argument, not an empty string", word);
		options_record(opt, letter, optarg ? optarg : argv[0]);
	}
	opt->command = argv + optind;
	opt->name = opt->command[0];
	options_check(opt);
}

/* ---- Paths and steps: words for the user ------------------------------------------------- */

static const char *step_object(const struct objects *objects, enum step step)
{
	switch (steps[step].object) {
	case OF_PIDFILE: return objects->pidfile;
	case OF_CHROOT: return objects->root;
	case OF_CHDIR: return objects->directory;
	case OF_USER: return objects->user;
	case OF_COMMAND: return objects->command;
	case OF_NOTHING: break;
	}
	return NULL;
}

/* As nohup(1) and env(1) have it. */
static enum exit_status step_status(enum step step)
{
	return step == STEP_FIND   ? EXIT_NOT_FOUND
	       : step == STEP_EXEC ? EXIT_CANNOT_EXECUTE
				   : EXIT_SETUP;
}

static const char *step_why(enum step step, int error)
{
	return steps[step].why ? steps[step].why : strerror(error);
}

/* Names what execve(2) has not found if not the file itself: "its interpreter '/bin/foo' ..." */
static _Noreturn void die_without_interpreter(const struct objects *objects)
{
	char line[FIRST_LINE_MAX] = "", *name = line + 2;
	int fd = objects->file ? open(objects->file, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t size = fd == -1 ? -1 : read(fd, line, sizeof line - 1);

	line[size > 0 ? size : 0] = '\0';
	if (strncmp(line, "#!", 2) != 0)
		die(EXIT_CANNOT_EXECUTE, "cannot execute '%s': its interpreter was not found",
			objects->command);
	name += strspn(name, " \t");
	die(EXIT_CANNOT_EXECUTE, "cannot execute '%s': its interpreter '%.*s' was not found",
		objects->command, (int)strcspn(name, " \t\n"), name);
}

static _Noreturn void die_of_step(const struct objects *objects, enum step step, int error)
{
	const char *object = step_object(objects, step);

	if (step == STEP_EXEC && error == ENOENT)
		die_without_interpreter(objects);
	if (object)
		die(step_status(step), "cannot %s '%s': %s", steps[step].verb, object,
			step_why(step, error));
	die(step_status(step), "cannot %s: %s", steps[step].verb, step_why(step, error));
}

static void verbose_step(const struct objects *objects, enum step step)
{
	const char *object = step_object(objects, step);

	if (!steps[step].done)
		return;
	if (object)
		verbose("%s '%s'", steps[step].done, object);
	else
		verbose("%s", steps[step].done);
}

static bool is_directory(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Writes path, made absolute by directory (NULL: the current one) and without leading "./". */
static void path_absolute_or_die(char result[PATH_MAX], const char *directory, const char *path)
{
	char current[PATH_MAX];
	int length;

	while (!strncmp(path, "./", 2))
		path += 2 + strspn(path + 2, "/");
	if (*path == '/') {
		length = snprintf(result, PATH_MAX, "%s", path);
	} else {
		if (!directory)
			directory = getcwd(current, sizeof current);
		if (!directory)
			die(EXIT_SETUP, "cannot find '%s': no current directory: %s", path,
				strerror(errno));
		length = snprintf(result, PATH_MAX, "%s%s%s", directory,
			directory[strlen(directory) - 1] == '/' ? "" : "/", path);
	}
	if (length >= PATH_MAX)
		die(EXIT_CANNOT_EXECUTE, "cannot find '%s': %s", path, strerror(ENAMETOOLONG));
}

/* Writes the directory in which path is. */
static void path_parent(char result[PATH_MAX], const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		snprintf(result, PATH_MAX, ".");
	else
		snprintf(result, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* Whether two names are of one file, or of one that does not exist yet. */
static bool same_path(const char *a, const char *b)
{
	char a_parent[PATH_MAX], b_parent[PATH_MAX];
	const char *a_slash = strrchr(a, '/'), *b_slash = strrchr(b, '/');
	struct stat a_status, b_status;

	if (stat(a, &a_status) == 0 || stat(b, &b_status) == 0)
		return stat(a, &a_status) == 0 && stat(b, &b_status) == 0 &&
		       same_file(&a_status, &b_status);
	path_parent(a_parent, a);
	path_parent(b_parent, b);
	return !strcmp(a_slash ? a_slash + 1 : a, b_slash ? b_slash + 1 : b) &&
	       stat(a_parent, &a_status) == 0 && stat(b_parent, &b_status) == 0 &&
	       same_file(&a_status, &b_status);
}

/* Dies unless path can be written, or made: so that nothing is made before all can be. */
static void path_writable_or_die(const char *what, const char *path)
{
	char parent[PATH_MAX];
	struct stat status;

	if (access(path, W_OK) == 0)
		return;
	if (errno == ENOENT) {
		int error;

		path_parent(parent, path);
		if (access(parent, W_OK | X_OK) == 0)
			return;
		error = errno;
		if (lstat(path, &status) == 0)
			return; /* a symbolic link to what is not there yet: open(2) will tell */
		if (error == ENOENT)
			die(EXIT_SETUP, "cannot open %s '%s': no directory '%s'", what, path,
				parent);
		errno = error;
	}
	die(EXIT_SETUP, "cannot open %s '%s': %s", what, path, strerror(errno));
}

/* ---- Identity: resolved here, in the launcher; assumed in the daemon ---------------------- */

static const char passwd_file[] = "/etc/passwd", group_file[] = "/etc/group";

/* getpwnam(3): what errno may be left at where there is merely no entry, or no such file. */
static bool is_lookup_error(int error)
{
	return error && error != ENOENT && error != ESRCH && error != ERANGE && error != EBADF &&
	       error != ENOTTY;
}

/*
 * Returns why a lookup that has found nothing, or no more, is not to be believed; 0 if it is. Where
 * nsswitch.conf(5) names a second service, libc does not tell that it could not read the file.
 */
static int lookup_error(int error, const char *database)
{
	char text[4096];
	ssize_t size = -1;
	int fd;

	if (is_lookup_error(error))
		return error;
	fd = open(database, O_RDONLY | O_CLOEXEC);
	while (fd != -1 && (size = read(fd, text, sizeof text)) > 0)
		;
	error = size == -1 ? errno : 0;
	if (fd != -1)
		close(fd);
	return is_lookup_error(error) ? error : 0;
}

static const struct passwd *user_or_die(const char *name, struct identity *id)
{
	unsigned long long number;
	bool is_number = parse_number(name, 10, UINT_MAX - 1, &number);
	const struct passwd *entry;
	int error;

	errno = 0;
	entry = getpwnam(name);
	if (!entry && is_number)
		entry = getpwuid((uid_t)number);
	/* Without its entry, a number would lack its supplementary groups. */
	error = entry ? 0 : lookup_error(errno, passwd_file);
	if (error)
		die(EXIT_SETUP, "cannot look up user '%s': %s", name, strerror(error));
	if (!entry && !is_number)
		die(EXIT_SETUP, "unknown user '%s'", name);
	id->uid = entry ? entry->pw_uid : (uid_t)number;
	id->gid = entry ? entry->pw_gid : (gid_t)-1;
	return entry;
}

/* NULL if there is no such entry. */
static const struct passwd *calling_user_or_die(uid_t uid)
{
	const struct passwd *entry;
	int error;

	errno = 0;
	entry = getpwuid(uid);
	error = entry ? 0 : lookup_error(errno, passwd_file);
	if (error)
		die(EXIT_SETUP, "cannot look up user %lu: %s", (unsigned long)uid, strerror(error));
	return entry;
}

static gid_t group_or_die(const char *name)
{
	unsigned long long number;
	const struct group *entry;
	int error;

	errno = 0;
	entry = getgrnam(name);
	if (entry)
		return entry->gr_gid;
	error = lookup_error(errno, group_file);
	if (error)
		die(EXIT_SETUP, "cannot look up group '%s': %s", name, strerror(error));
	if (parse_number(name, 10, UINT_MAX - 1, &number))
		return (gid_t)number;
	die(EXIT_SETUP, "unknown group '%s'", name);
}

static void identity_groups(struct identity *id, const struct passwd *user)
{
	static gid_t groups[NGROUPS_MAX];
	int error;

	id->groups = groups;
	id->groups[0] = id->gid;
	id->n_groups = user ? NGROUPS_MAX : 1;
	if (!user)
		return;
	/* glibc calls it a success where it could not read the group database. */
	errno = 0;
	error = list_groups(user->pw_name, id->gid, groups, &id->n_groups) == -1
			? errno
			: lookup_error(errno, group_file);
	if (error)
		die(EXIT_SETUP, "cannot look up the groups of user '%s': %s", user->pw_name,
			strerror(error));
}

/* What forbids a login runs no commands, which is what a daemon wants $SHELL for. */
static bool is_shell(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	return *name && strcmp(name, "nologin") != 0 && strcmp(name, "false") != 0;
}

/* As login(1) sets it: below -E. */
static void set_login_environment(const struct passwd *user)
{
	static const char *const names[] = {"HOME", "USER", "LOGNAME", "SHELL"};
	const char *values[] = {"/", NULL, NULL, NULL};

	if (user) {
		values[0] = user->pw_dir;
		values[1] = values[2] = user->pw_name;
		values[3] = is_shell(user->pw_shell) ? user->pw_shell : "/bin/sh";
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		unsetenv(names[i]); /* it may be there twice */
		if (values[i] && setenv(names[i], values[i], 1) == -1)
			die(EXIT_SETUP, "cannot set %s: %s", names[i], strerror(errno));
	}
}

static bool groups_hold(const gid_t *groups, int count, gid_t group)
{
	for (int i = 0; i < count; i++)
		if (groups[i] == group)
			return true;
	return false;
}

/* Whether our supplementary groups are these. Our own group counts as one of them, or need not be. */
static bool has_groups(const struct identity *id)
{
	static gid_t ours[NGROUPS_MAX];
	const int count = getgroups(NGROUPS_MAX, ours);

	for (int i = 0; i < count; i++)
		if (ours[i] != id->gid && !groups_hold(id->groups, id->n_groups, ours[i]))
			return false;
	for (int i = 0; i < id->n_groups; i++)
		if (id->groups[i] != id->gid && !groups_hold(ours, count, id->groups[i]))
			return false;
	return true;
}

/* Settles who to be, of -u USER[:GROUP] and -g GROUP. Returns the step that we may not do, errno set. */
static enum step identity_resolve(const struct options *opt, struct identity *id)
{
	char name[LOGIN_NAME_MAX + 64];
	const char *group = opt->group, *colon = opt->user ? strchr(opt->user, ':') : NULL;
	const struct passwd *user = NULL;
	bool same;

	*id = (struct identity){.uid = geteuid(), .gid = (gid_t)-1};
	if (!opt->user && !opt->group)
		return STEP_DONE;
	if (colon && (opt->group || !colon[1] || colon == opt->user))
		die_usage("'%s' is not of the form USER[:GROUP]%s", opt->user,
			opt->group ? " beside -g" : "");
	if (colon)
		group = colon + 1;
	if (opt->user) {
		if (snprintf(name, sizeof name, "%.*s", (int)strcspn(opt->user, ":"), opt->user) >=
			(int)sizeof name)
			die(EXIT_SETUP, "unknown user '%s'", opt->user);
		user = user_or_die(name, id);
		set_login_environment(user);
	}
	if (group)
		id->gid = group_or_die(group);
	if (!opt->user)
		user = calling_user_or_die(id->uid);
	if (id->gid == (gid_t)-1)
		die(EXIT_SETUP, "user '%s' has no passwd entry: name a group too, as %s:GROUP",
			opt->user, opt->user);
	identity_groups(id, user);
	same = id->uid == geteuid() && id->gid == getegid();
	id->change = !same || !has_groups(id);
	if (!id->change || may_set_groups() == 0)
		return STEP_DONE;
	return same ? STEP_GROUPS : STEP_USER;
}

/* ---- Environment -------------------------------------------------------------------------- */

/*
 * What the caller's own service manager told the caller is not for the daemon: it would report
 * to, or take sockets from, a manager that does not know it. sd_notify(3), sd_listen_fds(3).
 */
static void environment_clean(void)
{
	static const char *const not_for_us[] = {"NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS",
		"LISTEN_FDNAMES", "LISTEN_PIDFDID", "WATCHDOG_PID", "WATCHDOG_USEC"};

	for (size_t i = 0; i < sizeof not_for_us / sizeof *not_for_us; i++)
		unsetenv(not_for_us[i]);
}

/* The list alone: putenv(3) and setenv(3) put other strings into it, and leave the old ones be. */
static char **environment_copy_or_die(void)
{
	size_t count = 0;
	char **copy;

	while (environ && environ[count])
		count++;
	copy = allocate_or_die(count + 1, sizeof *copy);
	for (size_t i = 0; i < count; i++)
		copy[i] = environ[i];
	return copy;
}

static void environment_set_or_die(char **settings, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *equals = settings[i] + strcspn(settings[i], "=");

		/* The caller may have the name twice, which would leave the second. */
		*equals = '\0';
		unsetenv(settings[i]);
		*equals = '=';
		if (putenv(settings[i]) != 0)
			die(EXIT_SETUP, "cannot set '%s': %s", settings[i], strerror(errno));
	}
}

/* ---- The command: found as execvp(3) finds it --------------------------------------------- */

/* 0, or the errno with which execve(2) would refuse the file. */
static int file_executable(const char *path)
{
	struct stat status;

	if (stat(path, &status) == -1)
		return errno;
	if (S_ISDIR(status.st_mode))
		return EISDIR;
	if (!S_ISREG(status.st_mode))
		return EACCES;
	return access(path, X_OK) == 0 ? 0 : errno;
}

/* Whether the directory of a file that gave EACCES cannot be searched. */
static bool is_hidden(const char *path)
{
	struct stat status;

	return lstat(path, &status) == -1 && errno == EACCES;
}

/*
 * Writes the file that name means, by PATH if it has no slash. 0, or ENOENT, EACCES, ... A name
 * that PATH does not have leaves the first directory that cannot be searched in path, or "".
 */
static int command_find(const char *name, char path[PATH_MAX])
{
	static const char default_path[] = "/usr/bin:/bin";
	const char *directories = getenv("PATH");
	char hidden[PATH_MAX] = "";
	int error, worst = ENOENT;
	size_t length;

	if (strchr(name, '/'))
		return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX ? file_executable(path)
								       : ENAMETOOLONG;
	for (const char *next = directories ? directories : default_path; next;) {
		length = strcspn(next, ":");
		/* An empty element is the current directory. */
		if (snprintf(path, PATH_MAX, "%.*s/%s", length ? (int)length : 1,
			    length ? next : ".", name) < PATH_MAX) {
			error = file_executable(path);
			if (error == 0)
				return 0;
			if (error == EACCES && !is_hidden(path))
				worst = EACCES;
			else if (error == EACCES && !*hidden)
				path_parent(hidden, path);
		}
		next = next[length] ? next + length + 1 : NULL;
	}
	memcpy(path, hidden, sizeof hidden);
	return worst;
}

static enum step find_step(int error)
{
	return error == ENOENT ? STEP_FIND : STEP_EXEC;
}

/*
 * Settles which file to execute, while relative names still mean what the user meant. What
 * --chroot changes is found after it, by become_daemon(). Returns the failed step, errno set.
 */
static enum step command_resolve(const struct options *opt, bool changes_user, char path[PATH_MAX])
{
	static char zeroth[PATH_MAX], directory[PATH_MAX];
	int error;

	if (strchr(opt->command[0], '/') && *opt->command[0] != '/') {
		if (opt->root)
			path_absolute_or_die(directory, "/", opt->directory ? opt->directory : "/");
		path_absolute_or_die(zeroth, opt->root ? directory : NULL, opt->command[0]);
		opt->command[0] = zeroth;
	}
	if (opt->root)
		return STEP_DONE;
	error = command_find(opt->command[0], path);
	if (error == ENOENT && !strchr(opt->command[0], '/') && *path)
		die(EXIT_NOT_FOUND,
			"cannot find '%s': command not found (directory '%s' of PATH cannot be searched)",
			opt->name, path);
	/* root may be kept from a file (NFS) that the user to be can read: execve will tell. */
	if (error && !(error == EACCES && changes_user && strchr(opt->command[0], '/'))) {
		errno = error;
		return find_step(error);
	}
	if (*path != '/') {
		char found[PATH_MAX];

		memcpy(found, path, sizeof found);
		path_absolute_or_die(path, NULL, found);
	}
	verbose("the command '%s' is %s", opt->name, path);
	return STEP_DONE;
}

/* ---- Processes ---------------------------------------------------------------------------- */

/* For where /proc does not tell a zombie. False where a process cannot be watched, either. */
static bool process_has_ended(pid_t pid)
{
	int watch = process_watch(pid);
	struct pollfd event = {.fd = watch, .events = POLLIN};
	bool ended = watch == -1 ? errno == ESRCH : poll(&event, 1, 0) > 0;

	if (watch != -1)
		close(watch);
	return ended;
}

/* A zombie has ended, unless it is but the first thread of a process that goes on without it. */
static bool process_is_alive(pid_t pid)
{
	struct process process;

	if (kill(pid, 0) == -1 && errno != EPERM)
		return false;
	if (process_read(pid, &process))
		return process.threads > 1 || !strchr("ZXx", process.state);
	return !process_has_ended(pid);
}

/* When the file was written, in nanoseconds of the wall clock, which count to the year 2262. */
static int64_t written_at(const struct stat *file)
{
	const int64_t seconds = file->st_mtim.tv_sec, most = INT64_MAX / NANOSECONDS - 1;

	if (seconds > most || seconds < -most)
		return seconds > 0 ? INT64_MAX : INT64_MIN;
	return seconds * NANOSECONDS + file->st_mtim.tv_nsec;
}

/*
 * Whether the process began after the file was written, so that the file cannot mean it. The
 * kernel counts the start in ticks, rounded down; the file's time may lag by its own tick, or is
 * of whole seconds, and FAT's even: inode(7).
 */
static bool process_is_younger(pid_t pid, const struct stat *file)
{
	const int64_t tick = NANOSECONDS / sysconf(_SC_CLK_TCK);
	const int64_t slack = file->st_mtim.tv_nsec ? tick : 2 * NANOSECONDS;
	struct process process;
	int64_t boot, begun;

	if (!process_read(pid, &process))
		return false;
	boot = clock_read(CLOCK_REALTIME) - clock_read(CLOCK_BOOTTIME);
	begun = boot + (int64_t)process.start * tick;
	return begun - slack > written_at(file);
}

/* Nanoseconds, NEVER or less than none, as poll(2) wants them. */
static int poll_timeout(int64_t left)
{
	const int64_t millisecond = NANOSECONDS / 1000;

	if (left == NEVER)
		return -1;
	if (left <= 0)
		return 0;
	return left / millisecond < INT_MAX ? (int)(left / millisecond) + 1 : INT_MAX;
}

/* Polls until the deadline, whatever signals come; false when it has passed. */
static bool poll_until(int fd, int64_t deadline)
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

/* ---- The pidfile -------------------------------------------------------------------------- *
 *
 * The lock is the truth, the number a convenience. A write lock is held for the few calls in
 * which a file is judged and replaced, or removed; a read lock by the daemon while it lives:
 *
 *   pidfile_take        lock for writing what has the name, or an empty file made for that; judge
 *   (in the daemon)     its number; write ours into a new file, lock that for reading, on a
 *                       read-only fd; and rename it into place. Nobody else ever has an fd with
 *                       which to write to it, and who sees it sees it complete and locked.
 *   pidfile_look        who holds the lock? If nobody, is the number of a living process that
 *   (in the launcher)   is not younger than the file? A daemon that closes all its fds, or its
 *                       own pidfile, has lost its lock but not its place.
 *   pidfile_remove      lock for writing; only if the file still names the daemon that is gone.
 *
 * Where the directory takes no new file, the old one is written in place if only we can have it
 * open for writing: see pidfile_rewrite.
 */

static int lock_record(int fd, int command, short type, struct flock *found)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
	int result = fcntl(fd, command, &lock);

	if (found)
		*found = lock;
	return result;
}

/*
 * Returns the PID in the file's first line; 0 if what is there is none; -1 if it cannot be read.
 * `pure`: there is nothing but digits, and at most a newline.
 */
static pid_t pidfile_number(int fd, bool *pure)
{
	char text[32];
	ssize_t size = pread(fd, text, sizeof text - 1, 0);
	unsigned long number;
	char *end;

	*pure = false;
	if (size <= 0)
		return (pid_t)size;
	text[size] = '\0';
	if (!is_digit(text[strspn(text, " \t")]))
		return 0;
	errno = 0;
	number = strtoul(text, &end, 10);
	*pure = is_digit(*text) && end + (*end == '\n') == text + size;
	end += strspn(end, " \t\r");
	/* Nor may it go on beyond what has been read. */
	if (errno || number > INT_MAX ||
		(end < text + size ? *end != '\n' : size == sizeof text - 1))
		return 0;
	return (pid_t)number;
}

/*
 * The rule for a file that nobody has locked. Neither we nor our launcher can be meant, nor what
 * has no executable.
 */
static bool pidfile_number_runs(pid_t number, pid_t launcher, const struct stat *file)
{
	struct process process;

	return number > 1 && number != launcher && number != getpid() && process_is_alive(number) &&
	       !(process_read(number, &process) && process.kernel) &&
	       !process_is_younger(number, file);
}

/* Opens the file if it is one that may be believed. Returns the failed step, errno set. */
static enum step pidfile_open(const char *path, int flags, const uid_t *user, int *fd,
	struct stat *status)
{
	*fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, PIDFILE_MODE);
	if (*fd == -1)
		return is_symlink_error(errno) ? STEP_PIDFILE_SYMLINK : STEP_PIDFILE_OPEN;
	if (fstat(*fd, status) == -1)
		return STEP_PIDFILE_OPEN;
	errno = EINVAL;
	if (!S_ISREG(status->st_mode))
		return STEP_PIDFILE_TYPE;
	if (status->st_nlink > 1)
		return STEP_PIDFILE_LINKS;
	/* bmc/daemonize gives the file to -u's user. Who only asks takes any owner's. */
	if (user && status->st_uid != 0 && status->st_uid != geteuid() && status->st_uid != *user)
		return STEP_PIDFILE_OWNER;
	return STEP_DONE;
}

/* A time ahead of the clock, which was reset, says nothing. */
static bool is_in_future(const struct stat *file)
{
	return written_at(file) > clock_read(CLOCK_REALTIME);
}

static bool is_new(const struct stat *file)
{
	return !is_in_future(file) && clock_read(CLOCK_REALTIME) - BUSY_LIMIT < written_at(file);
}

/* Or else the process may have ended just now, and the lock with it. */
static bool still_locked_by(int fd, pid_t pid)
{
	struct flock lock;

	return lock_record(fd, F_GETLK, F_WRLCK, &lock) == 0 && lock.l_type == F_RDLCK &&
	       lock.l_pid == pid;
}

/* Who has the file: what pidfile_look() says of one that is open. */
static enum pidfile_state pidfile_judge(int fd, struct owner *owner)
{
	struct process process;
	struct flock lock;

	do {
		if (lock_record(fd, F_GETLK, F_WRLCK, &lock) == -1)
			return PIDFILE_ABSENT;
		owner->pid = lock.l_type == F_UNLCK ? owner->number
			     : lock.l_pid > 0	    ? lock.l_pid
						    : 0;
		if (lock.l_type == F_WRLCK)
			return PIDFILE_CHANGING;
		if (lock.l_type == F_UNLCK &&
			!pidfile_number_runs(owner->number, getpid(), &owner->status))
			return PIDFILE_STALE;
		/* One that writes in place has no lock for a moment: then the file is new. */
		if ((lock.l_type == F_RDLCK || is_new(&owner->status)) &&
			process_read(owner->pid, &process) && !process.execed)
			return PIDFILE_STARTING;
		if (lock.l_type == F_UNLCK)
			return PIDFILE_NUMBERED;
		if (owner->pid)
			owner->open = process_has_open(owner->pid, FIRST_LOCK_FD, &owner->status);
	} while (owner->open == SEEN_NOT && !still_locked_by(fd, owner->pid));
	return owner->open == SEEN_NOT ? PIDFILE_ORPHANED : PIDFILE_LOCKED;
}

/* Says who has the pidfile; nothing on disk changes. Returns the failed step, errno set. */
static enum step pidfile_look(const char *path, const uid_t *user, struct owner *owner)
{
	struct stat *status = &owner->status;
	enum step step;
	int fd, error;
	bool pure;

	*owner = (struct owner){.state = PIDFILE_ABSENT};
	/* Opening a device can be enough to make it act. */
	if (lstat(path, status) == -1)
		return errno == ENOENT ? STEP_DONE : STEP_PIDFILE_OPEN;
	errno = EINVAL;
	if (!S_ISREG(status->st_mode))
		return S_ISLNK(status->st_mode) ? STEP_PIDFILE_SYMLINK : STEP_PIDFILE_TYPE;
	step = pidfile_open(path, O_RDONLY, user, &fd, status);
	if (step == STEP_PIDFILE_OPEN && fd == -1 && errno == ENOENT)
		return STEP_DONE;
	if (step)
		return step;
	owner->number = pidfile_number(fd, &pure);
	if (owner->number == -1)
		step = STEP_PIDFILE_READ;
	else if ((owner->state = pidfile_judge(fd, owner)) == PIDFILE_ABSENT)
		step = STEP_PIDFILE_LOCK;
	error = errno;
	close(fd);
	errno = error;
	return step;
}

/* Whether somebody has the pidfile: for good, if it was looked at until it was settled. */
static bool owner_runs(const struct owner *owner)
{
	return owner->state >= PIDFILE_CHANGING;
}

/* Whether only root and we can have written what the file says. */
static bool file_is_trusted(const struct stat *file)
{
	return (file->st_uid == 0 || file->st_uid == geteuid()) &&
	       !(file->st_mode & (S_IWGRP | S_IWOTH));
}

/*
 * Why the process that the lock or the number names may not be the daemon, but one that has got its
 * PID since; NULL: it is. Who pins it first, and looks again afterwards, can signal it. A lock tells
 * who took it, and a child made with CLONE_FILES keeps it beyond that one's end: so its owner must
 * have the file open. If it has another number than the file, it must be root's or ours. Where
 * there is no lock, or fds cannot be seen, only a number that root or we have written will do.
 */
static const char *owner_doubt(const struct owner *owner)
{
	uid_t uid;

	if (owner->state == PIDFILE_ORPHANED)
		return "the process that took its lock does not hold it";
	if (owner->open == SEEN)
		return owner->pid == owner->number || (process_user(owner->pid, &uid) &&
							      (uid == 0 || uid == geteuid()))
			       ? NULL
			       : "another's process has locked it";
	if (owner->pid != owner->number)
		return "a process that it does not name has locked it";
	if (!file_is_trusted(&owner->status))
		return "others could have written it";
	if (is_in_future(&owner->status))
		return "its time is in the future";
	return pidfile_number_runs(owner->number, getpid(), &owner->status)
		       ? NULL
		       : "that process is younger, or gone";
}

/*
 * Opens the file, makes it if need be, and locks it for writing. On STEP_PIDFILE_LOST another
 * holds the lock.
 */
static enum step pidfile_open_locked(const char *path, const uid_t *user, int *fd,
	struct stat *status, bool *made)
{
	struct stat now;
	enum step step;

	for (;; close(*fd)) {
		/* Two opens: in a sticky directory Linux may forbid O_CREAT on another's file. */
		step = pidfile_open(path, O_RDWR, user, fd, status);
		*made = step == STEP_PIDFILE_OPEN && *fd == -1 && errno == ENOENT;
		if (*made)
			step = pidfile_open(path, O_RDWR | O_CREAT | O_EXCL, user, fd, status);
		if (*made && *fd == -1 && errno == EEXIST)
			continue;
		if (step)
			return step;
		if (lock_record(*fd, F_SETLK, F_WRLCK, NULL) == -1) {
			if (errno == EACCES || errno == EAGAIN) {
				close(*fd);
				return STEP_PIDFILE_LOST;
			}
			if (*made)
				unlink(path); /* a file system without locks: nobody has one */
			return STEP_PIDFILE_LOCK;
		}
		/* The file may have been removed or replaced between open and lock. */
		if (stat(path, &now) == 0 && same_file(status, &now))
			return STEP_DONE;
	}
}

/* Writes our PID; the tail goes last, so that there is never a moment without a number. */
static bool pidfile_write(int fd, bool truncate)
{
	char text[16];
	int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	ssize_t written;

	for (int at = 0; at < size; at += (int)written) {
		written = pwrite(fd, text + at, (size_t)(size - at), at);
		if (written == -1)
			return false;
	}
	return !truncate || ftruncate(fd, size) == 0;
}

/* An fd from 10 up, or, where RLIMIT_NOFILE is lower than that, any. */
static int move_high(int fd)
{
	int high = fcntl(fd, F_DUPFD, FIRST_LOCK_FD);

	if (high == -1 && (errno == EINVAL || errno == EMFILE))
		return fcntl(fd, F_SETFD, 0) == -1 ? -1 : fd;
	if (high != -1)
		close(fd);
	return high;
}

/*
 * Names the new file, in the directory of the pidfile, before the fork: so the launcher can remove
 * what a daemon that was killed has left. Nobody else has the name, whatever PID namespace we are in.
 */
static void pidfile_name_draft(char draft[PATH_MAX], const char *path)
{
	int size = snprintf(draft, PATH_MAX, "%s.%llx", path,
		(unsigned long long)clock_read(CLOCK_REALTIME));

	if (size >= PATH_MAX)
		*draft = '\0';
}

/* Makes the new file, complete and locked, and gives it the name. */
static enum step pidfile_replace(const char *path, const char *draft, int *lock_fd)
{
	int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOCTTY | O_CLOEXEC, PIDFILE_MODE);
	enum step step = STEP_PIDFILE_WRITE;
	int error;

	if (fd == -1)
		return STEP_PIDFILE_REPLACE;
	*lock_fd = -1;
	/* Whatever the umask. */
	if (fchmod(fd, PIDFILE_MODE) == 0 && pidfile_write(fd, false))
		*lock_fd = open(draft, O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
	error = errno;
	close(fd);
	errno = error;
	if (*lock_fd != -1) {
		*lock_fd = move_high(*lock_fd);
		step = STEP_PIDFILE_LOCK;
		if (*lock_fd != -1 && lock_record(*lock_fd, F_SETLK, F_RDLCK, NULL) == 0)
			step = rename(draft, path) == 0 ? STEP_DONE : STEP_PIDFILE_REPLACE;
	}
	if (step) {
		error = errno;
		unlink(draft);
		if (*lock_fd != -1)
			close(*lock_fd);
		errno = error;
	}
	return step;
}

/* For where nobody but we could hinder it. */
static bool lock_soon(int fd)
{
	const int64_t limit = deadline_in(BUSY_LIMIT);

	while (lock_record(fd, F_SETLK, F_RDLCK, NULL) == -1) {
		if ((errno != EACCES && errno != EAGAIN) || clock_read(CLOCK_MONOTONIC) > limit)
			return false;
		nap(NAP);
	}
	return true;
}

/*
 * Writes our PID into a file that cannot be replaced. The daemon must not keep the writable fd,
 * and its close drops the lock: so the read lock is taken after that, and if then the number is
 * not ours, or another has a lock too, it was faster in the gap, and has won. Closes `fd`.
 */
static enum step pidfile_rewrite(const char *path, const uid_t *user, int fd,
	const struct stat *claimed, int *lock_fd)
{
	struct stat locked;
	struct flock other;
	enum step step = STEP_PIDFILE_WRITE;
	int error;
	bool pure;

	if ((claimed->st_mode & 07777) == PIDFILE_MODE || fchmod(fd, PIDFILE_MODE) == 0)
		if (pidfile_write(fd, true))
			step = pidfile_open(path, O_RDONLY, user, lock_fd, &locked);
	error = errno;
	close(fd);
	errno = error;
	if (step)
		return step;
	*lock_fd = move_high(*lock_fd);
	if (*lock_fd == -1)
		return STEP_PIDFILE_LOCK;
	if (lock_soon(*lock_fd) && same_file(claimed, &locked) && fstat(*lock_fd, &locked) == 0 &&
		locked.st_nlink == 1 && pidfile_number(*lock_fd, &pure) == getpid() &&
		lock_record(*lock_fd, F_GETLK, F_WRLCK, &other) == 0 && other.l_type == F_UNLCK)
		return STEP_DONE;
	close(*lock_fd);
	return STEP_PIDFILE_LOST;
}

/* What the directory answers where it takes no new file, or no other in place of this one. */
static bool is_fixed_error(int error)
{
	return error == EACCES || error == EPERM || error == EBUSY || error == ENAMETOOLONG ||
	       error == ENOENT;
}

/* Makes the pidfile the caller's. The fd that carries the lock stays open across exec. */
static enum step pidfile_take(const char *path, const char *draft, const uid_t *user,
	pid_t launcher, int *lock_fd)
{
	struct stat old;
	enum step step;
	pid_t number;
	int fd, error;
	bool made, pure;

	step = pidfile_open_locked(path, user, &fd, &old, &made);
	if (step)
		return step;
	number = pidfile_number(fd, &pure);
	if (number == -1)
		step = STEP_PIDFILE_READ;
	else if (pidfile_number_runs(number, launcher, &old))
		step = STEP_PIDFILE_LOST;
	else
		step = pidfile_replace(path, draft, lock_fd);
	if (step == STEP_PIDFILE_REPLACE && is_fixed_error(errno) && old.st_uid == geteuid() &&
		file_is_trusted(&old))
		return pidfile_rewrite(path, user, fd, &old, lock_fd);
	error = errno;
	if (made && step && step != STEP_PIDFILE_LOST)
		unlink(path);
	close(fd);
	errno = error;
	return step;
}

/*
 * Removes the pidfile of a daemon that is gone, unless it has become another's: only while it
 * says what it said of that one, and nothing else.
 */
static void pidfile_remove(const char *path, const uid_t *user, pid_t number)
{
	struct stat status, now;
	bool pure;
	int fd;

	if (pidfile_open(path, O_RDWR, user, &fd, &status) == STEP_DONE &&
		lock_record(fd, F_SETLK, F_WRLCK, NULL) == 0 && stat(path, &now) == 0 &&
		same_file(&status, &now) && pidfile_number(fd, &pure) == number && pure)
		unlink(path);
	if (fd != -1)
		close(fd);
}

/* ---- Already running: refuse, be content, or wait ----------------------------------------- */

static const char *owner_text(char text[32], pid_t pid)
{
	if (pid <= 0)
		return "in another PID namespace";
	snprintf(text, 32, "pid %ld", (long)pid);
	return text;
}

static _Noreturn void die_running(const char *path, const struct owner *owner)
{
	char text[32];

	if (owner->state == PIDFILE_NUMBERED && is_in_future(&owner->status))
		die(EXIT_RUNNING,
			"already running (pid %ld); if that is another process, remove '%s': its time is "
			"in the future",
			(long)owner->pid, path);
	if (owner->state == PIDFILE_ORPHANED)
		die(EXIT_RUNNING,
			"already running (a child of pid %ld, which is gone, holds the lock of '%s')",
			(long)owner->pid, path);
	die(EXIT_RUNNING, "already running (%s)", owner_text(text, owner->pid));
}

/* Looks again until it is settled, for so long. What is not by then, is another's lock. */
static enum step pidfile_look_settled(const char *path, const uid_t *user, int64_t patience,
	struct owner *owner)
{
	int64_t limit = 0;
	enum step step;

	for (;;) {
		step = pidfile_look(path, user, owner);
		if (step || (owner->state != PIDFILE_CHANGING && owner->state != PIDFILE_STARTING))
			return step;
		limit = limit ? limit : deadline_in(patience);
		if (clock_read(CLOCK_MONOTONIC) > limit)
			return STEP_DONE;
		nap(NAP);
	}
}

static struct owner pidfile_owner_or_die(const struct instance *instance, int64_t patience)
{
	struct owner owner;
	enum step step =
		pidfile_look_settled(instance->opt->pidfile, instance->user, patience, &owner);

	if (step)
		die_of_step(instance->objects, step, errno);
	return owner;
}

/* Returns when the owner may have ended, or the deadline has passed. */
static void await_owner_end(const struct instance *instance, const struct owner *owner)
{
	int watch = owner->pid > 0 ? process_watch(owner->pid) : -1;
	struct owner now = pidfile_owner_or_die(instance, BUSY_LIMIT);

	/* Asked for again once it is pinned: before that, its PID may have changed hands. */
	if (owner_runs(&now) && now.pid == owner->pid) {
		if (watch != -1 && now.state != PIDFILE_ORPHANED)
			poll_until(watch, instance->deadline);
		else
			nap(earliest(POLL_INTERVAL,
				instance->deadline - clock_read(CLOCK_MONOTONIC)));
	}
	if (watch != -1)
		close(watch);
}

/*
 * Only the daemon itself is reason to be content, and only once it has been executed: a start that
 * is still in its execve(2), from a slow file system, may yet fail.
 */
static _Noreturn void be_content(const char *path, const struct owner *owner, int64_t patience)
{
	char who[32], text[32];

	if (owner->state == PIDFILE_CHANGING || owner->state == PIDFILE_STARTING)
		die(EXIT_GAVE_UP, "gave up waiting: another start (%s) is not done after %s",
			owner_text(who, owner->pid), seconds_text(text, patience));
	if (!owner_doubt(owner))
		exit(EXIT_UP);
	die_running(path, owner);
}

/* Returns when no daemon runs under the pidfile, or does not return. */
static void settle_pidfile(const struct instance *instance)
{
	const struct options *opt = instance->opt;
	const int64_t patience = opt->if_running == IF_RUNNING_OK ? READY_TIMEOUT : BUSY_LIMIT;
	struct owner owner;
	char who[32], text[32];

	while (owner = pidfile_owner_or_die(instance, patience), owner_runs(&owner)) {
		if (opt->if_running == IF_RUNNING_OK)
			be_content(opt->pidfile, &owner, patience);
		if (opt->if_running == IF_RUNNING_REFUSE)
			die_running(opt->pidfile, &owner);
		if (clock_read(CLOCK_MONOTONIC) >= instance->deadline)
			die(EXIT_GAVE_UP, "gave up waiting: still running (%s) after %s",
				owner_text(who, owner.pid), seconds_text(text, opt->wait));
		verbose("waiting for the other to end (%s)", owner_text(who, owner.pid));
		await_owner_end(instance, &owner);
	}
	verbose("nobody runs under pidfile '%s'", opt->pidfile);
}

/* Asks again and again, since nothing but a signal would end a flock(2) that waits. */
static bool flock_until(int fd, int64_t deadline)
{
	int64_t left;

	while (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		left = deadline == NEVER ? NEVER : deadline - clock_read(CLOCK_MONOTONIC);
		if (left <= 0)
			return false;
		nap(earliest(POLL_INTERVAL, left));
	}
	return true;
}

/*
 * Takes bmc/daemonize's kind of lock: flock(2) on a file whose content does not matter. It
 * belongs to the open file description, so the daemon and its children inherit it.
 */
static int take_flock_or_die(const struct instance *instance)
{
	const struct options *opt = instance->opt;
	/* With -u, a link that the user has made would lend them what it points to. */
	const int nofollow = opt->user ? O_NOFOLLOW : 0;
	const int flags = O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC | nofollow;
	int fd;

	fd = open(opt->lockfile, flags | O_CREAT, LOCK_MODE);
	if (fd == -1 && (errno == EISDIR || errno == EACCES))
		fd = open(opt->lockfile, flags);
	if (fd == -1 && nofollow && is_symlink_error(errno))
		die(EXIT_SETUP,
			"cannot open lock file '%s': with -u, it must not be a symbolic link",
			opt->lockfile);
	if (fd != -1 && opt->root && is_directory(fd))
		die(EXIT_SETUP, "cannot use lock file '%s': with -R, it must not be a directory",
			opt->lockfile);
	fd = fd == -1 ? -1 : move_high(fd);
	if (fd == -1)
		die(EXIT_SETUP, "cannot open lock file '%s': %s", opt->lockfile, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	if (errno != EWOULDBLOCK)
		die(EXIT_SETUP, "cannot lock '%s': %s", opt->lockfile, strerror(errno));
	if (opt->if_running == IF_RUNNING_OK)
		exit(EXIT_UP);
	if (opt->if_running == IF_RUNNING_WAIT) {
		verbose("waiting for the lock '%s'", opt->lockfile);
		if (flock_until(fd, instance->deadline))
			return fd;
		die(EXIT_GAVE_UP, "gave up waiting: lock '%s' is still held", opt->lockfile);
	}
	if (opt->pidfile) {
		struct owner owner = pidfile_owner_or_die(instance, BUSY_LIMIT);

		if (owner_runs(&owner))
			die_running(opt->pidfile, &owner);
	}
	die(EXIT_RUNNING, "already running (lock '%s' is held)", opt->lockfile);
}

/* ---- The standard streams ----------------------------------------------------------------- */

/*
 * Opens /dev/null on those of fds 0 to 2 that the caller has closed, lest a file of ours
 * become a standard stream. Returns those that were missing, a bit each.
 */
static unsigned int ensure_standard_fds(void)
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

static void check_disk_or_die(const char *path, bool truncate)
{
	char parent[PATH_MAX];
	struct statvfs disk;
	struct stat status;

	if (stat(path, &status) == 0 && (!S_ISREG(status.st_mode) || truncate))
		return; /* a device or a FIFO takes no room, an old log gives some */
	path_parent(parent, path);
	if ((statvfs(path, &disk) == 0 || statvfs(parent, &disk) == 0) && disk.f_blocks > 0 &&
		(geteuid() == 0 ? disk.f_bfree : disk.f_bavail) == 0)
		die(EXIT_SETUP, "cannot write to '%s': %s", path, strerror(ENOSPC));
}

/*
 * Opens a stream's file; -1 where it would have to be created, and must not yet. O_NONBLOCK lets
 * a FIFO that nobody reads fail instead of hang; the daemon gets it without. With -u the user must
 * not point root elsewhere by a link. A directory is no stream, and would lead out of -R.
 */
static int stream_open_or_die(const struct options *opt, int number, bool create,
	struct stat *status)
{
	const char *path = opt->stream[number];
	const bool output = number != STDIN_FILENO;
	int flags = output ? O_WRONLY | O_APPEND : O_RDONLY;
	int fd;

	if (opt->user)
		flags |= O_NOFOLLOW;
	if (output && create)
		flags |= O_CREAT;
	fd = open(path, flags | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, LOG_MODE);
	if (fd == -1 && errno == ENOENT && output && !create)
		return -1;
	if (fd == -1 && (flags & O_NOFOLLOW) && is_symlink_error(errno))
		die(EXIT_SETUP, "cannot open '%s': with -u, %s must not be a symbolic link", path,
			output ? "a log" : "standard input");
	if (fd == -1 && errno == ENXIO && stat(path, status) == 0 && S_ISFIFO(status->st_mode))
		die(EXIT_SETUP, "cannot open '%s': nobody has the FIFO open for reading", path);
	if (fd == -1 || fstat(fd, status) == -1 || fcntl(fd, F_SETFL, flags & O_APPEND) == -1)
		die(EXIT_SETUP, "cannot open '%s': %s", path, strerror(errno));
	if (S_ISDIR(status->st_mode))
		die(EXIT_SETUP, "cannot open '%s': %s", path, strerror(EISDIR));
	return fd;
}

/*
 * Opens what the daemon is to have on fds 0 to 2: first what exists, so that nothing is created
 * where something else cannot be opened, and in a second call the rest. Two names of one log
 * share one open file description.
 */
static void open_streams_or_die(const struct options *opt, struct streams *streams, bool create)
{
	struct stat *status = streams->status;
	int *fd = streams->fd, null_fd = -1;

	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++) {
		if (fd[i] != -1)
			continue;
		if (is_file(opt, i))
			fd[i] = stream_open_or_die(opt, i, create, &status[i]);
		else if (!opt->stream[i] && null_fd == -1 &&
			 (null_fd = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1)
			die(EXIT_SETUP, "cannot open '/dev/null': %s", strerror(errno));
		else if (!opt->stream[i])
			fd[i] = null_fd;
		if (fd[i] != -1 && i != STDIN_FILENO && S_ISREG(status[i].st_mode))
			streams->log_size[i] = opt->truncate ? 0 : status[i].st_size;
	}
	if (is_file(opt, STDOUT_FILENO) && is_file(opt, STDERR_FILENO) && fd[STDOUT_FILENO] != -1 &&
		fd[STDERR_FILENO] != -1 &&
		same_file(&status[STDOUT_FILENO], &status[STDERR_FILENO]) &&
		fd[STDERR_FILENO] != fd[STDOUT_FILENO]) {
		close(fd[STDERR_FILENO]);
		fd[STDERR_FILENO] = fd[STDOUT_FILENO];
	}
}

/* For one who has waited: the logs may have been rotated meanwhile. Two may have been one. */
static void reopen_streams_or_die(const struct options *opt, struct streams *streams)
{
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		if (is_file(opt, i)) {
			close(streams->fd[i]);
			streams->fd[i] = -1;
			streams->log_size[i] = -1;
		}
	open_streams_or_die(opt, streams, false);
	open_streams_or_die(opt, streams, true);
}

/* ---- File descriptors --------------------------------------------------------------------- */

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

/* One call for each fd that is open. A list that changes while it is read may skip some. */
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

/* The last resort. fds above a limit that was lowered later are out of its reach. */
static int close_each(const struct fds *keep)
{
	long limit = sysconf(_SC_OPEN_MAX);

	for (int fd = STDERR_FILENO + 1; fd < limit; fd++)
		if (!is_kept(keep, fd))
			close(fd);
	return 0;
}

static int close_others(const struct fds *keep)
{
	if (close_spans(keep) == 0 || close_listed(keep, "/proc/self/fd") == 0 ||
		close_listed(keep, "/dev/fd") == 0)
		return 0;
	return close_each(keep);
}

/* ---- Signals ------------------------------------------------------------------------------ */

/*
 * libc keeps these for itself, and refuses to deal with them; but exec hands on that one is
 * ignored. In the kernel's structure, zeros are the default: sigaction(2).
 */
static void reset_reserved_signal(int number)
{
#if defined(__linux__)
	static const long zeros[16];

	syscall(SYS_rt_sigaction, number, zeros, NULL, (size_t)(SIGRTMAX + 1) / CHAR_BIT);
#else
	(void)number;
#endif
}

/* exec resets what is caught, but hands on what is ignored, and the mask. */
static int reset_signals(const sigset_t *ignore)
{
	struct sigaction action = {.sa_flags = 0};
	sigset_t none;

	for (int number = 1; number <= REALTIME_LAST; number++) {
		if (number == SIGKILL || number == SIGSTOP)
			continue;
		if (number > STANDARD_LAST && number < REALTIME_FIRST) {
			reset_reserved_signal(number);
			continue;
		}
		action.sa_handler = sigismember(ignore, number) ? SIG_IGN : SIG_DFL;
		if (sigaction(number, &action, NULL) == -1)
			return -1;
	}
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- Loggers: -o '|command' ---------------------------------------------------------------- *
 *
 * A shell command reads the stream from a pipe. It runs as the caller would run it, in the
 * caller's directory, environment and umask, as logs are opened by the caller; but in a session of
 * its own, neither a child of the daemon nor of its family. It ends as it likes when nobody has
 * the pipe open any more. -E is for it as well: a build server ends whatever has its BUILD_ID, and
 * without a reader the daemon would die of SIGPIPE.
 */

static struct logger {
	const char *stream; /* "|command" */
	pid_t group;	    /* process group, and session */
	int fd;		    /* the writing end of the pipe */
	int status;	    /* of the last of it that orphan_reap() has reaped; -1: none */
} loggers[2];
static size_t n_loggers;

/* What they get of the caller's, with -E, since the daemon's is another. */
static struct {
	char **environment;
	mode_t umask;
} caller;

/* In the second child: a session's leader could acquire a terminal by writing to one. */
static _Noreturn void become_logger(const struct logger *logger, int read_fd)
{
	const struct fds keep_none = {.count = 0};
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	sigset_t ignore_none;

	sigemptyset(&ignore_none);
	environ = caller.environment;
	umask(caller.umask);
	if (dup2(read_fd, STDIN_FILENO) != -1 && dup2(null_fd, STDOUT_FILENO) != -1 &&
		dup2(null_fd, STDERR_FILENO) != -1 && close_others(&keep_none) == 0 &&
		reset_signals(&ignore_none) == 0)
		execl("/bin/sh", "sh", "-c", logger->stream + 1, (char *)NULL);
	_exit(EXIT_CANNOT_EXECUTE);
}

static void logger_start_or_die(const char *stream)
{
	struct logger *logger = &loggers[n_loggers];
	int ends[2], status;
	pid_t pid;

	logger->stream = stream;
	logger->status = -1;
	if (pipe_close_on_exec(ends) == -1)
		die(EXIT_SETUP, "cannot make a pipe to '%s': %s", stream, strerror(errno));
	logger->fd = ends[1];
	logger->group = fork();
	if (logger->group == 0) {
		pid = setsid() == -1 ? -1 : fork();
		if (pid == 0)
			become_logger(logger, ends[0]);
		_exit(pid == -1 ? errno : 0);
	}
	close(ends[0]);
	if (logger->group != -1)
		errno = waitpid(logger->group, &status, 0) == -1 ? errno
			: WIFEXITED(status)			 ? WEXITSTATUS(status)
								 : EINTR;
	if (logger->group == -1 || errno)
		die(EXIT_SETUP, "cannot fork for '%s': %s", stream, strerror(errno));
	n_loggers++;
	verbose("started '%s', to read from a pipe", stream + 1);
}

/*
 * Waits for what we, the subreaper, have inherited of it, or for init to have reaped it. False if
 * some of it is left.
 */
static bool logger_reap(const struct logger *logger, int64_t deadline, int *status)
{
	pid_t pid;

	*status = logger->status;
	while ((pid = waitpid(-logger->group, status, WNOHANG)) != -1 ||
		kill(-logger->group, 0) == 0) {
		if (pid > 0)
			continue;
		if (clock_read(CLOCK_MONOTONIC) > deadline)
			return false;
		nap(NAP);
	}
	return true;
}

/* Whether the session is that of a log command. */
static bool is_logger_session(pid_t session)
{
	for (size_t i = 0; i < n_loggers; i++)
		if (loggers[i].group == session)
			return true;
	return false;
}

/* A child of ours has ended, of this process group: its wait status is known only once. */
static void logger_note_end(pid_t group, int status)
{
	for (size_t i = 0; i < n_loggers; i++)
		if (loggers[i].group == group)
			loggers[i].status = status;
}

/* The start has succeeded: they are the daemon's now. */
static void loggers_let_go(void)
{
	n_loggers = 0;
}

/* For a start that has failed: at the end of their input they end; or else they are ended. */
static void loggers_end(void)
{
	const int64_t deadline = deadline_in(TERM_GRACE);
	int status;

	for (size_t i = 0; i < n_loggers; i++)
		close(loggers[i].fd);
	/* In the foreground our own streams may be their pipes by now. */
	if (n_loggers > 0 && diagnostics.fd != STDERR_FILENO) {
		dup2(diagnostics.fd, STDOUT_FILENO);
		dup2(diagnostics.fd, STDERR_FILENO);
	}
	for (size_t i = 0; i < n_loggers; i++)
		if (!logger_reap(&loggers[i], deadline, &status)) {
			kill(-loggers[i].group, SIGKILL);
			logger_reap(&loggers[i], deadline_in(BUSY_LIMIT), &status);
		}
	n_loggers = 0;
}

/* Complains of the first that has ended, or does so before the deadline. */
static bool logger_ends(int64_t deadline, const char *when)
{
	char why[32] = "";
	int status = -1; /* it stays, where init has reaped the logger */

	for (size_t i = 0; i < n_loggers; i++) {
		if (!poll_until(loggers[i].fd, deadline))
			continue; /* somebody has the other end open */
		logger_reap(&loggers[i], deadline_in(LOGGER_TRIAL), &status);
		if (status != -1 && WIFEXITED(status))
			snprintf(why, sizeof why, ", with exit status %d", WEXITSTATUS(status));
		complain("cannot start '%s': it ended %s%s", loggers[i].stream, when, why);
		return true;
	}
	return false;
}

/* They outlive us, if the start does not fail. The shell finds its command, or ends, soon. */
static void start_loggers_or_die(const struct options *opt, struct streams *streams)
{
	const int64_t deadline = deadline_in(LOGGER_TRIAL);

	atexit(loggers_end);
	for (int i = STDOUT_FILENO; i <= STDERR_FILENO; i++) {
		if (!is_logger(opt, i))
			continue;
		if (n_loggers == 0 || strcmp(loggers[0].stream, opt->stream[i]) != 0)
			logger_start_or_die(opt->stream[i]);
		streams->fd[i] = loggers[n_loggers - 1].fd;
	}
	if (logger_ends(deadline, "at once"))
		exit(EXIT_SETUP);
}

/* ---- The daemon-to-be: every step is a must() --------------------------------------------- */

static bool report(int channel_fd, enum step step, bool failed, int error)
{
	struct report report = {.step = step, .failed = failed, .error = error, .pid = getpid()};

	return write(channel_fd, &report, sizeof report) == (ssize_t)sizeof report;
}

/* There is no launcher to clear up: what we have locked, we remove, if we still may. */
static _Noreturn void die_in_foreground(const struct plan *plan, enum step step, int error)
{
	const char *path = plan->opt->pidfile;
	const char *slash = path ? strrchr(path, '/') : NULL;
	const char *name = slash ? slash + 1 : path;
	struct stat ours, now;

	if (path && plan->lock_fd != -1 && fstat(plan->lock_fd, &ours) == 0 &&
		fstatat(plan->pidfile_parent_fd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
		same_file(&ours, &now))
		unlinkat(plan->pidfile_parent_fd, name, 0);
	die_of_step(&plan->objects, step, error);
}

/* Goes on if the step was done; or else tells the launcher why not, and ends. */
static void must(const struct plan *plan, enum step step, bool done)
{
	int error = errno;

	if (plan->channel_fd == -1 && !done)
		die_in_foreground(plan, step, error);
	else if (plan->channel_fd == -1)
		verbose_step(&plan->objects, step);
	else if (!done || (diagnostics.verbose && steps[step].done))
		/* A launcher that was killed hears nothing: that is no reason not to go on. */
		(void)report(plan->channel_fd, step, !done, error);
	if (!done)
		_exit(EXIT_SETUP);
}

static int redirect_streams(const struct streams *streams)
{
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		if (streams->fd[i] != -1 && dup2(streams->fd[i], i) == -1)
			return -1;
	return 0;
}

static int truncate_logs(const struct streams *streams)
{
	for (int i = STDOUT_FILENO; i <= STDERR_FILENO; i++)
		if (streams->log_size[i] >= 0 && ftruncate(i, 0) == -1)
			return -1;
	return 0;
}

static int put_streams_in_place(const struct plan *plan)
{
	if (redirect_streams(&plan->streams) == -1)
		return -1;
	return plan->opt->notify_fd == -1 ? 0 : dup2(plan->ready_write_fd, plan->opt->notify_fd);
}

static void take_pidfile(struct plan *plan)
{
	enum step failed;
	int lock_fd, error;

	for (;;) {
		failed = pidfile_take(plan->opt->pidfile, plan->draft, &plan->id.uid,
			plan->launcher, &lock_fd);
		if (failed != STEP_PIDFILE_LOST || plan->channel_fd != -1)
			break;
		/* In the foreground there is no launcher to do it. What the streams came from is closed. */
		settle_pidfile(&plan->instance);
		for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
			plan->streams.fd[i] = -1;
		reopen_streams_or_die(plan->opt, &plan->streams);
		if (put_streams_in_place(plan) == -1)
			die_in_foreground(plan, STEP_STREAMS, errno);
	}
	if (!failed)
		plan->lock_fd = lock_fd;
	else if (plan->channel_fd == -1) {
		error = errno;
		pidfile_remove(plan->opt->pidfile, &plan->id.uid, getpid());
		errno = error;
	}
	must(plan, failed ? failed : STEP_PIDFILE_WRITE, failed == STEP_DONE);
}

/* setuid(7): groups while we still may, the user last; then make sure that it holds. */
static void assume_identity(const struct plan *plan)
{
	const struct identity *id = &plan->id;

	must(plan, STEP_GROUPS, set_groups(id->n_groups, id->groups) == 0);
	must(plan, STEP_GROUP, set_group_ids(id->gid) == 0);
	must(plan, STEP_USER, set_user_ids(id->uid) == 0);
	if (id->uid != 0)
		must(plan, STEP_REGAIN, setuid(0) == -1 && (id->gid == 0 || setgid(0) == -1));
}

/*
 * A script without "#!" is text. Not for the shell is what the kernel refuses although it has one,
 * nor a broken binary: it has a NUL byte in what would be its first line.
 */
static bool is_text(const char *path)
{
	char text[FIRST_LINE_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd == -1 ? -1 : read(fd, text, sizeof text);
	const char *end = size > 0 ? memchr(text, '\n', (size_t)size) : NULL;

	if (fd != -1)
		close(fd);
	if (size >= 2 && !memcmp(text, "#!", 2))
		return false;
	return size >= 0 && (size == 0 || !memchr(text, '\0', (size_t)(end ? end - text : size)));
}

static _Noreturn void execute_command(struct plan *plan)
{
	static char shell[] = "/bin/sh";
	char **command = plan->opt->command;

	execv(plan->path, command);
	if (errno == ENOEXEC) {
		/* execvp(3) hands what the kernel does not know to the shell. */
		if (is_text(plan->path)) {
			command[0] = plan->path;
			command[-1] = shell;
			execv(shell, command - 1);
		}
		errno = ENOEXEC;
	}
	must(plan, STEP_EXEC, false);
	_exit(EXIT_SETUP);
}

/* root may be kept from a directory (NFS) that the user to be can enter. */
static bool may_enter_later(const struct plan *plan, int error)
{
	return plan->id.change && (error == EACCES || error == EPERM);
}

/*
 * Turns this process into the daemon. All fds are closed before the pidfile is locked, since any
 * close might drop the lock; what needs privileges is done while we have them.
 */
static _Noreturn void become_daemon(struct plan *plan)
{
	const struct options *opt = plan->opt;
	const char *directory = opt->directory ? opt->directory : "/";
	bool entered;

	must(plan, STEP_STREAMS, put_streams_in_place(plan) != -1);
	must(plan, STEP_CLOSE, close_others(&plan->keep) == 0);
	if (opt->pidfile)
		take_pidfile(plan);
	if (opt->root)
		must(plan, STEP_CHROOT, chroot(opt->root) == 0 && chdir("/") == 0);
	entered = chdir(directory) == 0;
	if (entered || !may_enter_later(plan, errno))
		must(plan, STEP_CHDIR, entered);
	if (opt->no_core)
		must(plan, STEP_CORE, setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) == 0);
	if (plan->id.change)
		assume_identity(plan);
	if (!entered)
		must(plan, STEP_CHDIR, chdir(directory) == 0);
	if (opt->root) {
		const int error = command_find(opt->command[0], plan->path);

		errno = error;
		must(plan, find_step(error), error == 0);
	}
	/* Only now: a start that fails leaves them as they are. */
	if (opt->truncate)
		must(plan, STEP_TRUNCATE, truncate_logs(&plan->streams) == 0);
	/*
	 * Last, and told before it is done: until then SIGPIPE is ignored, so that a launcher's death
	 * is not ours. Ignoring it once more drops one that has come while it was blocked.
	 */
	must(plan, STEP_SIGNALS, true);
	signal(SIGPIPE, SIG_IGN);
	if (reset_signals(&opt->ignore) == -1)
		must(plan, STEP_SIGNALS, false);
	execute_command(plan);
}

/* ---- The launcher ------------------------------------------------------------------------- */

/* A daemon and all that it has begun. */
struct family {
	pid_t daemon;  /* ours, and so its PID, until it is reaped */
	pid_t session; /* which the middle child has led */
	bool adopts; /* whoever is our child is of the family: an orphan, since we are the subreaper */
};

/* What has become of one try to start the daemon. */
struct attempt {
	struct family family;  /* its daemon is 0 if none was born */
	struct report failure; /* the step that failed; STEP_DONE if none has reported */
};

static void prepare_keep(struct plan *plan)
{
	static int few[OUR_FDS];
	const struct options *opt = plan->opt;
	struct fds *keep = &plan->keep;

	keep->fd = opt->keep.count == 0
			   ? few
			   : allocate_or_die(opt->keep.count + OUR_FDS, sizeof *keep->fd);
	keep->count = opt->keep.count;
	for (size_t i = 0; i < keep->count; i++)
		keep->fd[i] = opt->keep.fd[i];
	if (opt->notify_fd != -1)
		fds_insert(keep, opt->notify_fd);
	if (plan->flock_fd != -1)
		fds_insert(keep, plan->flock_fd);
}

/*
 * The second child. The launcher could not tell its end without its PID. As the leader of its
 * process group, it can be killed with what it has forked by "kill -- -PID".
 */
static _Noreturn int be_born(void *argument)
{
	struct plan *plan = argument;

	if (!report(plan->channel_fd, STEP_BORN, false, 0))
		_exit(EXIT_SETUP);
	must(plan, STEP_PROCESS_GROUP, setpgid(0, 0) != -1);
	become_daemon(plan);
}

/*
 * The middle child. A session of its own has no controlling terminal; a process that does not
 * lead it can never acquire one by opening it: daemon(7), steps 5 to 7.
 */
static _Noreturn int detach(void *argument)
{
	const struct plan *plan = argument;

	/* We would be what that namespace ends with, or unknown there by the PID of the pidfile. */
	must(plan, STEP_PID_NAMESPACE, getppid() != 0);
	must(plan, STEP_SESSION, setsid() != -1);
	must(plan, STEP_FORK_AGAIN, fork_lending(DAEMON, be_born, argument) != -1);
	_exit(EXIT_UP);
}

/* Hears the status channel out, to its end. False: it cannot be heard. */
static bool listen_to(const struct objects *objects, int fd, struct attempt *attempt)
{
	struct report report;
	ssize_t size;

	while ((size = read(fd, &report, sizeof report)) != 0) {
		if (size == -1 && errno == EINTR)
			continue;
		if (size != (ssize_t)sizeof report) {
			errno = size == -1 ? errno : EIO;
			return false;
		}
		if (report.step == STEP_BORN)
			attempt->family.daemon = report.pid;
		else if (report.failed)
			attempt->failure = report;
		else
			verbose_step(objects, report.step);
	}
	return true;
}

/*
 * End of file alone is no proof: a child that is killed closes the channel as well, and before
 * it can be waited for. Linux keeps a flag from fork to exec, also for a zombie, and a zombie
 * it stays until we, its subreaper, reap it. Where the flag cannot be read, the end of file
 * without a report is taken for exec: only a SIGKILL in the last microseconds makes that wrong.
 */
static bool daemon_has_execed(pid_t pid)
{
	struct process process;

	return !process_read(pid, &process) || process.execed;
}

/* Returns the wait status, or -1 if it went to init; either way the process is gone. */
static int reap(pid_t pid)
{
	int64_t limit;
	int status;

	if (waitpid(pid, &status, 0) == pid)
		return status;
	limit = deadline_in(BUSY_LIMIT);
	while (process_is_alive(pid) && clock_read(CLOCK_MONOTONIC) < limit)
		nap(NAP);
	return -1;
}

static void fork_daemon_or_die(struct plan *plan, struct attempt *attempt)
{
	struct report next;
	int channel[2];

	if (pipe_close_on_exec(channel) == -1)
		die(EXIT_SETUP, "cannot make the status channel: %s", strerror(errno));
	prepare_keep(plan);
	fds_insert(&plan->keep, channel[1]);
	plan->channel_fd = channel[1];
	attempt->family.session = fork_lending(MIDDLE_CHILD, detach, plan);
	if (attempt->family.session == -1)
		die_of_step(&plan->objects, STEP_FORK, errno);
	close(channel[1]); /* it is closed on Linux, whatever it says: close(2) */
	if (!listen_to(&plan->objects, channel[0], attempt)) {
		/* What cannot be heard must not run. Until they are reaped, the PIDs are ours. */
		attempt->failure =
			(struct report){.step = STEP_CHANNEL, .failed = true, .error = errno};
		while (!attempt->family.daemon &&
			read(channel[0], &next, sizeof next) == (ssize_t)sizeof next)
			if (next.step == STEP_BORN)
				attempt->family.daemon = next.pid;
		if (attempt->family.daemon) {
			kill(attempt->family.daemon, SIGKILL);
			kill(-attempt->family.daemon, SIGKILL);
		}
		kill(attempt->family.session, SIGKILL);
	}
	close(channel[0]);
}

/* The daemon did not come up: leaves nothing behind, and says why; returns if it lost a race. */
static void clear_up(const struct plan *plan, const struct attempt *attempt, int middle_status)
{
	const struct options *opt = plan->opt;
	int status = attempt->family.daemon ? reap(attempt->family.daemon) : middle_status;

	if (attempt->failure.step == STEP_PIDFILE_LOST)
		return;
	if (attempt->family.daemon && opt->pidfile) {
		unlink(plan->draft);
		pidfile_remove(opt->pidfile, &plan->id.uid, attempt->family.daemon);
	}
	if (attempt->failure.step)
		die_of_step(&plan->objects, attempt->failure.step, attempt->failure.error);
	if (status != -1 && WIFSIGNALED(status))
		die(EXIT_SETUP, "cannot start '%s': killed by signal %d before it was executed",
			opt->name, WTERMSIG(status));
	die(EXIT_SETUP, "cannot start '%s': died before it was executed", opt->name);
}

/*
 * Starts the daemon; true once it has exec'd, with all signals blocked; false if another starter
 * was faster. Signals wait: a Ctrl-C must not leave a daemon behind that nobody has heard of.
 */
static bool launch(struct plan *plan, struct attempt *attempt)
{
	sigset_t all, old;
	int middle_status;

	attempt->family.daemon = 0;
	attempt->failure.step = STEP_DONE;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	fork_daemon_or_die(plan, attempt);
	middle_status = reap(attempt->family.session);
	if (attempt->family.daemon && !attempt->failure.step &&
		daemon_has_execed(attempt->family.daemon))
		return true;
	clear_up(plan, attempt, middle_status);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return false;
}

/* ---- Readiness ---------------------------------------------------------------------------- *
 *
 * Until the daemon is ready, the launcher waits: for the daemon's end (it dies: the start has
 * failed), for its word on a socket or a pipe, for the deadline, and for the user's Ctrl-C.
 * What has failed is told to go, TERM and then KILL, with all that it has spawned in its
 * session, and what the launcher as subreaper has inherited from it.
 *
 * MAINPID= other than the daemon's own is a failure: the lock, and so the pidfile, cannot be
 * handed over to another process.
 */

/* What the daemon has said. */
struct notice {
	struct sender speaker; /* of the last message */
	bool ready;
	struct sender ready_by;
	bool barrier;	  /* BARRIER=1, since READY=1 */
	bool closed;	  /* --notify-fd, without a newline */
	int error;	  /* ERRNO= */
	pid_t main_pid;	  /* MAINPID= */
	int64_t deadline; /* of the wait, which EXTEND_TIMEOUT_USEC= moves; nanoseconds */
	char status[160]; /* STATUS= */
};

enum verdict { WAITING, READY, DIED, TIMED_OUT, INTERRUPTED, CLOSED, ANOTHER_MAIN };

struct readiness {
	const struct options *opt;
	const struct family *family;
	const struct streams *streams;
	uid_t user;	      /* the daemon's */
	int ready_fd;	      /* our end of --notify or --notify-fd; -1: none */
	int watch_fd;	      /* -1: the system cannot watch a process */
	int64_t begun;	      /* nanoseconds, as all that follow */
	int64_t lived_at;     /* when --startsecs are over */
	int64_t shown_at;     /* when to show a line that says what we wait for */
	int64_t waited;	      /* until the verdict */
	bool ended;	      /* after a failure: nothing of it lives */
	siginfo_t death;      /* si_pid is 0 where it lives, or where init has reaped it */
	struct notice notice; /* what it has said */
};

static void on_child_end(int number)
{
	(void)number;
}

/* The end of a child interrupts the wait: it may be an orphan to be reaped. */
static void catch_child_ends(sigset_t *mask)
{
	const struct sigaction child = {.sa_handler = on_child_end, .sa_flags = SA_NOCLDSTOP};

	sigaction(SIGCHLD, &child, NULL);
	sigdelset(mask, SIGCHLD);
}

enum { SOCKET_PATH_MAX = sizeof((struct sockaddr_un *)NULL)->sun_path };

static char notify_directory[SOCKET_PATH_MAX]; /* "": the socket has no file */
static char notify_path[SOCKET_PATH_MAX];

/* A signal handler may call it. */
static void notify_unbind(void)
{
	if (!*notify_directory)
		return;
	unlink(notify_path);
	rmdir(notify_directory);
	*notify_directory = '\0';
}

/* From when the socket has a file until the wait begins. */
static void on_early_interrupt(int number)
{
	notify_unbind();
	signal(number, SIG_DFL);
	raise(number);
}

/* Opens a directory that only root and we can write to, and whose mode has these bits; or -1. */
static int open_private(const char *root, const char *path, mode_t bits)
{
	/* A link would mean another directory to a daemon inside of --chroot. */
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (*root ? O_NOFOLLOW : 0));
	struct stat status;

	if (fd == -1)
		return -1;
	if (fstat(fd, &status) == 0 && (status.st_uid == 0 || status.st_uid == geteuid()) &&
		(status.st_mode & (S_IWGRP | S_IWOTH | bits)) == bits)
		return fd;
	close(fd);
	errno = EACCES;
	return -1;
}

/*
 * Binds the socket to a file in a new directory below `place`, in which only root and we can make
 * names: the daemon keeps this one, and must not send to a stranger who has taken it after us.
 * Only the daemon's user may send to it. False: try another place.
 */
static bool notify_bind_below(int fd, const char *root, const struct identity *id,
	const char *place, struct sockaddr_un *address)
{
	static const char name[] = "notify";
	int directory_fd = open_private(root, place, id->change ? S_IXOTH : 0);
	int length, error;

	if (directory_fd == -1)
		return false;
	close(directory_fd);
	length = snprintf(notify_path, sizeof notify_path, "%s/daemonize.XXXXXX/%s", place, name);
	if (length >= (int)sizeof notify_path) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(notify_directory, notify_path, sizeof notify_path);
	notify_directory[length - (int)sizeof name] = '\0';
	directory_fd = mkdtemp(notify_directory) ? open_private(root, notify_directory, 0) : -1;
	memcpy(notify_path, notify_directory, strlen(notify_directory));
	memcpy(address->sun_path, notify_path, sizeof notify_path);
	if (directory_fd == -1 ||
		bind(fd, (const struct sockaddr *)address, sizeof *address) == -1) {
		error = errno;
		if (directory_fd != -1)
			close(directory_fd);
		notify_unbind();
		errno = error;
		return false;
	}
	/* By the fd: whoever owns the root directory of --chroot could put a link in the path. */
	if (fchmodat(directory_fd, name, S_IRUSR | S_IWUSR, 0) == -1 ||
		(id->change && fchownat(directory_fd, name, id->uid, id->gid,
				       AT_SYMLINK_NOFOLLOW) == -1) ||
		fchmod(directory_fd, S_IRWXU | S_IXGRP | S_IXOTH) == -1)
		die(EXIT_SETUP, "cannot make the notification socket '%s': %s", notify_path,
			strerror(errno));
	close(directory_fd);
	/* The daemon's name for it. */
	snprintf(address->sun_path, sizeof address->sun_path, "%s", notify_path + strlen(root));
	return true;
}

/*
 * In /tmp, a name that we have given up is anybody's. So a directory of ours stays, one for all
 * starts of a user, unless another user has taken its name. The sticky bit keeps it ours.
 */
static bool notify_make_place(const char *root, const char *shared, char place[PATH_MAX])
{
	struct stat status;
	int fd;

	if (fstatat(AT_FDCWD, shared, &status, *root ? AT_SYMLINK_NOFOLLOW : 0) == -1)
		return false;
	errno = EACCES;
	if ((status.st_uid != 0 && status.st_uid != geteuid()) || !(status.st_mode & S_ISVTX))
		return false;
	snprintf(place, PATH_MAX, "%s/daemonize-%lu", shared, (unsigned long)geteuid());
	(void)mkdir(place, S_IRWXU); /* an earlier start has made it, or we fail at the next step */
	fd = open_private(root, place, 0);
	if (fd == -1) {
		snprintf(place, PATH_MAX, "%s/daemonize-%lu.XXXXXX", shared,
			(unsigned long)geteuid());
		fd = mkdtemp(place) ? open_private(root, place, 0) : -1;
	}
	if (fd == -1)
		return false;
	fchmod(fd, S_IRWXU | S_IXGRP | S_IXOTH);
	close(fd);
	return true;
}

/* Where the name stays ours. /run is root's; a user has a directory, of the login. */
static bool notify_bind_file(int fd, const char *root, const struct identity *id,
	struct sockaddr_un *address)
{
	/* Neither a daemon inside of --chroot nor another user could reach it. */
	const char *own = *root || id->change ? NULL : getenv("XDG_RUNTIME_DIR");
	const char *const places[] = {"/run", "/var/run", own, "/tmp"};
	char place[PATH_MAX], shared[PATH_MAX] = "";

	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		if (!places[i] || *places[i] != '/')
			continue;
		snprintf(shared, sizeof shared, "%.*s%s", SOCKET_PATH_MAX, root, places[i]);
		if (notify_bind_below(fd, root, id, shared, address))
			return true;
	}
	return notify_make_place(root, shared, place) &&
	       notify_bind_below(fd, root, id, place, address);
}

/* The socket on which sd_notify(3) speaks, and its name in the daemon's environment. */
static int notify_open_or_die(const char *root, const struct identity *id)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	sigset_t mask;

	atexit(notify_unbind);
	catch_interrupts(on_early_interrupt, &mask);
	if (fd == -1 || fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 || want_credentials(fd) == -1 ||
		!(notify_bind_file(fd, root ? root : "", id, &address) ||
			bind_abstract(fd, &address)) ||
		setenv("NOTIFY_SOCKET", address.sun_path, 1) == -1)
		die(EXIT_SETUP, "cannot make the notification socket: %s", strerror(errno));
	return fd;
}

/* The pipe of --notify-fd: our end, and in `write_fd` the daemon's. */
static int notify_pipe_or_die(int *write_fd)
{
	int ends[2];

	if (pipe_close_on_exec(ends) == -1)
		die(EXIT_SETUP, "cannot make the notification pipe: %s", strerror(errno));
	*write_fd = ends[1];
	return ends[0];
}

/* Takes in one message, lines of NAME=VALUE: sd_notify(3). Text ends with a NUL. */
static void notify_parse(char *text, struct notice *notice)
{
	unsigned long long number;
	char *value, *next;

	for (char *line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		value = strchr(line, '=');
		if (!value)
			continue;
		*value++ = '\0';
		if (!strcmp(line, "READY") && !strcmp(value, "1")) {
			notice->ready = true;
			notice->ready_by = notice->speaker;
			notice->barrier = false;
		} else if (!strcmp(line, "BARRIER"))
			notice->barrier = true;
		else if (!strcmp(line, "STATUS"))
			snprintf(notice->status, sizeof notice->status, "%s", value);
		else if (!strcmp(line, "ERRNO") && parse_number(value, 10, INT_MAX, &number))
			notice->error = (int)number;
		else if (!strcmp(line, "MAINPID") && parse_number(value, 10, INT_MAX, &number))
			notice->main_pid = (pid_t)number;
		else if (!strcmp(line, "EXTEND_TIMEOUT_USEC") &&
			 parse_number(value, 10, LLONG_MAX, &number) && notice->deadline != NEVER) {
			int64_t extended =
				(int64_t)number < NEVER / 2000
					? clock_read(CLOCK_MONOTONIC) + (int64_t)number * 1000
					: NEVER;

			notice->deadline =
				extended > notice->deadline ? extended : notice->deadline;
		}
	}
}

/* On a terminal, one line that is rewritten in place each second, and erased in the end. */
static void progress_show(struct readiness *r)
{
	const int64_t now = clock_read(CLOCK_MONOTONIC);
	char line[512];
	int columns = terminal_columns(STDERR_FILENO);

	if (now < r->shown_at)
		return;
	r->shown_at += NANOSECONDS;
	snprintf(line, sizeof line, "waiting for '%s' to %s, %lld s%s%s", r->opt->name,
		r->ready_fd == -1 ? "stay up" : "be ready",
		(long long)((now - r->begun) / NANOSECONDS), *r->notice.status ? ": " : "",
		r->notice.status);
	make_harmless(line);
	dprintf(STDERR_FILENO, "\r\033[K%.*s", columns - 1, line);
}

static void progress_erase(const struct readiness *r)
{
	if (r->shown_at != NEVER && r->shown_at > r->begun + NANOSECONDS)
		dprintf(STDERR_FILENO, "\r\033[K");
}

/*
 * Takes in the next message, if it is from the daemon's user, root or us; false if there is none.
 */
static bool notify_receive(int fd, uid_t user, struct notice *notice)
{
	char text[4096];
	struct iovec part = {text, sizeof text - 1};
	const uid_t *uid = &notice->speaker.uid;
	const ssize_t size = receive_from(fd, &part, &notice->speaker);

	if (size == -1)
		return false;
	text[size] = '\0';
	if (*uid == 0 || *uid == geteuid() || *uid == user)
		notify_parse(text, notice);
	return true;
}

/* s6's protocol: a newline means ready, whatever comes before it. */
static void notify_read(int fd, struct notice *notice)
{
	char text[256];
	ssize_t size = read(fd, text, sizeof text);

	if (size > 0)
		notice->ready |= memchr(text, '\n', (size_t)size) != NULL;
	else if (size == 0)
		notice->closed = true;
}

/* Asks without reaping, so that the PID stays the daemon's. Where init reaps, it is gone. */
static bool has_died(pid_t pid)
{
	siginfo_t info = {.si_pid = 0};

	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
		return info.si_pid == pid;
	return !process_is_alive(pid);
}

/*
 * Reaps one of our children that has ended, but not the daemon: as the subreaper we are what init
 * is to others, and the daemon may wait until an orphan of its own is gone. Nobody else can ask
 * for the status of one that the caller had. Returns whether there was one.
 */
static bool orphan_reap(pid_t daemon)
{
	siginfo_t info = {.si_pid = 0};
	int status = -1;
	pid_t group;

	/* Where it is the daemon that has ended, the wait is over. */
	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 || info.si_pid == 0 ||
		info.si_pid == daemon)
		return false;
	group = getpgid(info.si_pid);
	waitpid(info.si_pid, &status, 0);
	logger_note_end(group, status);
	return true;
}

/* Hears what there is; true if there may be more: they can come faster than we read. */
static bool hear(struct readiness *r)
{
	enum { MESSAGES = 64 };
	char shown[sizeof r->notice.status];

	if (!r->opt->notify) {
		notify_read(r->ready_fd, &r->notice);
		return false;
	}
	for (int i = 0; i < MESSAGES; i++) {
		memcpy(shown, r->notice.status, sizeof shown);
		if (!notify_receive(r->ready_fd, r->user, &r->notice))
			return false;
		if (strcmp(shown, r->notice.status) != 0 && diagnostics.verbose) {
			progress_erase(r);
			verbose("'%s' says: %s", r->opt->name, r->notice.status);
		}
	}
	return true;
}

static enum verdict readiness_judge(const struct readiness *r)
{
	const int64_t now = clock_read(CLOCK_MONOTONIC);

	if (has_died(r->family->daemon))
		return DIED;
	if (interrupted_by)
		return INTERRUPTED;
	if (r->notice.main_pid && r->notice.main_pid != r->family->daemon)
		return ANOTHER_MAIN;
	if (now >= r->lived_at && (r->notice.ready || r->ready_fd == -1))
		return READY;
	if (r->notice.closed && !r->notice.ready)
		return CLOSED;
	return now >= r->notice.deadline ? TIMED_OUT : WAITING;
}

static enum verdict await_ready(struct readiness *r, const sigset_t *mask)
{
	struct pollfd events[] = {{.fd = r->watch_fd, .events = POLLIN},
		{.fd = r->ready_fd, .events = POLLIN}};
	enum verdict verdict;
	int64_t now, until;

	while ((verdict = readiness_judge(r)) == WAITING) {
		now = clock_read(CLOCK_MONOTONIC);
		until = orphan_reap(r->family->daemon) ? now
						       : earliest(r->notice.deadline, r->shown_at);
		if (r->lived_at > now)
			until = earliest(until, r->lived_at);
		if (r->watch_fd == -1)
			until = earliest(until, now + POLL_INTERVAL);
		events[1].revents = 0;
		if (poll_signals(events, 2, until == NEVER ? NEVER : until - now, mask) > 0 &&
			events[1].revents) {
			hear(r);
			/* A socket is read to the end, lest who writes to it is blocked. */
			if (!r->opt->notify && (r->notice.ready || r->notice.closed))
				events[1].fd = -1;
			/* Signals do not get through a poll that always has something to tell. */
			poll_signals(NULL, 0, 0, mask);
		}
		progress_show(r);
	}
	return verdict;
}

/*
 * Whether the process descends from the daemon: it is in its session, or an ancestor is, or that
 * ancestor was orphaned, and so became our child. Who is younger than their child are no parent:
 * they have the PID of one that has ended meanwhile.
 */
static bool is_family(const struct family *family, pid_t pid)
{
	unsigned long long youngest = ULLONG_MAX;
	struct process process;

	while (process_read(pid, &process) && process.start <= youngest) {
		if (process.session == family->session)
			return true;
		if (is_logger_session(process.session))
			return false;
		if (process.parent == getpid())
			return family->adopts;
		if (process.parent <= 1)
			return false;
		youngest = process.start;
		pid = process.parent;
	}
	return false;
}

/*
 * Signals the process if it lives and is of the family; returns whether it did. It is pinned before
 * it is looked at, so that another that gets its PID meanwhile cannot be hit.
 */
static bool signal_member(const struct family *family, pid_t pid, int number)
{
	const int watch = process_watch(pid);
	const bool exists = watch != -1 || errno != ESRCH;
	const bool signalled = exists && process_is_alive(pid) && is_family(family, pid) &&
			       process_signal(watch, pid, number) == 0;

	if (watch != -1)
		close(watch);
	return signalled;
}

/*
 * For where it cannot be seen who is of the family: signals the daemon and its process group, which
 * may outlive it. A zombie is one of it as well, so those that are ours are reaped. Returns whether
 * there was any.
 */
static bool signal_group(const struct family *family, int number)
{
	siginfo_t end = {.si_pid = 0};
	const bool lives =
		waitid(P_PID, (id_t)family->daemon, &end, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		end.si_pid == 0;
	bool any = kill(-family->daemon, number) == 0;

	if (lives && getpgid(family->daemon) != family->daemon)
		any |= kill(family->daemon, number) == 0;
	while (waitpid(-family->daemon, NULL, WNOHANG) > 0)
		;
	return any;
}

/* Signals all that lives of the family. Returns how many processes that was. */
static size_t signal_family(const struct family *family, int number)
{
	/* To look at a process while it is pinned takes three fds, of which there may be too few. */
	DIR *list = opendir("/proc");
	const int watch = process_watch(getpid());
	struct process self = {.state = 0};
	const bool can_look = list && process_read(getpid(), &self);
	const struct dirent *entry;
	unsigned long long pid;
	size_t count = 0;

	if (watch != -1)
		close(watch);
	while (can_look && (entry = readdir(list)))
		if (parse_number(entry->d_name, 10, INT_MAX, &pid))
			count += signal_member(family, (pid_t)pid, number);
	if (list)
		closedir(list);
	return can_look ? count : signal_group(family, number);
}

/* Returns when nothing of the family lives any more, or at the deadline. */
static bool await_family_end(const struct family *family, int64_t deadline)
{
	while (signal_family(family, 0) > 0) {
		if (clock_read(CLOCK_MONOTONIC) >= deadline)
			return false;
		while (orphan_reap(family->daemon) && clock_read(CLOCK_MONOTONIC) < deadline)
			;
		nap(10 * NAP);
	}
	return true;
}

/* Ends a start that has failed: TERM, CONT, and then KILL. False if the daemon is one that we may not. */
static bool end_family(const struct family *family)
{
	int64_t limit = deadline_in(TERM_GRACE);
	bool left = signal_family(family, SIGTERM) > 0;

	if (left) {
		signal_family(family, SIGCONT); /* who is stopped would not see the TERM */
		left = !await_family_end(family, limit);
	}
	limit = deadline_in(TERM_GRACE);
	while (left && signal_family(family, SIGKILL) > 0 && clock_read(CLOCK_MONOTONIC) < limit)
		nap(NAP);
	return has_died(family->daemon);
}

/* Until now the zombie has kept its numbers from being another's. */
static void bury(const char *pidfile, uid_t user, const struct family *family)
{
	if (has_died(family->daemon))
		reap(family->daemon);
	while (family->adopts && waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (pidfile)
		pidfile_remove(pidfile, &user, family->daemon);
	notify_unbind();
	loggers_end();
}

/* The last lines that this start wrote to a log, for the person who has just seen it fail. */
static void show_log(const struct options *opt, const struct streams *streams, int number)
{
	enum { LINES = 10 };
	char text[4096 + 1], line[sizeof text + sizeof "    \n"], *from;
	int fd = open(opt->stream[number],
		O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (opt->user ? O_NOFOLLOW : 0));
	off_t begin = streams->log_size[number];
	struct stat status;
	ssize_t size = 0;
	int lines = 0;

	/* The name may mean another file by now, which is not for the user's eyes. */
	if (fd != -1 && fstat(fd, &status) == 0 && same_file(&status, &streams->status[number]) &&
		status.st_size > begin) {
		if (status.st_size - begin > (off_t)sizeof text - 1)
			begin = status.st_size - ((off_t)sizeof text - 1);
		size = pread(fd, text, sizeof text - 1, begin);
	}
	if (fd != -1)
		close(fd);
	if (size <= 0)
		return;
	if (text[size - 1] == '\n')
		size--;
	text[size] = '\0';
	for (from = text; from < text + size; from++)
		if (!*from)
			*from = '?';
	while (from > text && (from[-1] != '\n' || ++lines < LINES))
		from--;
	for (char *next; from; from = next) {
		next = strchr(from, '\n');
		if (next)
			*next++ = '\0';
		make_harmless(from);
		snprintf(line, sizeof line, "    %s\n", from);
		if (write_or_give_up(diagnostics.fd, line, strlen(line)) == -1)
			return;
	}
}

/* Standard error says why, where it has said anything. */
static void show_logs(const struct options *opt, const struct streams *streams)
{
	struct stat status;

	for (int i = STDERR_FILENO; i >= STDOUT_FILENO; i--)
		if (streams->log_size[i] >= 0 && stat(opt->stream[i], &status) == 0 &&
			status.st_size > streams->log_size[i]) {
			show_log(opt, streams, i);
			return;
		}
}

/* "exited with status 1 after 0.03 s", and what is known of the reason. */
static void complain_of_death(const struct readiness *r)
{
	static const char hint[] =
		": it seems to put itself in the background; tell it to stay in the foreground";
	const char *name = r->opt->name;
	char text[32], error[128] = "";
	const char *after = seconds_text(text, r->waited);
	const int status = r->death.si_status;

	if (r->notice.error)
		snprintf(error, sizeof error, " (%s)", strerror(r->notice.error));
	if (r->death.si_pid == 0)
		complain("%s ended after %s%s", name, after, error);
	else if (r->death.si_code != CLD_EXITED)
		complain("%s was killed by signal %d (%s) after %s%s", name, status,
			signal_name(status), after, error);
	else
		complain("%s exited with status %d after %s%s%s", name, status, after, error,
			status == 0 && r->waited < AT_ONCE ? hint : "");
}

static void complain_of(const struct readiness *r, enum verdict verdict)
{
	const char *name = r->opt->name;
	const char *colon = *r->notice.status ? ": " : "";
	char text[32], left[64] = "";

	if (!r->ended)
		snprintf(left, sizeof left, ", and pid %ld cannot be ended",
			(long)r->family->daemon);

	switch (verdict) {
	case DIED: complain_of_death(r); break;
	case TIMED_OUT:
		complain("gave up waiting: %s is not ready after %s%s%s%s", name,
			seconds_text(text, r->waited), left, colon, r->notice.status);
		break;
	case INTERRUPTED:
		complain("interrupted by signal %d (%s) while waiting for %s%s",
			(int)interrupted_by, signal_name((int)interrupted_by), name, left);
		break;
	case CLOSED:
		complain("%s closed file descriptor %d without having said that it is ready%s",
			name, r->opt->notify_fd, left);
		break;
	case ANOTHER_MAIN:
		complain(
			"%s names another process as its main one (MAINPID=%ld): tell it to stay in "
			"the foreground%s",
			name, (long)r->notice.main_pid, left);
		break;
	case WAITING:
	case READY: break;
	}
}

/* Whether a child of one of its threads runs a program, as far as is known. proc_pid_task(5) */
static bool process_has_program(pid_t pid)
{
	char text[4096];
	const struct dirent *entry;
	bool found = false;
	ssize_t size;
	DIR *threads;
	int fd;

	snprintf(text, sizeof text, "/proc/%ld/task", (long)pid);
	threads = opendir(text);
	if (!threads)
		return true;
	while (!found && (entry = readdir(threads))) {
		if (*entry->d_name == '.')
			continue;
		snprintf(text, sizeof text, "%.20s/children", entry->d_name);
		fd = openat(dirfd(threads), text, O_RDONLY | O_CLOEXEC);
		size = fd == -1 ? -1 : read(fd, text, sizeof text - 1);
		if (fd != -1)
			close(fd);
		found = size == -1;
		text[size > 0 ? size : 0] = '\0';
		for (char *word = text, *end; !found && *word; word = *end ? end + 1 : end) {
			const pid_t child = (pid_t)strtol(word, &end, 10);

			found = process_is_alive(child) && daemon_has_execed(child);
		}
	}
	closedir(threads);
	return found;
}

/*
 * Whether the one who said READY=1 may have more to say. systemd-notify(1) sends a second message,
 * sd_notify_barrier(3), and fails if we are gone by then; a daemon that speaks for itself does
 * not. But root's systemd-notify gives its parent's PID as its own.
 */
static bool has_more_to_say(const struct readiness *r)
{
	const struct sender *by = &r->notice.ready_by;

	if (r->notice.barrier)
		return false;
	if (by->pid == r->family->daemon)
		return by->uid == 0 && process_has_program(r->family->daemon);
	return by->pid <= 0 || process_is_alive(by->pid);
}

static void hear_out(struct readiness *r)
{
	const int64_t limit = deadline_in(HEAR_OUT);

	while (r->opt->notify && has_more_to_say(r) && clock_read(CLOCK_MONOTONIC) < limit)
		if (poll_until(r->ready_fd, deadline_in(NAP)))
			hear(r);
}

/* What the dead have sent is there, and ends; but others can go on. */
static void hear_last_words(struct readiness *r)
{
	const int64_t limit = deadline_in(HEAR_OUT);

	while (hear(r) && clock_read(CLOCK_MONOTONIC) < limit)
		;
}

/* Ends what has not become ready, and us, with the reason. */
static _Noreturn void fail_the_start(struct readiness *r, enum verdict verdict)
{
	r->waited = clock_read(CLOCK_MONOTONIC) - r->begun;
	/* Asked for now, since the end of its family may reap it. */
	if (waitid(P_PID, (id_t)r->family->daemon, &r->death, WEXITED | WNOHANG | WNOWAIT) == -1)
		r->death.si_pid = 0;
	if (r->watch_fd != -1)
		close(r->watch_fd); /* there may be too few for what follows */
	r->ended = end_family(r->family);
	if (r->opt->notify)
		hear_last_words(r);
	complain_of(r, verdict);
	if (verdict != INTERRUPTED)
		show_logs(r->opt, r->streams);
	bury(r->opt->pidfile, r->user, r->family);
	if (verdict == INTERRUPTED)
		die_of_signal((int)interrupted_by);
	exit(verdict == TIMED_OUT ? EXIT_GAVE_UP : EXIT_DIED);
}

/* Returns once the daemon is ready; or else ends it, and us, with the reason. */
static void await_ready_or_die(const struct options *opt, const struct family *family,
	const struct streams *streams, uid_t user, int ready_fd)
{
	const int64_t now = clock_read(CLOCK_MONOTONIC);
	struct readiness r = {.opt = opt,
		.family = family,
		.streams = streams,
		.user = user,
		.ready_fd = ready_fd,
		.watch_fd = process_watch(family->daemon),
		.begun = now,
		.lived_at = now + (opt->startsecs > 0 ? opt->startsecs : 0),
		.shown_at = isatty(STDERR_FILENO) ? now + NANOSECONDS : NEVER,
		.notice.deadline = opt->timeout >= 0 ? deadline_in(opt->timeout)
				   : ready_fd != -1  ? deadline_in(READY_TIMEOUT)
						     : NEVER};
	enum verdict verdict;
	sigset_t mask;

	catch_interrupts(on_interrupt, &mask);
	catch_child_ends(&mask);
	verdict = await_ready(&r, &mask);
	/* A pipe is closed a moment before its owner is known to be dead. */
	if (verdict == CLOSED) {
		const int64_t limit = deadline_in(POLL_INTERVAL);

		while (!has_died(family->daemon) && clock_read(CLOCK_MONOTONIC) < limit)
			nap(NAP);
		verdict = has_died(family->daemon) ? DIED : CLOSED;
	}
	progress_erase(&r);
	if (verdict == READY)
		hear_out(&r);
	else
		fail_the_start(&r, verdict);
}

/* ---- A start, from its options to its verdict ---------------------------------------------- */

static int print_or_die(const char *text)
{
	if (fputs(text, stdout) == EOF || fflush(stdout) == EOF || ferror(stdout))
		die(EXIT_SETUP, "cannot write to standard output: %s", strerror(errno));
	return EXIT_UP;
}

/* Complains if it cannot. */
static bool print_pid(pid_t pid)
{
	char text[16];
	int size = snprintf(text, sizeof text, "%ld\n", (long)pid);

	if (write_or_give_up(STDOUT_FILENO, text, (size_t)size) == size)
		return true;
	if (!interrupted_by)
		complain("cannot print the PID: %s", strerror(errno));
	return false;
}

/* What we write to must not be what we are to execute: "-p app ./app". */
static void not_the_command_or_die(const struct plan *plan, const char *path)
{
	const struct options *opt = plan->opt;
	char inside[PATH_MAX] = "";

	if (opt->root && strchr(opt->command[0], '/'))
		snprintf(inside, sizeof inside, "%s/%s", opt->root, opt->command[0]);
	if (same_path(path, opt->root ? inside : plan->path))
		die_usage("'%s' is the command", path);
}

/* From a directory outside, openat(2) leads out of the root directory of -R. */
static void check_kept_fds(const struct options *opt)
{
	static const char message[] =
		"cannot keep file descriptor %d: with -R, it must not be a directory";

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (opt->stream[fd] && !strcmp(opt->stream[fd], "-") && is_directory(fd))
			die(EXIT_SETUP, message, fd);
	for (size_t i = 0; i < opt->keep.count; i++)
		if (is_directory(opt->keep.fd[i]))
			die(EXIT_SETUP, message, opt->keep.fd[i]);
}

/* All that can fail in front of the user, before anything on disk has changed. */
static void check_paths(const struct plan *plan)
{
	const struct options *opt = plan->opt;
	struct stat status;

	if (is_file(opt, STDIN_FILENO) && access(opt->stream[STDIN_FILENO], R_OK) == -1)
		die(EXIT_SETUP, "cannot open '%s': %s", opt->stream[STDIN_FILENO], strerror(errno));
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		if (is_file(opt, i) && opt->pidfile && same_path(opt->stream[i], opt->pidfile))
			die_usage("'%s' is the pidfile", opt->stream[i]);
	for (int i = STDOUT_FILENO; i <= STDERR_FILENO; i++)
		if (is_file(opt, i)) {
			not_the_command_or_die(plan, opt->stream[i]);
			path_writable_or_die("log", opt->stream[i]);
			check_disk_or_die(opt->stream[i], opt->truncate);
		}
	if (opt->pidfile) {
		not_the_command_or_die(plan, opt->pidfile);
		path_writable_or_die("pidfile", opt->pidfile);
	}
	if (opt->lockfile && access(opt->lockfile, R_OK) == -1)
		path_writable_or_die("lock file", opt->lockfile);
	if (opt->root)
		check_kept_fds(opt);
	errno = ENOTDIR;
	if (opt->root && (stat(opt->root, &status) == -1 || !S_ISDIR(status.st_mode)))
		die_of_step(&plan->objects, STEP_CHROOT, errno);
	if (!opt->root && opt->directory &&
		(stat(opt->directory, &status) == -1 ? !may_enter_later(plan, errno)
						     : !S_ISDIR(status.st_mode)))
		die_of_step(&plan->objects, STEP_CHDIR, errno);
}

static _Noreturn void start_in_foreground(struct plan *plan)
{
	char parent[PATH_MAX];

	prepare_keep(plan);
	/* Kept from the close of all fds; exec closes them. */
	diagnostics.fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (diagnostics.fd == -1)
		diagnostics.fd = STDERR_FILENO;
	else
		fds_insert(&plan->keep, diagnostics.fd);
	if (plan->opt->pidfile) {
		path_parent(parent, plan->opt->pidfile);
		plan->pidfile_parent_fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (plan->pidfile_parent_fd == -1)
			die_of_step(&plan->objects, STEP_PIDFILE_OPEN, errno);
		fds_insert(&plan->keep, plan->pidfile_parent_fd);
	}
	if (plan->opt->print_pid && !print_pid(getpid()))
		exit(EXIT_SETUP);
	if (plan->opt->pidfile)
		process_name_starting();
	become_daemon(plan);
}

/* pid_namespaces(7): the kernel would kill the daemon as soon as we exit. */
static void refuse_to_detach_as_first(const struct plan *plan)
{
	if (plan->launcher == 1 && !plan->opt->foreground)
		die(EXIT_SETUP, "%s",
			"cannot detach: this is the first process of a PID namespace, which ends "
			"with it: use -f");
}

/* The daemon is up, but we cannot say so: it is ended. */
static _Noreturn void give_up(const struct options *opt, const struct identity *id,
	const struct family *family)
{
	if (!end_family(family))
		complain("pid %ld cannot be ended", (long)family->daemon);
	if (interrupted_by)
		complain("interrupted by signal %d (%s) while starting %s", (int)interrupted_by,
			signal_name((int)interrupted_by), opt->name);
	bury(opt->pidfile, id->uid, family);
	if (interrupted_by)
		die_of_signal((int)interrupted_by);
	exit(EXIT_SETUP);
}

/* Whether the caller has children from before the exec that made it us. */
static bool has_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static struct objects objects_of(const struct options *opt)
{
	return (struct objects){.pidfile = opt->pidfile,
		.root = opt->root,
		.directory = opt->directory ? opt->directory : "/",
		.user = opt->user ? opt->user : opt->group,
		.command = opt->name};
}

static int start(const struct options *opt, unsigned int missing_fds)
{
	const bool waits = waits_for_readiness(opt);
	struct plan plan = {.opt = opt,
		.objects = objects_of(opt),
		.streams = {.fd = {-1, -1, -1}, .log_size = {-1, -1, -1}},
		.flock_fd = -1,
		.channel_fd = -1,
		.lock_fd = -1,
		.ready_write_fd = -1,
		.launcher = getpid(),
		.instance = {.opt = opt, .objects = &plan.objects, .user = &plan.id.uid}};
	struct attempt attempt = {.family = {.daemon = 0}};
	enum step failed;
	int ready_fd = -1;

	refuse_to_detach_as_first(&plan);
	/* The number is taken, so that no file that we open gets it. */
	if (opt->notify_fd != -1 && fcntl(opt->notify_fd, F_GETFD) == -1 &&
		dup2(STDIN_FILENO, opt->notify_fd) == -1)
		die(EXIT_SETUP, "cannot use file descriptor %d: %s", opt->notify_fd,
			strerror(errno));
	if (opt->print_pid && missing_fds & 1U << STDOUT_FILENO)
		die(EXIT_SETUP, "%s", "cannot print the PID: standard output is closed");
	plan.instance.deadline = opt->if_running == IF_RUNNING_WAIT ? deadline_in(opt->wait) : 0;
	environment_clean();
	if (has_loggers(opt)) {
		environment_set_or_die(opt->env, opt->n_env);
		caller.environment = environment_copy_or_die();
	}
	failed = identity_resolve(opt, &plan.id); /* which sets HOME and the like, below -E */
	if (failed)
		die_of_step(&plan.objects, failed, errno);
	environment_set_or_die(opt->env, opt->n_env);
	if (!opt->root)
		plan.objects.file = plan.path;
	failed = command_resolve(opt, plan.id.change, plan.path);
	if (failed)
		die_of_step(&plan.objects, failed, errno);
	caller.umask = umask(opt->umask);
	if (opt->if_running == IF_RUNNING_WAIT)
		check_paths(&plan); /* not only after the wait */
	if (opt->pidfile)
		settle_pidfile(&plan.instance);
	check_paths(&plan);
	if (opt->pidfile)
		pidfile_name_draft(plan.draft, opt->pidfile);
	open_streams_or_die(opt, &plan.streams, false);
	if (opt->lockfile && !(opt->pidfile && same_path(opt->pidfile, opt->lockfile))) {
		plan.flock_fd = take_flock_or_die(&plan.instance);
		if (opt->if_running == IF_RUNNING_WAIT)
			reopen_streams_or_die(opt, &plan.streams);
	}
	open_streams_or_die(opt, &plan.streams, true);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a pidfile beyond RLIMIT_FSIZE is an error like any other */
	signal(SIGCHLD, SIG_DFL); /* an ignored SIGCHLD would reap our children unseen */
	if (!opt->foreground) {
		become_subreaper();
		if (waits || opt->print_pid || has_loggers(opt))
			attempt.family.adopts = !has_children();
		if (opt->notify)
			ready_fd = notify_open_or_die(opt->root, &plan.id);
		if (opt->notify_fd != -1)
			ready_fd = notify_pipe_or_die(&plan.ready_write_fd);
	}
	if (has_loggers(opt))
		start_loggers_or_die(opt, &plan.streams);
	if (opt->foreground)
		start_in_foreground(&plan);
	while (!launch(&plan, &attempt)) {
		settle_pidfile(&plan.instance);
		reopen_streams_or_die(opt, &plan.streams);
	}
	if (plan.ready_write_fd != -1)
		close(plan.ready_write_fd); /* or else the daemon's close would not be seen */
	if (waits)
		await_ready_or_die(opt, &attempt.family, &plan.streams, plan.id.uid, ready_fd);
	/* An interrupt has come by now only if a message or the PID could not be written. */
	if (interrupted_by || logger_ends(0, "before the daemon was up") ||
		(opt->print_pid && !print_pid(attempt.family.daemon)))
		give_up(opt, &plan.id, &attempt.family);
	verbose("'%s' is up (pid %ld)", opt->name, (long)attempt.family.daemon);
	loggers_let_go();
	return EXIT_UP;
}

/* ---- Control: --status, --signal, --stop --------------------------------------------------- *
 *
 * Who is meant is what the kernel says of the lock. The process is pinned by a pidfd before it
 * is asked for a second time, so that the signal cannot hit another that got its PID meanwhile.
 */

struct target {
	const char *path;
	struct owner owner;
	int watch_fd; /* -1: none, or not yet */
	bool signalled;
	bool ended;
	int status; /* the exit status for this one */
};

static void complain_of_step(const char *path, enum step step)
{
	complain("cannot %s '%s': %s", steps[step].verb, path, step_why(step, errno));
}

/* ", user www, since 2026-01-31 12:00:00 (3661 s), command: server --port 80" */
static void describe_process(pid_t pid, char *text, size_t size)
{
	struct process process;
	char path[64], command[512], since[32] = "";
	const struct passwd *user;
	uid_t uid;
	time_t begun;
	int64_t now = clock_read(CLOCK_BOOTTIME), start;
	ssize_t length;
	int fd;

	*text = '\0';
	snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)pid);
	if (!process_read(pid, &process) || !process_user(pid, &uid) ||
		(fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return;
	length = read(fd, command, sizeof command - 1);
	close(fd);
	length = length < 0 ? 0 : length;
	for (ssize_t i = 0; i < length; i++)
		if (iscntrl((unsigned char)command[i]))
			command[i] = ' ';
	while (length > 0 && command[length - 1] == ' ')
		length--;
	command[length] = '\0';
	start = (int64_t)process.start * (NANOSECONDS / sysconf(_SC_CLK_TCK));
	begun = (time_t)((clock_read(CLOCK_REALTIME) - now + start) / NANOSECONDS);
	strftime(since, sizeof since, "%Y-%m-%d %H:%M:%S", localtime(&begun));
	user = getpwuid(uid);
	snprintf(path, sizeof path, "%lu", (unsigned long)uid);
	snprintf(text, size, ", user %s, since %s (%lld s), command: %s",
		user ? user->pw_name : path, since, (long long)((now - start) / NANOSECONDS),
		command);
}

static int status_of(const struct options *opt, const char *path)
{
	char details[1024] = "", line[PATH_MAX + sizeof details + 64];
	char who[32];
	const bool several = opt->n_pidfiles > 1;
	struct owner owner;
	enum step step = pidfile_look_settled(path, NULL, BUSY_LIMIT, &owner);
	size_t size;

	if (step) {
		complain_of_step(path, step);
		return LSB_UNKNOWN;
	}
	if (owner.state == PIDFILE_ORPHANED) {
		complain("the daemon of '%s' is gone (pid %ld), but a child of it holds its lock",
			path, (long)owner.pid);
		return LSB_UNKNOWN;
	}
	if (diagnostics.verbose && owner_runs(&owner) && owner.pid)
		describe_process(owner.pid, details, sizeof details);
	size = (size_t)snprintf(line, sizeof line, "%s%s", several ? path : "",
		several ? ": " : "");
	if (owner_runs(&owner))
		snprintf(line + size, sizeof line - size, "running (%s)%s",
			owner_text(who, owner.pid), details);
	else
		snprintf(line + size, sizeof line - size, "not running%s",
			owner.state == PIDFILE_STALE ? ", stale pidfile" : "");
	make_harmless(line);
	puts(line);
	if (owner_runs(&owner))
		return LSB_RUNNING;
	return owner.state == PIDFILE_STALE ? LSB_DEAD : LSB_NOT_RUNNING;
}

static int control_status(const struct options *opt)
{
	int worst = LSB_RUNNING;

	for (size_t i = 0; i < opt->n_pidfiles; i++) {
		int status = status_of(opt, opt->pidfiles[i]);

		worst = status > worst ? status : worst;
	}
	print_or_die("");
	return worst;
}

/* Looks at the pidfile; false, and said why, if it names nobody who may be signalled. */
static bool target_look(struct target *target)
{
	struct owner *owner = &target->owner;
	enum step step = pidfile_look_settled(target->path, NULL, BUSY_LIMIT, owner);

	if (step)
		complain_of_step(target->path, step);
	else if (!owner_runs(owner))
		target->ended = true;
	else if (owner->pid == 0)
		complain("cannot signal the daemon of '%s': it is in another PID namespace",
			target->path);
	else if (owner->state == PIDFILE_CHANGING)
		complain(
			"cannot signal the daemon of '%s': pid %ld has the pidfile locked, and is none",
			target->path, (long)owner->pid);
	else
		return true;
	return false;
}

/*
 * Finds and pins the process; false, and said why, where there is none that may be signalled. It is
 * looked at and judged once it is pinned: so its PID cannot have changed hands since.
 */
static bool target_find(struct target *target)
{
	const char *doubt;
	pid_t pid;

	target->watch_fd = -1;
	target->status = EXIT_SETUP;
	if (!target_look(target))
		return false;
	pid = target->owner.pid;
	target->watch_fd = process_watch(pid);
	if (!target_look(target))
		return false;
	if (target->owner.pid != pid) {
		target->ended = true;
		target->owner.state = PIDFILE_ABSENT; /* for us: the file is another's by now */
		return false;
	}
	doubt = owner_doubt(&target->owner);
	if (doubt)
		complain("cannot signal pid %ld: '%s' is not to be believed: %s", (long)pid,
			target->path, doubt);
	return !doubt;
}

static bool target_signal(struct target *target, int number)
{
	if (process_signal(target->watch_fd, target->owner.pid, number) == 0) {
		verbose("sent signal %d (%s) to pid %ld", number, signal_name(number),
			(long)target->owner.pid);
		return target->signalled = true;
	}
	if (errno == ESRCH)
		return target->ended = true;
	complain("cannot signal pid %ld: %s", (long)target->owner.pid, strerror(errno));
	return false;
}

/* Two names can be of one daemon, which is told once. */
static bool was_signalled(const struct target *targets, size_t count, pid_t pid)
{
	for (size_t i = 0; i < count; i++)
		if (targets[i].signalled && targets[i].owner.pid == pid)
			return true;
	return false;
}

/* Finds and signals the daemons of all pidfiles, each of which stays pinned. */
static struct target *signal_targets_or_die(const struct options *opt, int number)
{
	struct target *targets = allocate_or_die(opt->n_pidfiles, sizeof *targets);
	struct rlimit limit;

	/* An fd for each. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	for (size_t i = 0; i < opt->n_pidfiles; i++) {
		struct target *target = &targets[i];

		target->path = opt->pidfiles[i];
		if (!target_find(target))
			continue;
		if (was_signalled(targets, i, target->owner.pid))
			target->signalled = true;
		else
			target_signal(target, number);
	}
	return targets;
}

static int control_signal(const struct options *opt)
{
	struct target *targets = signal_targets_or_die(opt, opt->signal);
	int worst = EXIT_UP;

	for (size_t i = 0; i < opt->n_pidfiles; i++) {
		if (targets[i].ended)
			complain("cannot signal the daemon of '%s': not running", targets[i].path);
		if (!targets[i].signalled)
			worst = EXIT_SETUP;
	}
	free(targets);
	return worst;
}

/* Waits side by side until all have ended, or the deadline. */
static void await_targets(struct target *targets, size_t count, int64_t deadline)
{
	struct pollfd *events = allocate_or_die(count, sizeof *events);
	int64_t left;
	bool all_watched = true, waiting = true;

	while (waiting) {
		waiting = false;
		for (size_t i = 0; i < count; i++) {
			struct target *target = &targets[i];

			events[i] = (struct pollfd){.fd = -1, .events = POLLIN};
			if (!target->signalled || target->ended)
				continue;
			target->ended = target->watch_fd != -1
						? poll_until(target->watch_fd, 0)
						: !process_is_alive(target->owner.pid);
			events[i].fd = target->ended ? -1 : target->watch_fd;
			all_watched &= target->watch_fd != -1;
			waiting |= !target->ended;
		}
		left = deadline == NEVER ? NEVER : deadline - clock_read(CLOCK_MONOTONIC);
		if (!waiting || left <= 0)
			break;
		if (!all_watched)
			left = earliest(left, POLL_INTERVAL);
		if (poll(events, (nfds_t)count, poll_timeout(left)) == -1)
			nap(NAP); /* there are more than RLIMIT_NOFILE allows */
	}
	free(events);
}

static int target_finish(const struct target *target, int64_t waited)
{
	char text[32];

	/* Without rights to the file it stays: stale, which harms nobody. */
	if (target->ended) {
		if (!target->signalled)
			verbose("'%s': not running", target->path);
		if (target->owner.state != PIDFILE_ABSENT)
			pidfile_remove(target->path, NULL, target->owner.number);
		return EXIT_UP;
	}
	if (!target->signalled)
		return target->status;
	complain("gave up waiting: still running (pid %ld) after %s", (long)target->owner.pid,
		seconds_text(text, waited));
	return EXIT_GAVE_UP;
}

static int control_stop(const struct options *opt)
{
	const int64_t timeout = opt->timeout >= 0 ? opt->timeout : STOP_TIMEOUT;
	const int64_t begun = clock_read(CLOCK_MONOTONIC);
	struct target *targets = signal_targets_or_die(opt, SIGTERM);
	int worst = EXIT_UP;

	/* Who is stopped would not see the TERM. */
	for (size_t i = 0; i < opt->n_pidfiles; i++)
		if (targets[i].signalled && !targets[i].ended)
			process_signal(targets[i].watch_fd, targets[i].owner.pid, SIGCONT);
	if (opt->kill_after >= 0) {
		await_targets(targets, opt->n_pidfiles, deadline_in(opt->kill_after));
		for (size_t i = 0; i < opt->n_pidfiles; i++)
			if (targets[i].signalled && !targets[i].ended)
				target_signal(&targets[i], SIGKILL);
	}
	await_targets(targets, opt->n_pidfiles, deadline_in(timeout));
	for (size_t i = 0; i < opt->n_pidfiles; i++) {
		int status = target_finish(&targets[i], clock_read(CLOCK_MONOTONIC) - begun);

		worst = status > worst ? status : worst;
	}
	free(targets);
	return worst;
}

/* ---- Help, version, main ------------------------------------------------------------------ */

static const char help[] =
	"Usage: daemonize [option ...] [--] command [argument ...]\n"
	"       daemonize --status | --stop | --signal SIG  -p FILE ...\n"
	"Runs command as a daemon. Exit status 0 means that it is up.\n"
	"\n"
	"One instance:\n"
	"  -p, --pidfile FILE         the PID, and a lock; a second start is refused\n"
	"  -r, --refuse-if-running    where it runs already: exit 3 (the default)\n"
	"      --ok-if-running        where it runs already: exit 0, in silence\n"
	"  -w, --wait-if-running SEC  where it runs already: wait for its end (or inf)\n"
	"  -l, --lock FILE            hold an flock(2) on FILE\n"
	"Streams (default /dev/null) and file descriptors:\n"
	"  -i, --stdin FILE           standard input; '-' keeps the caller's\n"
	"  -o, --stdout FILE          standard output;  -e, --stderr FILE for errors\n"
	"  -O, --output FILE          both;  '|command' in place of FILE pipes to it\n"
	"  -a, --append, --truncate   add to logs (the default), or empty them first\n"
	"  -k, --keep-fd LIST         leave these open: 3,5-7\n"
	"State of the daemon:\n"
	"  -c, --chdir DIR            working directory (/);  -R, --chroot DIR\n"
	"  -u, --user USER[:GROUP]    and its groups;  -g, --group GROUP\n"
	"  -m, --umask MODE           octal (022);  --no-core: no core dumps\n"
	"  -E, --env NAME=VALUE       set in the environment; repeatable\n"
	"      --ignore-signal LIST, --default-signal LIST    HUP,USR1\n"
	"  -f, --foreground           all of it but fork and setsid\n"
	"Ready before exit 0:\n"
	"  -s, --startsecs SEC        it must live that long\n"
	"      --notify               it says READY=1, as in sd_notify(3)\n"
	"      --notify-fd N          it writes a newline to file descriptor N\n"
	"  -t, --timeout SEC          at most that long (60; --stop: 10)\n"
	"Control, with -p FILE, one or more:\n"
	"      --status               running, dead (1), not running (3);  -v tells more\n"
	"      --stop                 TERM, and wait;  --kill-after SEC: then KILL\n"
	"      --signal SIG           send SIG\n"
	"  -P, --print-pid;  -v, --verbose;  -h, --help;  -V, --version\n"
	"\n"
	"Exit status: 0 up; 1 could not be set up; 2 usage; 3 already running; 4 died\n"
	"  at start; 124 gave up waiting; 126 cannot be executed; 127 not found\n"
	"Examples:\n"
	"  daemonize -p app.pid -O app.log ./server --port 8080\n"
	"  daemonize --ok-if-running -p /run/app.pid -u www -- /usr/local/bin/app\n"
	"  daemonize -s 2 -p app.pid ./server && daemonize --stop -p app.pid\n";

/* Dies if we run with another's privileges: a start would make anybody root, a stop reach anybody's daemon. */
static void refuse_set_user_id(void)
{
	if (getuid() != geteuid() || getgid() != getegid())
		die(EXIT_SETUP, "%s", "will not run set-user-ID or set-group-ID");
}

int main(int argc, char **argv)
{
	struct options opt;
	unsigned int missing_fds;

	options_parse(&opt, argc, argv); /* opens nothing */
	missing_fds = ensure_standard_fds();
	if (opt.mode != MODE_HELP && opt.mode != MODE_VERSION)
		refuse_set_user_id();
	switch (opt.mode) {
	case MODE_HELP: return print_or_die(help);
	case MODE_VERSION: return print_or_die("daemonize " VERSION "\n");
	case MODE_STATUS: return control_status(&opt);
	case MODE_STOP: return control_stop(&opt);
	case MODE_SIGNAL: return control_signal(&opt);
	case MODE_START: break;
	}
	return start(&opt, missing_fds);
}
