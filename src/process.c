#include "features.h"

#include "process.h"

#include "clock.h"
#include "paths.h"
#include "system.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum seen process_has_open(pid_t pid, int likely, const struct stat *file)
{
	enum seen seen = SEEN_NOT;
	struct process process;
	const struct dirent *entry;
	struct stat status;
	char path[64];
	DIR *list;

	/* The likely one first: others may be on a file system that does not answer. */
	snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)pid, likely);
	if (!process_read(pid, &process))
		return kill(pid, 0) == -1 && errno == ESRCH ? SEEN_NOT : UNSEEN;
	if (process.state == 'Z') /* its other threads may still have the fds */
		return process.threads > 1 ? UNSEEN : SEEN_NOT;
	if (stat(path, &status) == 0 && same_file(&status, file))
		return SEEN;
	snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
	list = opendir(path);
	if (!list)
		return UNSEEN;
	while (seen != SEEN && (errno = 0, entry = readdir(list)))
		if (fstatat(dirfd(list), entry->d_name, &status, 0) == 0)
			seen = same_file(&status, file) ? SEEN : seen;
		else if (errno != ENOENT) /* closed meanwhile */
			seen = UNSEEN;
	if (seen == SEEN_NOT && errno)
		seen = UNSEEN;
	closedir(list);
	return seen;
}

bool process_user(pid_t pid, uid_t *uid)
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

/* For when /proc does not show a zombie. False where a process cannot be watched, either. */
static bool process_has_ended(pid_t pid)
{
	int watch = process_watch(pid);
	struct pollfd event = {.fd = watch, .events = POLLIN};
	bool ended = watch == -1 ? errno == ESRCH : poll(&event, 1, 0) > 0;

	if (watch != -1)
		close(watch);
	return ended;
}

bool process_lives(const struct process *process)
{
	return process->threads > 1 || !strchr("ZXx", process->state);
}

bool process_is_alive(pid_t pid)
{
	struct process process;

	if (kill(pid, 0) == -1 && errno != EPERM)
		return false;
	if (process_read(pid, &process))
		return process_lives(&process);
	return !process_has_ended(pid);
}

bool process_is_younger(pid_t pid, const struct stat *file)
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

bool process_has_execed(pid_t pid)
{
	struct process process;

	return !process_read(pid, &process) || process.execed;
}

bool process_has_died(pid_t pid)
{
	siginfo_t info = {.si_pid = 0};

	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
		return info.si_pid == pid;
	return !process_is_alive(pid);
}

int process_reap(pid_t pid)
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

/* Whether one of its threads has a child that `is` so; `unknown` where that cannot be seen. */
static bool any_child(pid_t pid, bool (*is)(pid_t), bool unknown)
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
		return unknown;
	while (!found && (entry = readdir(threads))) {
		if (*entry->d_name == '.')
			continue;
		snprintf(text, sizeof text, "%.20s/children", entry->d_name);
		fd = openat(dirfd(threads), text, O_RDONLY | O_CLOEXEC);
		size = fd == -1 ? -1 : read(fd, text, sizeof text - 1);
		if (fd != -1)
			close(fd);
		found = size == -1 && unknown;
		text[size > 0 ? size : 0] = '\0';
		for (char *word = text, *end; !found && *word; word = *end ? end + 1 : end)
			found = is((pid_t)strtol(word, &end, 10));
	}
	closedir(threads);
	return found;
}

static bool is_program(pid_t pid)
{
	return process_is_alive(pid) && process_has_execed(pid);
}

bool process_has_program(pid_t pid)
{
	return any_child(pid, is_program, true);
}

bool process_reads_pipe(pid_t pid)
{
	char text[64];

	return proc_read(pid, "wchan", text, sizeof text) != -1 &&
	       (strstr(text, "pipe_read") || any_child(pid, process_reads_pipe, false));
}

void process_describe(pid_t pid, char *text, size_t size)
{
	struct process process;
	char path[64], command[512], since[32] = "";
	const struct passwd *user;
	uid_t uid;
	time_t begun;
	int64_t now = clock_read(CLOCK_BOOTTIME), start;
	ssize_t length;

	*text = '\0';
	if (!process_read(pid, &process) || !process_user(pid, &uid))
		return;
	length = proc_read(pid, "cmdline", command, sizeof command);
	if (length == -1)
		return;
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
