#include "features.h"

#include "readiness.h"

#include "clock.h"
#include "family.h"
#include "interrupts.h"
#include "launcher.h"
#include "notify.h"
#include "options.h"
#include "process.h"
#include "ready.h"
#include "say.h"
#include "signals.h"
#include "streams.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE (2 * NANOSECONDS)  /* exit status 0 before that: it may be in the background */
#define HEAR_OUT (NANOSECONDS / 2) /* for a sender of READY=1 that has more to say */

enum verdict { WAITING, READY, DIED, TIMED_OUT, INTERRUPTED, CLOSED, ANOTHER_MAIN };

struct readiness {
	const struct options *opt;
	const struct family *family;
	const struct streams *streams;
	uid_t user;	      /* the daemon's */
	int ready_fd;	      /* our end of --notify, --notify-fd or --ready; -1: none */
	int watch_fd;	      /* -1: the system cannot watch a process */
	int64_t begun;	      /* nanoseconds, as the next three */
	int64_t lived_at;     /* when --startsecs are over */
	int64_t shown_at;     /* when to show a line that says what we wait for */
	int64_t waited;	      /* until the verdict */
	bool ended;	      /* after a failure: the daemon has been terminated */
	siginfo_t death;      /* si_pid is 0 if it lives, or if init has reaped it */
	struct notice notice; /* what it has said, or the command of --ready */
	struct tries tries;   /* of that command */
};

/* On a terminal, one line that is rewritten in place each second, and erased at the end. */
static void progress_show(struct readiness *r)
{
	const int64_t now = clock_read(CLOCK_MONOTONIC);
	char line[512];
	int columns = terminal_columns(STDERR_FILENO);

	if (now < r->shown_at)
		return;
	r->shown_at += NANOSECONDS;
	snprintf(line, sizeof line, "waiting for '%s' to %s, %lld s%s%s", r->opt->name,
		r->ready_fd == -1 ? "stay up" : "be ready",
		(long long)((now - r->begun) / NANOSECONDS), *r->notice.status ? ": " : "",
		r->notice.status);
	make_harmless(line);
	dprintf(STDERR_FILENO, "\r\033[K%.*s", columns - 1, line);
}

static void progress_erase(const struct readiness *r)
{
	if (r->shown_at != NEVER && r->shown_at > r->begun + NANOSECONDS)
		dprintf(STDERR_FILENO, "\r\033[K");
}

/* Takes in what has come; true if there may be more: messages can come faster than we read. */
static bool hear(struct readiness *r)
{
	enum { MESSAGES = 64 };
	char shown[sizeof r->notice.status];

	if (r->opt->ready) {
		ready_hear(&r->tries, &r->notice);
		return false;
	}
	if (!r->opt->notify) {
		notify_read(r->ready_fd, &r->notice);
		return false;
	}
	for (int i = 0; i < MESSAGES; i++) {
		memcpy(shown, r->notice.status, sizeof shown);
		if (!notify_receive(r->ready_fd, r->user, &r->notice))
			return false;
		if (strcmp(shown, r->notice.status) != 0 && diagnostics.verbose) {
			progress_erase(r);
			verbose("'%s' says: %s", r->opt->name, r->notice.status);
		}
	}
	return true;
}

static enum verdict readiness_judge(const struct readiness *r)
{
	const int64_t now = clock_read(CLOCK_MONOTONIC);

	if (process_has_died(r->family->daemon))
		return DIED;
	if (interrupted_by)
		return INTERRUPTED;
	if (r->notice.main_pid && r->notice.main_pid != r->family->command)
		return ANOTHER_MAIN;
	if (now >= r->lived_at && (r->notice.ready || r->ready_fd == -1))
		return READY;
	if (r->notice.closed && !r->notice.ready)
		return CLOSED;
	return now >= r->notice.deadline ? TIMED_OUT : WAITING;
}

static enum verdict await_ready(struct readiness *r, const sigset_t *mask)
{
	struct pollfd events[] = {{.fd = r->watch_fd, .events = POLLIN},
		{.fd = r->ready_fd, .events = POLLIN}};
	enum verdict verdict;
	int64_t now, until;

