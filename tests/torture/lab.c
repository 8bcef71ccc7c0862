#define _GNU_SOURCE
#include "lab.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { HUNG_AFTER = 20 /* seconds */ };

char lab_directory[PATH_MAX], lab_program[PATH_MAX], lab_idle[PATH_MAX];

_Noreturn void fail(const char *what)
{
	fprintf(stderr, "torture: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static void copy_program(const char *from, const char *to)
{
	const pid_t pid = fork();
	int status;

	if (pid == 0) {
		execlp("cp", "cp", from, to, (char *)NULL);
		fail("cp");
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		fail(to);
}

void lab_make(const char *program, const char *idle)
{
	const char *parent = getenv("TMPDIR");

	if (!realpath(program, lab_program))
		fail(program);
	if (!realpath(idle, lab_idle))
		fail(idle);
	snprintf(lab_directory, PATH_MAX, "%s/daemonize.XXXXXX", parent ? parent : "/tmp");
	umask(022);
	if (!mkdtemp(lab_directory) || chdir(lab_directory) == -1 || chmod(".", 0755) == -1 ||
		!getcwd(lab_directory, PATH_MAX))
		fail(lab_directory);
	copy_program(lab_idle, "idle");
	snprintf(lab_idle, PATH_MAX, "%.*s/idle", PATH_MAX - 8, lab_directory);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
}

size_t remove_drafts(void)
{
	DIR *list = opendir(".");
	const struct dirent *entry;
	size_t count = 0;

	if (!list)
		fail(lab_directory);
	while ((entry = readdir(list)))
		if (!strncmp(entry->d_name, "pid.", 4))
			count += unlink(entry->d_name) == 0;
	closedir(list);
	return count;
}

/* By name, never whatever is there: a directory may be the root of another tree by now. */
void lab_remove(void)
{
	static const char *const names[] = {"dir", "err", "group", "idle", "idle.run", "idle.two",
		"input", "junk", "kept", "lock", "log", "log2", "nsswitch.conf", "out", "passwd",
		"pid", "rival", "root/idle", "root", "script"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		remove(names[i]);
	remove_drafts();
	if (chdir("/") == -1 || rmdir(lab_directory) == -1)
		fail(lab_directory);
}

void read_text(const char *path, char text[LAB_TEXT])
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = 0, more;

	while (fd != -1 && (more = read(fd, text + size, (size_t)(LAB_TEXT - 1 - size))) > 0)
		size += more;
	if (fd != -1)
		close(fd);
	text[size] = '\0';
	for (ssize_t i = 0; i < size - 1; i++)
		if (text[i] == '\0')
			text[i] = ' ';
}

void write_text(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd == -1 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail(path);
	close(fd);
}

void nap(long microseconds)
{
	nanosleep(&(struct timespec){microseconds / 1000000, microseconds % 1000000 * 1000}, NULL);
}

static void on_timer(int number)
{
	(void)number;
}

void limit_wait(bool limited)
{
	const struct sigaction action = {.sa_handler = on_timer};

	sigaction(SIGALRM, &action, NULL);
	alarm(limited ? HUNG_AFTER : 0);
}

int await(pid_t pid)
{
	int status = -1;

	limit_wait(true);
	if (waitpid(pid, &status, 0) == -1 && errno == EINTR) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	limit_wait(false);
	return status;
}

/* Adds the children of a process to the list; returns how many it then has. */
static size_t add_children(pid_t parent, pid_t pids[LAB_MOST_CHILDREN], size_t count)
{
	char path[64], text[LAB_TEXT], *next;

	snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)parent, (long)parent);
	read_text(path, text);
	for (char *word = text; count < LAB_MOST_CHILDREN; word = next) {
		pids[count] = (pid_t)strtol(word, &next, 10);
		if (next == word)
			break;
		count++;
	}
	return count;
}

size_t living(pid_t pids[LAB_MOST_CHILDREN])
{
	size_t count;

	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	count = add_children(getpid(), pids, 0);
	for (size_t i = 0; i < count; i++)
		count = add_children(pids[i], pids, count);
	return count;
}

void end(pid_t pid)
{
	if (pid > 0 && kill(pid, SIGKILL) == 0)
		waitpid(pid, NULL, 0);
}

/* Again and again, until there are none: a process that dies may leave us its children. */
void end_all(void)
{
	pid_t pids[LAB_MOST_CHILDREN];

	for (size_t count; (count = living(pids)) > 0;)
		while (count > 0)
			end(pids[--count]);
}

struct flock pidfile_lock(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	const int fd = open("pid", O_RDONLY | O_CLOEXEC);

	if (fd == -1 || fcntl(fd, F_GETLK, &lock) == -1)
		lock.l_type = F_UNLCK;
	if (fd != -1)
		close(fd);
	return lock;
}

pid_t pidfile_number(void)
{
	char text[LAB_TEXT];

	read_text("pid", text);
	return (pid_t)strtol(text, NULL, 10);
}
