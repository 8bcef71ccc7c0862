#include "features.h"

#include "family.h"

#include "clock.h"
#include "loggers.h"
#include "process.h"
#include "system.h"
#include "values.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void on_child_end(int number)
{
	(void)number;
}

void catch_child_ends(sigset_t *mask)
{
	const struct sigaction child = {.sa_handler = on_child_end, .sa_flags = SA_NOCLDSTOP};

	sigaction(SIGCHLD, &child, NULL);
	sigdelset(mask, SIGCHLD);
}

bool orphan_reap(pid_t daemon, pid_t other)
{
	siginfo_t info = {.si_pid = 0};
	int status = -1;
	pid_t group;

	/* Where it is the daemon that has ended, the wait is over; the other is looked for in each round. */
	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 || info.si_pid == 0 ||
		info.si_pid == daemon || info.si_pid == other)
		return false;
	group = getpgid(info.si_pid);
	waitpid(info.si_pid, &status, 0);
	logger_note_end(group, status);
	return true;
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
		while (orphan_reap(family->daemon, 0) && clock_read(CLOCK_MONOTONIC) < deadline)
			;
		nap(10 * NAP);
	}
	return true;
}

void family_kill(const struct family *family)
{
	const int64_t limit = deadline_in(TERM_GRACE);

	while (signal_family(family, SIGKILL) > 0 && clock_read(CLOCK_MONOTONIC) < limit)
		nap(NAP);
}

bool family_end(const struct family *family)
{
	const int64_t limit = deadline_in(TERM_GRACE);
	bool left = signal_family(family, SIGTERM) > 0;

	if (left) {
		signal_family(family, SIGCONT); /* who is stopped would not see the TERM */
		left = !await_family_end(family, limit);
	}
	if (left)
		family_kill(family);
	return process_has_died(family->daemon);
}