	while ((verdict = readiness_judge(r)) == WAITING) {
		now = clock_read(CLOCK_MONOTONIC);
		until = orphan_reap(r->family->daemon, r->tries.pid)
				? now
				: earliest(r->notice.deadline, r->shown_at);
		until = earliest(until, ready_try(&r->tries, &r->notice));
		if (r->lived_at > now)
			until = earliest(until, r->lived_at);
		if (r->watch_fd == -1)
			until = earliest(until, now + POLL_INTERVAL);
		events[1].revents = 0;
		if (poll_signals(events, 2, until == NEVER ? NEVER : until - now, mask) > 0 &&
			events[1].revents) {
			hear(r);
			/* Read a socket to the end, lest its writer block. */
			if (!r->opt->notify && (r->notice.ready || r->notice.closed))
				events[1].fd = -1;
			/* A poll that always finds something lets no signal through. */
			poll_signals(NULL, 0, 0, mask);
		}
		ready_note_end(&r->tries, &r->notice);
		progress_show(r);
	}
	return verdict;
}

/* An argument that names a file in the caller's directory, but not in the daemon's. */
static const char *misplaced_argument(const struct options *opt)
{
	const char *directory = opt->directory ? opt->directory : "/", *name;
	char there[PATH_MAX];

	for (char **word = opt->command + 1; *word && !opt->root; word++) {
		name = strchr(*word, '=') ? strchr(*word, '=') + 1 : *word; /* --config=app.conf */
		if (*name != '/' && access(name, F_OK) == 0 &&
			snprintf(there, sizeof there, "%s/%s", directory, name) <
				(int)sizeof there &&
			access(there, F_OK) == -1 && errno == ENOENT)
			return name;
	}
	return NULL;
}

/* What may help a user whose command has died. */
static void hint_at_cure(const struct readiness *r, char *hint, size_t size)
{
	const struct options *opt = r->opt;
	const bool failed = r->death.si_code != CLD_EXITED || r->death.si_status != 0;
	const char *name = failed ? misplaced_argument(opt) : NULL;

	if (!failed && r->death.si_pid && r->waited < AT_ONCE)
		snprintf(hint, size,
			"; it seems to put itself in the background: use its option for the "
			"foreground");
	else if (name)
		snprintf(hint, size,
			"; relative arguments such as '%s' are resolved in '%s': "
			"use -c .",
			name, opt->directory ? opt->directory : "/");
	else if (!opt->stream[STDERR_FILENO])
		snprintf(hint, size, "; its %s was discarded: use -O FILE",
			opt->stream[STDOUT_FILENO] ? "standard error" : "output");
}

/* "exited with status 1 after 0.03 s", and what is known about the reason. */
static void complain_of_death(const struct readiness *r)
{
	const char *name = r->opt->name;
	char hint[PATH_MAX + 64] = "";
	char text[32], error[128] = "";
	const char *after = seconds_text(text, r->waited);
	const int status = r->death.si_status;

	if (r->notice.error)
		snprintf(error, sizeof error, " (%s)", strerror(r->notice.error));
	hint_at_cure(r, hint, sizeof hint);
	if (r->death.si_pid == 0)
		complain("%s ended after %s%s%s", name, after, error, hint);
	else if (r->death.si_code != CLD_EXITED)
		complain("%s was killed by signal %d (%s) after %s%s%s", name, status,
			signal_name(status), after, error, hint);
	else
		complain("%s exited with status %d after %s%s%s", name, status, after, error, hint);
}

static void complain_of(const struct readiness *r, enum verdict verdict)
{
	const char *name = r->opt->name;
	const char *colon = *r->notice.status ? ": " : "";
	char text[32], left[64] = "";

	if (!r->ended)
		snprintf(left, sizeof left, ", and pid %ld cannot be terminated",
			(long)r->family->daemon);

	switch (verdict) {
	case DIED: complain_of_death(r); break;
	case TIMED_OUT:
		complain("gave up waiting: %s is not ready after %s%s%s%s", name,
			seconds_text(text, r->waited), left, colon, r->notice.status);
		break;
	case INTERRUPTED:
		complain("interrupted by signal %d (%s) while waiting for %s%s",
			(int)interrupted_by, signal_name((int)interrupted_by), name, left);
		break;
	case CLOSED:
		complain("%s closed file descriptor %d without reporting that it is ready%s", name,
			r->opt->notify_fd, left);
		break;
	case ANOTHER_MAIN:
		complain("%s named another main process (MAINPID=%ld): use its option for "
			 "the foreground%s",
			name, (long)r->notice.main_pid, left);
		break;
	case WAITING:
	case READY: break;
	}
}

