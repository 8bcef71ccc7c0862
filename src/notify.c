#include "features.h"

#include "notify.h"

#include "clock.h"
#include "identity.h"
#include "interrupts.h"
#include "say.h"
#include "system.h"
#include "values.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { SOCKET_PATH_MAX = sizeof((struct sockaddr_un *)NULL)->sun_path };

static char notify_directory[SOCKET_PATH_MAX]; /* "": the socket has no file */
static char notify_path[SOCKET_PATH_MAX];

void notify_unbind(void)
{
	if (!*notify_directory)
		return;
	unlink(notify_path);
	rmdir(notify_directory);
	*notify_directory = '\0';
}

/* Handles interrupts from when the socket has a file until the wait begins. */
static void on_early_interrupt(int number)
{
	notify_unbind();
	signal(number, SIG_DFL);
	raise(number);
}

/* Opens a directory that only root and we can write to, and whose mode has these bits; or -1. */
static int open_private(const char *root, const char *path, mode_t bits)
{
	/* To a daemon inside --chroot, a link would mean another directory. */
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
 * Binds the socket to a file in a new directory below `place`, where only root and we can create
 * names: the daemon keeps this one, and must not send to a stranger that takes it after us. Only
 * the daemon's user may send to it. False, errno set: try another place.
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
	snprintf(notify_path, sizeof notify_path, "%.*s/%s", length - (int)sizeof name,
		notify_directory, name);
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
	/* By the fd: whoever owns the root directory of --chroot could put a link into the path. */
	if (fchmodat(directory_fd, name, S_IRUSR | S_IWUSR, 0) == -1 ||
		(id->change && fchownat(directory_fd, name, id->uid, id->gid,
				       AT_SYMLINK_NOFOLLOW) == -1) ||
		fchmod(directory_fd, S_IRWXU | S_IXGRP | S_IXOTH) == -1)
		die(EXIT_SETUP, "cannot create the notification socket '%s': %s", notify_path,
			strerror(errno));
	close(directory_fd);
	/* The name as the daemon sees it. */
	snprintf(address->sun_path, sizeof address->sun_path, "%s", notify_path + strlen(root));
	return true;
}

/*
 * In /tmp, anybody can take a name that we have given up. So we leave a directory there,
 * one for all starts of a user, or a new one if another user has taken its name. The
 * sticky bit keeps it ours.
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
	if (snprintf(place, PATH_MAX, "%s/daemonize-%lu", shared, (unsigned long)geteuid()) >=
		PATH_MAX)
		return false;
	(void)mkdir(place, S_IRWXU); /* an earlier start has made it, or we fail at the next step */
	fd = open_private(root, place, 0);
	if (fd == -1) {
		if (snprintf(place, PATH_MAX, "%s/daemonize-%lu.XXXXXX", shared,
			    (unsigned long)geteuid()) < PATH_MAX &&
			mkdtemp(place))
			fd = open_private(root, place, 0);
	}
	if (fd == -1)
		return false;
	fchmod(fd, S_IRWXU | S_IXGRP | S_IXOTH);
	close(fd);
	return true;
}

/*
 * Binds it to a file whose name stays ours: in root's /run, in the directory that a login
 * gives its user, or in /tmp.
 */
static bool notify_bind_file(int fd, const char *root, const struct identity *id,
	struct sockaddr_un *address)
{
	/* Neither a daemon inside --chroot nor another user could reach it. */
	const char *own = *root || id->change ? NULL : getenv("XDG_RUNTIME_DIR");
	const char *const places[] = {"/run", "/var/run", own, "/tmp"};
	char place[PATH_MAX], shared[PATH_MAX] = "";

	if (strlen(root) >= SOCKET_PATH_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		if (!places[i] || *places[i] != '/')
			continue;
		snprintf(shared, sizeof shared, "%s%s", root, places[i]);
		if (notify_bind_below(fd, root, id, shared, address))
			return true;
	}
	return notify_make_place(root, shared, place) &&
	       notify_bind_below(fd, root, id, place, address);
}

int notify_open_or_die(const char *root, const struct identity *id)
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
		die(EXIT_SETUP, "cannot create the notification socket: %s", strerror(errno));
	return fd;
}

int notify_pipe_or_die(int *write_fd)
{
	int ends[2];

	if (pipe_close_on_exec(ends) == -1)
		die(EXIT_SETUP, "cannot create the notification pipe: %s", strerror(errno));
	*write_fd = ends[1];
	return ends[0];
}

void notify_parse(char *text, struct notice *notice)
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

bool notify_receive(int fd, uid_t user, struct notice *notice)
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

void notify_read(int fd, struct notice *notice)
{
	char text[256];
	ssize_t size = read(fd, text, sizeof text);

	if (size > 0)
		notice->ready |= memchr(text, '\n', (size_t)size) != NULL;
	else if (size == 0)
		notice->closed = true;
}
