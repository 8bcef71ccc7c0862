#include "features.h"

#include "instance.h"

#include "clock.h"
#include "descriptors.h"
#include "options.h"
#include "paths.h"
#include "pidfile.h"
#include "process.h"
#include "say.h"
#include "steps.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_MODE = 0600 }; /* whoever can read the file can lock it */

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
			"already running (a child of pid %ld, which has exited, holds the lock of '%s')",
			(long)owner->pid, path);
	die(EXIT_RUNNING, "already running (%s)", owner_text(text, owner->pid));
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

/* Returns when the owner may have exited, or the deadline has passed. */
static void await_owner_end(const struct instance *instance, const struct owner *owner)
{
	int watch = owner->pid > 0 ? process_watch(owner->pid) : -1;
	struct owner now = pidfile_owner_or_die(instance, BUSY_LIMIT);

	/* Asked again once it is pinned: until then its PID may have changed hands. */
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
 * --ok-if-running: exits with 0, but only for the daemon itself, and only once it has
 * exec'd: a start that is still in execve(2), on a slow file system, may yet fail. Returns
 * if it has exited meanwhile.
 */
static void be_content(const char *path, const struct owner *owner, int64_t patience)
{
	char who[32], text[32];

	if (owner->state == PIDFILE_CHANGING || owner->state == PIDFILE_STARTING)
		die(EXIT_GAVE_UP, "gave up waiting: another start (%s) has not finished after %s",
			owner_text(who, owner->pid), seconds_text(text, patience));
	if (!owner_doubt(owner))
		exit(EXIT_UP);
	if (owner->state == PIDFILE_ORPHANED || owner->pid == 0 || process_is_alive(owner->pid))
		die_running(path, owner);
}

void instance_settle(const struct instance *instance)
{
	const struct options *opt = instance->opt;
	const int64_t patience = opt->if_running == IF_RUNNING_OK ? READY_TIMEOUT : BUSY_LIMIT;
	struct owner owner;
	char who[32], text[32];

	while (owner = pidfile_owner_or_die(instance, patience), owner_runs(&owner)) {
		if (opt->if_running == IF_RUNNING_OK) {
			be_content(opt->pidfile, &owner, patience);
			continue;
		}
		if (opt->if_running == IF_RUNNING_REFUSE)
			die_running(opt->pidfile, &owner);
		if (clock_read(CLOCK_MONOTONIC) >= instance->deadline)
			die(EXIT_GAVE_UP, "gave up waiting: still running (%s) after %s",
				owner_text(who, owner.pid), seconds_text(text, opt->wait));
		verbose("waiting for the other instance to exit (%s)", owner_text(who, owner.pid));
		await_owner_end(instance, &owner);
	}
	verbose("nobody runs under pidfile '%s'", opt->pidfile);
}

/* Polls, since only a signal would interrupt a flock(2) that waits. */
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

int instance_lock_or_die(const struct instance *instance)
{
	const struct options *opt = instance->opt;
	/* With -u, a link that the user has planted would lend them what it points to. */
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
