#include "features.h"

#include "streams.h"

#include "interrupts.h"
#include "options.h"
#include "paths.h"
#include "say.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>

enum { LOG_MODE = 0666 }; /* less the umask */

void check_disk_or_die(const char *path, bool truncate)
{
	char parent[PATH_MAX];
	struct statvfs disk;
	struct stat status;

	if (stat(path, &status) == 0 && (!S_ISREG(status.st_mode) || truncate))
		return; /* a device or a FIFO takes no room, an old log frees some */
	path_parent(parent, path);
	if ((statvfs(path, &disk) == 0 || statvfs(parent, &disk) == 0) && disk.f_blocks > 0 &&
		(geteuid() == 0 ? disk.f_bfree : disk.f_bavail) == 0)
		die(EXIT_SETUP, "cannot write to '%s': %s", path, strerror(ENOSPC));
}

/*
 * Opens a stream's file, or dies; -1 where it would have to be created, and must not be yet. With
 * O_NONBLOCK, a FIFO that nobody reads fails instead of hanging; the daemon gets it without. With
 * -u, a link must not lead root elsewhere. A directory is not a stream, and would lead out of -R.
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
		die(EXIT_SETUP, "cannot open '%s': no process has the FIFO open for reading", path);
	if (fd == -1 || fstat(fd, status) == -1 || fcntl(fd, F_SETFL, flags & O_APPEND) == -1)
		die(EXIT_SETUP, "cannot open '%s': %s", path, strerror(errno));
	if (S_ISDIR(status->st_mode))
		die(EXIT_SETUP, "cannot open '%s': %s", path, strerror(EISDIR));
	return fd;
}

void streams_open_or_die(const struct options *opt, struct streams *streams, bool create)
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

void streams_reopen_or_die(const struct options *opt, struct streams *streams)
{
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		if (is_file(opt, i)) {
			close(streams->fd[i]);
			streams->fd[i] = -1;
			streams->log_size[i] = -1;
		}
	streams_open_or_die(opt, streams, false);
	streams_open_or_die(opt, streams, true);
}

int streams_redirect(const struct streams *streams)
{
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		if (streams->fd[i] != -1 && dup2(streams->fd[i], i) == -1)
			return -1;
	return 0;
}

int streams_truncate(const struct streams *streams)
{
	for (int i = STDOUT_FILENO; i <= STDERR_FILENO; i++)
		if (streams->log_size[i] >= 0 && ftruncate(i, 0) == -1)
			return -1;
	return 0;
}

/* Shows the last lines that this start wrote to a log. */
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

void streams_show(const struct options *opt, const struct streams *streams)
{
	struct stat status;

	for (int i = STDERR_FILENO; i >= STDOUT_FILENO; i--)
		if (streams->log_size[i] >= 0 && stat(opt->stream[i], &status) == 0 &&
			status.st_size > streams->log_size[i]) {
			show_log(opt, streams, i);
			return;
		}
}
