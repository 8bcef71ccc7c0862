#include "features.h"

#include "pidfile.h"

#include "clock.h"
#include "descriptors.h"
#include "paths.h"
#include "process.h"
#include "steps.h"
#include "system.h"
#include "values.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { PIDFILE_MODE = 0644 };

static int lock_record(int fd, int command, short type, struct flock *found)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
	int result = fcntl(fd, command, &lock);

	if (found)
		*found = lock;
	return result;
}

pid_t pidfile_number(int fd, bool *pure)
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
	*pure = is_digit(*text) && size < (ssize_t)sizeof text - 1 &&
		end + (*end == '\n') == text + size;
	end += strspn(end, " \t\r");
	/* Nor may the line go on beyond what we have read. */
	if (errno || number > INT_MAX ||
		(end < text + size ? *end != '\n' : size == sizeof text - 1))
		return 0;
	return (pid_t)number;
}

/* The rule for a file that is not locked. It cannot mean us, our launcher, or a kernel thread. */
static bool pidfile_number_runs(pid_t number, pid_t launcher, const struct stat *file)
{
	struct process process;

	return number > 1 && number != launcher && number != getpid() && process_is_alive(number) &&
	       !(process_read(number, &process) && process.kernel) &&
	       !process_is_younger(number, file);
}

/* Opens the file if it is one that we may trust. Returns the failed step, errno set. */
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
	/* bmc/daemonize gives the file to -u's user. --status and the like accept any owner. */
	if (user && status->st_uid != 0 && status->st_uid != geteuid() && status->st_uid != *user)
		return STEP_PIDFILE_OWNER;
	return STEP_DONE;
}

bool is_in_future(const struct stat *file)
{
	return written_at(file) > clock_read(CLOCK_REALTIME);
}

static bool is_new(const struct stat *file)
{
	return !is_in_future(file) && clock_read(CLOCK_REALTIME) - BUSY_LIMIT < written_at(file);
}

/* pidfile_look() for a file that is open. PIDFILE_ABSENT, errno set: it cannot be locked. */
static enum pidfile_state pidfile_judge(int fd, struct owner *owner)
{
	struct process process;
	struct flock lock;
	bool known;

	owner->open = UNSEEN;
	if (lock_record(fd, F_GETLK, F_WRLCK, &lock) == -1)
		return PIDFILE_ABSENT;
	owner->pid = lock.l_type == F_UNLCK ? owner->number : lock.l_pid > 0 ? lock.l_pid : 0;
	if (lock.l_type == F_WRLCK)
		return PIDFILE_CHANGING;
	if (lock.l_type == F_UNLCK && !pidfile_number_runs(owner->number, getpid(), &owner->status))
		return PIDFILE_STALE;
	known = process_read(owner->pid, &process);
	owner->ending = known && process.ending && process.threads == 1;
	/* A process that writes in place has no lock for a moment: then the file is new. */
	if ((lock.l_type == F_RDLCK || is_new(&owner->status)) && known && !process.execed)
		return PIDFILE_STARTING;
	if (lock.l_type == F_UNLCK)
		return PIDFILE_NUMBERED;
	if (owner->pid)
		owner->open = process_has_open(owner->pid, FIRST_LOCK_FD, &owner->status);
	return owner->open == SEEN_NOT ? PIDFILE_ORPHANED : PIDFILE_LOCKED;
}

/* Finds out who holds the pidfile; changes nothing on disk. Returns the failed step, errno set. */
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
	if (owner->number == -1 || fstat(fd, status) == -1)
		step = STEP_PIDFILE_READ;
	else if ((owner->state = pidfile_judge(fd, owner)) == PIDFILE_ABSENT)
		step = STEP_PIDFILE_LOCK;
	error = errno;
	close(fd);
	errno = error;
	return step;
}

enum step pidfile_look_settled(const char *path, const uid_t *user, int64_t patience,
	struct owner *owner)
{
	int64_t limit = 0;
	enum step step;

	for (;;) {
		step = pidfile_look(path, user, owner);
		if (step || (owner->state != PIDFILE_CHANGING && owner->state != PIDFILE_STARTING &&
				    owner->state != PIDFILE_ORPHANED && !owner->ending))
			return step;
		/*
		 * An exiting process closes its fds a moment before it loses its locks, and
		 * is alive a moment longer.
		 */
		if (owner->state == PIDFILE_ORPHANED)
			patience = BUSY_LIMIT;
		limit = limit ? limit : deadline_in(patience);
		if (clock_read(CLOCK_MONOTONIC) > limit)
			return STEP_DONE;
		nap(NAP);
	}
}

bool owner_runs(const struct owner *owner)
{
	return owner->state >= PIDFILE_CHANGING;
}

/* Whether only root or we can have written the file. */
static bool file_is_trusted(const struct stat *file)
{
	return (file->st_uid == 0 || file->st_uid == geteuid()) &&
	       !(file->st_mode & (S_IWGRP | S_IWOTH));
}

const char *owner_doubt(const struct owner *owner)
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

const char *owner_text(char text[32], pid_t pid)
{
	if (pid <= 0)
		return "in another PID namespace";
	snprintf(text, 32, "pid %ld", (long)pid);
	return text;
}

/*
 * Opens the file, or creates it, and locks it for writing. STEP_PIDFILE_LOST: another process
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
				unlink(path); /* a file system without locks: nobody holds one */
			return STEP_PIDFILE_LOCK;
		}
		/* The file may have been removed or replaced between open and lock. */
		if (stat(path, &now) == 0 && same_file(status, &now))
			return STEP_DONE;
	}
}

/* Writes our PID. Truncates last, so that there is never a moment without a number. */
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

void pidfile_name_draft(char draft[PATH_MAX], const char *path)
{
	int size = snprintf(draft, PATH_MAX, "%s.%llx", path,
		(unsigned long long)clock_read(CLOCK_REALTIME));

	if (size >= PATH_MAX)
		*draft = '\0';
}

/* Creates the new file, complete and locked, and renames it into place. */
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
		*lock_fd = open(draft, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
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

/* For where only processes of our own user can be in the way, for a moment. */
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
 * Writes our PID into a file that cannot be replaced. The daemon must not keep the writable
 * fd, and closing that drops the lock: so it takes the read lock after that. If the number
 * is not ours by then, or another process holds a lock too, that one was faster in the gap,
 * and has won. Closes `fd`.
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
	if (!lock_soon(*lock_fd))
		step = errno == EACCES || errno == EAGAIN ? STEP_PIDFILE_LOST : STEP_PIDFILE_LOCK;
	else if (same_file(claimed, &locked) && fstat(*lock_fd, &locked) == 0 &&
		 locked.st_nlink == 1 && pidfile_number(*lock_fd, &pure) == getpid() &&
		 lock_record(*lock_fd, F_GETLK, F_WRLCK, &other) == 0 && other.l_type == F_UNLCK)
		return STEP_DONE;
	else
		step = STEP_PIDFILE_LOST;
	error = errno;
	close(*lock_fd);
	errno = error;
	return step;
}

/* The errors of a directory that takes no new file, or no replacement for this one. */
static bool is_fixed_error(int error)
{
	return error == EACCES || error == EPERM || error == EBUSY || error == ENAMETOOLONG ||
	       error == ENOENT;
}

enum step pidfile_take(const char *path, const char *draft, const uid_t *user, pid_t launcher,
	int *lock_fd)
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
	/* The time must be the number's, which may have been written since we opened the file. */
	if (number == -1 || (number > 0 && fstat(fd, &old) == -1))
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

void pidfile_remove(const char *path, const uid_t *user, pid_t number)
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
