#include "features.h"

#include "control.h"

#include "clock.h"
#include "options.h"
#include "pidfile.h"
#include "process.h"
#include "say.h"
#include "signals.h"
#include "steps.h"
#include "system.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <time.h>

#define STOP_TIMEOUT (10 * NANOSECONDS) /* -t of --stop */

struct target {
	const char *path;
	struct owner owner;
	int watch_fd; /* -1: none, or not yet */
	bool signalled;
	bool ended;
	int status; /* the exit status for this one */
};

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
		process_describe(owner.pid, details, sizeof details);
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

int control_status(const struct options *opt)
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

/* Looks again; false, and it counts as ended, where the file has become another's. */
static bool target_look_again(struct target *target)
{
	const pid_t pid = target->owner.pid;

	if (!target_look(target))
		return false;
	if (target->owner.pid == pid)
		return true;
	target->ended = true;
	target->owner.state = PIDFILE_ABSENT; /* for us */
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
	if (!target_look_again(target))
		return false;
	doubt = owner_doubt(&target->owner);
	/* Or has it ended since it was looked at? */
	if (doubt && !process_is_alive(pid) && !target_look_again(target))
		return false;
	if (doubt)
		complain("cannot signal pid %ld: '%s' is not to be believed: %s", (long)pid,
			target->path, doubt);
	return !doubt;
}

static bool target_signal(struct target *target, int number)
{
	if (process_signal(target->watch_fd, target->owner.pid, number) == 0) {
		if (number)
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

int control_signal(const struct options *opt)
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

int control_stop(const struct options *opt)
{
	const int64_t timeout = opt->timeout >= 0 ? opt->timeout : STOP_TIMEOUT;
	const int64_t begun = clock_read(CLOCK_MONOTONIC);
	const int number = opt->signal == NO_SIGNAL ? SIGTERM : opt->signal;
	struct target *targets = signal_targets_or_die(opt, number);
	int worst = EXIT_UP;

	/* Who is stopped would not see the signal. */
	for (size_t i = 0; number && i < opt->n_pidfiles; i++)
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
