/*
 * floor PIDFILE COMMAND [ARGUMENT ...]: the least program that does a daemonizer's work, and knows
 * that it has been done. What it leaves out is all that a user has of one: no options, no checks,
 * no message, no stale pidfile, no signals reset. Every other daemonizer is measured against it.
 *
 * -DFORK=fork does it with fork(2), the default is vfork(2).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef FORK
#define FORK vfork
#endif

/* As daemonize has it: the flag is set from fork to exec, also of a zombie. proc_pid_stat(5) */
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

static _Noreturn void become_daemon(const char *pidfile, char **command, int channel)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	const pid_t pid = getpid();
	char text[16];
	int size, fd;

	if (write(channel, &pid, sizeof pid) != sizeof pid)
		_exit(EXIT_FAILURE);
	fd = open("/dev/null", O_RDWR);
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		dup2(fd, i);
	/* The channel has the highest number of ours; what the caller has left open is above it too. */
	syscall(SYS_close_range, STDERR_FILENO + 1, channel - 1, 0);
	syscall(SYS_close_range, channel + 1, ~0U, 0);
	fd = open(pidfile, O_RDWR | O_CREAT, 0644);
	size = sprintf(text, "%d\n", (int)pid);
	if (fcntl(fd, F_SETLK, &lock) == -1 || write(fd, text, (size_t)size) != size)
		_exit(EXIT_FAILURE);
	if (chdir("/") == 0)
		execv(command[0], command);
	_exit(EXIT_FAILURE);
}

static _Noreturn void detach(const char *pidfile, char **command, int channel)
{
	setsid();
	if (FORK() == 0)
		become_daemon(pidfile, command, channel);
	_exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
	pid_t middle, daemon = 0;
	int channel[2];

	if (argc < 3 || pipe2(channel, O_CLOEXEC) == -1)
		return EXIT_FAILURE;
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	middle = FORK();
	if (middle == 0)
		detach(argv[1], argv + 2, channel[1]);
	close(channel[1]);
	if (read(channel[0], &daemon, sizeof daemon) != sizeof daemon ||
		read(channel[0], &(char){0}, 1) != 0)
		return EXIT_FAILURE;
	waitpid(middle, NULL, 0);
	return has_execed(daemon) ? EXIT_SUCCESS : EXIT_FAILURE;
}
