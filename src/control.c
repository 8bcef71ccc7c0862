#include "features.h"

#include "control.h"

#include "clock.h"
#include "family.h"
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
#include <unistd.h>

#define STOP_TIMEOUT (10 * NANOSECONDS) /* -t of --stop */

struct target {
	const char *path;
	struct owner owner;
	int watch_fd;	      /* -1: none, or not yet */
	struct family family; /* with --tree; empty for the second name of a daemon */
	struct roll roll;
	bool leads; /* without --tree: the daemon led its process group when we looked */
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
		complain(
			"the daemon of '%s' (pid %ld) has exited, but a child of it holds its lock",
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

/*
 * Looks at the pidfile; false if it names no process that we may signal: says why, unless
 * it has exited.
 */
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
			"cannot signal the daemon of '%s': pid %ld holds the lock but is not a daemonize daemon",
			target->path, (long)owner->pid);
	else
		return true;
	return false;
}

/* Looks again; false if the pidfile is another's by now: then ours has exited. */
static bool target_look_again(struct target *target)
{
	const pid_t pid = target->owner.pid;

	if (!target_look(target))
		return false;
	if (target->owner.pid == pid)
		return true;
	target->ended = true;
	target->owner.state = PIDFILE_ABSENT; /* not ours to remove */
	return false;
}

/*
 * Finds and pins the process. False as for target_look(), or if the pidfile cannot be trusted. It
 * is judged once it is pinned: from then on its PID cannot change hands.
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
	/* It may have exited since we looked. */
	if (doubt && !process_is_alive(pid) && !target_look_again(target))
		return false;
	if (doubt)
		complain("cannot signal pid %ld: '%s' cannot be trusted: %s", (long)pid,
			target->path, doubt);
	return !doubt;
}

static void target_signal(struct target *target, int number)
{
	if (process_signal(target->watch_fd, target->owner.pid, number) == 0) {
		if (number)
			verbose("sent signal %d (%s) to pid %ld", number, signal_name(number),
				(long)target->owner.pid);
		target->signalled = true;
	} else if (errno == ESRCH)
		target->ended = true;
	else
		complain("cannot signal pid %ld: %s", (long)target->owner.pid, strerror(errno));
}