/*
 * Whether the sender of READY=1 may have more to say. systemd-notify(1) sends a second message,
 * sd_notify_barrier(3), and fails if we have exited by then; a daemon that speaks for itself does
 * not. But root's systemd-notify gives its parent's PID as its own.
 */
static bool has_more_to_say(const struct readiness *r)
{
	const struct sender *by = &r->notice.ready_by;

	if (r->notice.barrier)
		return false;
	if (by->pid == r->family->command)
		return by->uid == 0 && process_has_program(r->family->command);
	return by->pid <= 0 || process_is_alive(by->pid);
}

static void hear_out(struct readiness *r)
{
	const int64_t limit = deadline_in(HEAR_OUT);

	while (r->opt->notify && has_more_to_say(r) && clock_read(CLOCK_MONOTONIC) < limit)
		if (poll_until(r->ready_fd, deadline_in(NAP)))
			hear(r);
}

/* What dead processes have sent is all there; but others can go on sending. */
static void hear_last_words(struct readiness *r)
{
	const int64_t limit = deadline_in(HEAR_OUT);

	while (hear(r) && clock_read(CLOCK_MONOTONIC) < limit)
		;
}

/* Terminates what is not ready, and exits with the reason. */
static _Noreturn void fail_the_start(struct readiness *r, enum verdict verdict)
{
	r->waited = clock_read(CLOCK_MONOTONIC) - r->begun;
	/* Asked now: terminating its family may reap it. */
	if (waitid(P_PID, (id_t)r->family->daemon, &r->death, WEXITED | WNOHANG | WNOWAIT) == -1)
		r->death.si_pid = 0;
	if (r->watch_fd != -1)
		close(r->watch_fd); /* what follows needs fds, and there may be too few */
	ready_end(&r->tries);
	r->ended = family_end(r->family);
	if (r->opt->notify)
		hear_last_words(r);
	complain_of(r, verdict);
	if (verdict != INTERRUPTED)
		streams_show(r->opt, r->streams);
	bury(r->opt->pidfile, r->user, r->family);
	if (verdict == INTERRUPTED)
		die_of_signal((int)interrupted_by);
	exit(verdict == TIMED_OUT ? EXIT_GAVE_UP : EXIT_DIED);
}

void await_ready_or_die(const struct options *opt, const struct family *family,
	const struct streams *streams, uid_t user, int ready_fd, int write_fd)
{
	const int64_t now = clock_read(CLOCK_MONOTONIC);
	struct readiness r = {.opt = opt,
		.family = family,
		.streams = streams,
		.user = user,
		.ready_fd = ready_fd,
		.watch_fd = process_watch(family->daemon),
		.begun = now,
		.lived_at = now + (opt->startsecs > 0 ? opt->startsecs : 0),
		.tries = {.command = opt->ready,
			.daemon = family->daemon,
			.output = {ready_fd, write_fd}},
		.shown_at = isatty(STDERR_FILENO) ? now + NANOSECONDS : NEVER,
		.notice.deadline = opt->timeout >= 0 ? deadline_in(opt->timeout)
				   : ready_fd != -1  ? deadline_in(READY_TIMEOUT)
						     : NEVER};
	enum verdict verdict;
	sigset_t mask;

	catch_interrupts(on_interrupt, &mask);
	catch_child_ends(&mask);
	verdict = await_ready(&r, &mask);
	/* A dying process closes its pipe a moment before we can know that it is dead. */
	if (verdict == CLOSED) {
		const int64_t limit = deadline_in(POLL_INTERVAL);

		while (!process_has_died(family->daemon) && clock_read(CLOCK_MONOTONIC) < limit)
			nap(NAP);
		verdict = process_has_died(family->daemon) ? DIED : CLOSED;
	}
	progress_erase(&r);
	if (verdict == READY)
		hear_out(&r);
	else
		fail_the_start(&r, verdict);
}
