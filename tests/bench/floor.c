/*
 * floor PIDFILE COMMAND [ARGUMENT ...]: the least program that does a daemonizer's work honestly,
 * and knows that it has been done. Every other daemonizer is measured against it. It leaves out
 * what makes one usable: options, a search of PATH, an identity, a log, messages; but nothing that
 * a daemon or the next start would miss. It
 *
 *   - makes sure that fds 0 to 2 are open;
 *   - makes sure that the command can be executed, and that the pidfile can be written;
 *   - checks whether the pidfile exists, and who holds it, before it forks;
 *   - sets the umask;
 *   - detaches: a session, two forks, "/", /dev/null, no other fd, no signal ignored or blocked;
 *   - follows no symbolic link to a pidfile, and writes to no other kind of file, nor to one with
 *     two names;
 *   - locks the file of that name, makes sure that it still has the name, and reads the PID;
 *   - makes a new file that nobody else can have open, whatever the umask, locks it for reading,
 *     on an fd that cannot be written to, and renames it into place;
 *   - learns from a pipe and from the kernel that the command has been executed.
 *
 * -DFORK=fork does it with fork(2), the default is vfork(2).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef FORK
#define FORK vfork
#endif

/* As in daemonize: the flag is set from fork to exec, also for a zombie. proc_pid_stat(5) */
static bool has_execed(pid_t pid)
{
	enum { FLAGS = 9, FORKED_NO_EXEC = 0x40 };
	char text[512], *word;
	ssize_t size;
	int fd;

	sprintf(text, "/proc/%d/stat", (int)pid);
	fd = open(text, O_RDONLY);
	size = read(fd, text, sizeof text - 1);
	text[size > 0 ? size : 0] = '\0';
	word = strrchr(text, ')');
	for (int field = 2; word && field < FLAGS; field++)
		word = strchr(word + 1, ' ');
	return word && !(strtoul(word, NULL, 10) & FORKED_NO_EXEC);
}

static void must(bool done)
{
	if (!done)
		_exit(EXIT_FAILURE);
}

/* Returns the fd. */
static int lock(int fd, short type)
{
	must(fd != -1 &&
		fcntl(fd, F_SETLK, &(struct flock){.l_type = type, .l_whence = SEEK_SET}) == 0);
	return fd;
}

static void take_pidfile(const char *pidfile, const char *draft)
{
	struct stat old, now;
	char text[32];
	int size, fd;

	fd = open(pidfile, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1)
		fd = open(pidfile, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	must(fd != -1 && fstat(fd, &old) == 0 && S_ISREG(old.st_mode) && old.st_nlink == 1);
	lock(fd, F_WRLCK);
	must(stat(pidfile, &now) == 0 && now.st_ino == old.st_ino && now.st_dev == old.st_dev);
	size = (int)pread(fd, text, sizeof text - 1, 0);
	text[size > 0 ? size : 0] = '\0';
	must(atoi(text) == 0 || kill(atoi(text), 0) == -1);
	fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	size = sprintf(text, "%d\n", (int)getpid());
	must(fd != -1 && fchmod(fd, 0644) == 0 && write(fd, text, (size_t)size) == size);
	lock(open(draft, O_RDONLY | O_NOFOLLOW), F_RDLCK);
	must(rename(draft, pidfile) == 0);
}

static _Noreturn void become_daemon(const char *pidfile, const char *draft, char **command,
	int channel)
{
	const pid_t pid = getpid();
	sigset_t none;
	int fd;

	must(write(channel, &pid, sizeof pid) == sizeof pid);
	must(setpgid(0, 0) == 0);
	fd = open("/dev/null", O_RDWR);
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		dup2(fd, i);
	/* The channel's is the highest of our fds; what the caller left open may be above it. */
	syscall(SYS_close_range, STDERR_FILENO + 1, channel - 1, 0);
	syscall(SYS_close_range, channel + 1, ~0U, 0);
	take_pidfile(pidfile, draft);
	must(chdir("/") == 0);
	for (int i = 1; i < NSIG; i++)
		sigaction(i, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(command[0], command);
	_exit(EXIT_FAILURE);
}

static _Noreturn void detach(const char *pidfile, const char *draft, char **command, int channel)
{
	must(setsid() != -1);
	if (FORK() == 0)
		become_daemon(pidfile, draft, command, channel);
	_exit(EXIT_SUCCESS);
}

/* Whether a start can go on: nobody holds the pidfile, and its directory takes a new file. */
static bool is_free(const char *pidfile)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(pidfile, '/');
	struct stat status;

	if (stat(pidfile, &status) == 0)
		return access(pidfile, W_OK) == 0; /* become_daemon() judges it */
	sprintf(parent, "%.*s", slash ? (int)(slash - pidfile) + 1 : 1, slash ? pidfile : ".");
	return access(parent, W_OK | X_OK) == 0;
}

int main(int argc, char **argv)
{
	char draft[PATH_MAX];
	struct timespec now;
	struct stat status;
	pid_t middle, daemon = 0;
	int channel[2];

	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		must(fcntl(i, F_GETFD) != -1);
	if (argc < 3 || strlen(argv[1]) > sizeof draft - 32 || stat(argv[2], &status) == -1 ||
		!S_ISREG(status.st_mode) || access(argv[2], X_OK) == -1 || !is_free(argv[1]) ||
		pipe2(channel, O_CLOEXEC) == -1)
		return EXIT_FAILURE;
	clock_gettime(CLOCK_REALTIME, &now);
	sprintf(draft, "%s.%lx%09lx", argv[1], (long)now.tv_sec, now.tv_nsec);
	umask(022);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	middle = FORK();
	if (middle == 0)
		detach(argv[1], draft, argv + 2, channel[1]);
	close(channel[1]);
	if (read(channel[0], &daemon, sizeof daemon) != sizeof daemon ||
		read(channel[0], &(char){0}, 1) != 0)
		return EXIT_FAILURE;
	waitpid(middle, NULL, 0);
	return has_execed(daemon) ? EXIT_SUCCESS : EXIT_FAILURE;
}