/* Stops them first, so that none escapes; blocks signals, so that none stays stopped. */
static void target_end_tree(struct target *target, int number)
{
	sigset_t all, old;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	if (number)
		family_halt(&target->family, &target->roll);
	family_signal(&target->family, &target->roll, number);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

/*
 * The same for its family. Signals nobody if the daemon may not be signaled, or has exited
 * meanwhile: what we read of it may be another's.
 */
static void target_signal_tree(struct target *target, enum mode mode, int number)
{
	target->family = family_of(target->owner.pid);
	family_find(&target->family, &target->roll);
	target_signal(target, 0);
	if (target->signalled && mode == MODE_STOP)
		target_end_tree(target, number);
	else if (target->signalled)
		family_signal(&target->family, &target->roll, number);
}

/* Two names can belong to one daemon, which is signaled once. */
static bool was_signalled(const struct target *targets, size_t count, pid_t pid)
{
	for (size_t i = 0; i < count; i++)
		if (targets[i].signalled && targets[i].owner.pid == pid)
			return true;
	return false;
}

/* Finds and signals the daemon of each pidfile; all stay pinned. */
static struct target *signal_targets_or_die(const struct options *opt, int number)
{
	struct target *targets = allocate_or_die(opt->n_pidfiles, sizeof *targets);
	struct rlimit limit;

	/* Each takes an fd. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	for (size_t i = 0; i < opt->n_pidfiles; i++) {
		struct target *target = &targets[i];

		target->path = opt->pidfiles[i];
		if (!target_find(target))
			continue;
		if (was_signalled(targets, i, target->owner.pid)) {
			target->signalled = true;
			continue;
		}
		if (opt->tree) {
			target_signal_tree(target, opt->mode, number);
			continue;
		}
		target->leads = getpgid(target->owner.pid) == target->owner.pid;
		target_signal(target, number);
	}
	return targets;
}

static void targets_free(struct target *targets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(targets[i].roll.members);
	free(targets);
}

static void tell_spared(const struct target *target)
{
	if (target->roll.spared)
		complain(
			"this command runs in the tree of pid %ld: it spared itself and its callers",
			(long)target->owner.pid);
}

int control_signal(const struct options *opt)
{
	struct target *targets = signal_targets_or_die(opt, opt->signal);
	int worst = EXIT_UP;

	for (size_t i = 0; i < opt->n_pidfiles; i++) {
		if (targets[i].ended)
			complain("cannot signal the daemon of '%s': not running", targets[i].path);
		if (targets[i].roll.refused)
			complain("cannot signal %zu of the processes in the tree of pid %ld: %s",
				targets[i].roll.refused, (long)targets[i].owner.pid,
				strerror(EPERM));
		tell_spared(&targets[i]);
		if (!targets[i].signalled || targets[i].roll.refused)
			worst = EXIT_SETUP;
	}
	targets_free(targets, opt->n_pidfiles);
	return worst;
}

/* In a tree, those found only now get the signal, too. */
static bool target_has_ended(struct target *target, int number)
{
	if (target->family.daemon)
		return family_follow(&target->family, &target->roll, number) == 0;
	return target->watch_fd != -1 ? poll_until(target->watch_fd, 0)
				      : !process_is_alive(target->owner.pid);
}

/* Waits side by side until all have exited, or until the deadline. */
static void await_targets(struct target *targets, const struct options *opt, int number,
	int64_t deadline)
{
	struct pollfd *events = allocate_or_die(opt->n_pidfiles, sizeof *events);
	int64_t left, interval = NAP;
	bool all_watched = !opt->tree, waiting = true;

	while (waiting) {
		waiting = false;
		for (size_t i = 0; i < opt->n_pidfiles; i++) {
			struct target *target = &targets[i];

			events[i] = (struct pollfd){.fd = -1, .events = POLLIN};
			if (!target->signalled || target->ended)
				continue;
			target->ended = target_has_ended(target, number);
			/* A tree may outlive its daemon, whose fd then stays readable. */
			if (!target->ended && !(opt->tree && poll_until(target->watch_fd, 0)))
				events[i].fd = target->watch_fd;
			all_watched &= target->watch_fd != -1;
			waiting |= !target->ended;
		}
		left = deadline == NEVER ? NEVER : deadline - clock_read(CLOCK_MONOTONIC);
		if (!waiting || left <= 0)
			break;
		if (!all_watched)
			left = earliest(left, interval);
		interval = earliest(2 * interval, POLL_INTERVAL);
		if (poll(events, (nfds_t)opt->n_pidfiles, poll_timeout(left)) == -1)
			nap(NAP); /* there are more fds than RLIMIT_NOFILE allows */
	}
	free(events);
}

/*
 * Reports what is left of the daemon's process group: users may think that it exited
 * with the daemon.
 */
static void tell_left(pid_t daemon, int64_t deadline)
{
	size_t count = group_count(daemon);

	while (count && clock_read(CLOCK_MONOTONIC) < deadline) {
		nap(10 * NAP);
		count = group_count(daemon);
	}
	if (count)
		complain("pid %ld has exited, but %zu of its process group %s still running: "
			 "--tree stops them too",
			(long)daemon, count, count == 1 ? "is" : "are");
}

static void target_kill(struct target *target)
{
	if (target->family.daemon)
		target_end_tree(target, SIGKILL);
	else
		target_signal(target, SIGKILL);
}

static int target_finish(const struct target *target, int64_t waited, int64_t settled)
{
	char text[32], others[32] = "";

	tell_spared(target);
	/* If we may not remove the file, it stays: stale, and harmless. */
	if (target->ended) {
		if (target->leads)
			tell_left(target->owner.pid, settled);
		if (!target->signalled)
			verbose("'%s': not running", target->path);
		if (target->owner.state != PIDFILE_ABSENT)
			pidfile_remove(target->path, NULL, target->owner.number);
		return EXIT_UP;
	}
	if (!target->signalled)
		return target->status;
	if (target->roll.living > 1)
		snprintf(others, sizeof others, " and %zu more", target->roll.living - 1);
	complain("gave up waiting: still running (pid %ld%s) after %s",
		(long)(target->roll.living ? target->roll.left : target->owner.pid), others,
		seconds_text(text, waited));
	return EXIT_GAVE_UP;
}

int control_stop(const struct options *opt)
{
	const int64_t timeout = opt->timeout >= 0 ? opt->timeout : STOP_TIMEOUT;
	const int64_t begun = clock_read(CLOCK_MONOTONIC);
	int number = opt->signal == NO_SIGNAL ? SIGTERM : opt->signal;
	struct target *targets = signal_targets_or_die(opt, number);
	int64_t settled;
	int worst = EXIT_UP;

	/* A stopped process would not act on the signal. */
	for (size_t i = 0; number && !opt->tree && i < opt->n_pidfiles; i++)
		if (targets[i].signalled && !targets[i].ended)
			process_signal(targets[i].watch_fd, targets[i].owner.pid, SIGCONT);
	if (opt->kill_after >= 0) {
		await_targets(targets, opt, number, deadline_in(opt->kill_after));
		number = SIGKILL;
		for (size_t i = 0; i < opt->n_pidfiles; i++)
			if (targets[i].signalled && !targets[i].ended)
				target_kill(&targets[i]);
	}
	await_targets(targets, opt, number, deadline_in(timeout));
	settled = deadline_in(BUSY_LIMIT);
	for (size_t i = 0; i < opt->n_pidfiles; i++) {
		int status =
			target_finish(&targets[i], clock_read(CLOCK_MONOTONIC) - begun, settled);

		worst = status > worst ? status : worst;
	}
	targets_free(targets, opt->n_pidfiles);
	return worst;
}
