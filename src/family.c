#include "features.h"

#include "family.h"

#include "clock.h"
#include "loggers.h"
#include "process.h"
#include "say.h"
#include "signals.h"
#include "system.h"
#include "values.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * How often we look whether a family has stopped: the first process of a PID namespace never does.
 * Not by the clock: a busy machine takes its time.
 */
enum { MOST_LOOKS = 100 };

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

	/* If the daemon has exited, the wait is over; the caller looks for `other` each time. */
	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 || info.si_pid == 0 ||
		info.si_pid == daemon || info.si_pid == other)
		return false;
	group = getpgid(info.si_pid);
	waitpid(info.si_pid, &status, 0);
	logger_note_end(group, status);
	return true;
}

/* Reads the next process that /proc lists; 0: there are no more. */
static pid_t next_process(DIR *list, struct process *process)
{
	const struct dirent *entry;
	unsigned long long pid;

	while ((entry = readdir(list)))
		if (parse_number(entry->d_name, 10, INT_MAX, &pid) &&
			process_read((pid_t)pid, process) && !process->kernel)
			return (pid_t)pid;
	return 0;
}

static struct member *roll_search(const struct roll *roll, pid_t pid, unsigned long long start)
{
	for (size_t i = 0; i < roll->count; i++)
		if (roll->members[i].pid == pid && roll->members[i].start == start)
			return &roll->members[i];
	return NULL;
}

/* Without memory, the process group has to do. */
static void roll_add(struct roll *roll, pid_t pid, const struct process *process)
{
	struct member *members = realloc(roll->members, (roll->count + 1) * sizeof *roll->members);

	if (!members) {
		roll->blind = true;
		return;
	}
	roll->members = members;
	roll->members[roll->count++] = (struct member){.pid = pid,
		.start = process->start,
		.leads = process->session == pid};
}

/*
 * Whether the ID of a session or process group is still that of a leader which started at `start`.
 * The kernel does not reuse it while a member lives; whoever gets it afterwards is younger.
 */
static bool is_still_theirs(pid_t number, unsigned long long start)
{
	struct process leader;

	return !process_read(number, &leader) || leader.start <= start;
}

/* Whether all of its session, or all of its process group, is family. */
static bool is_among_family(const struct family *family, const struct roll *roll,
	const struct process *process)
{
	if (family->session && process->session == family->session)
		return is_still_theirs(family->session, roll->began);
	if (family->leads && process->group == family->daemon)
		return is_still_theirs(family->daemon, roll->began);
	for (size_t i = 1; i < roll->count; i++)
		if (roll->members[i].leads && roll->members[i].pid == process->session)
			return is_still_theirs(process->session, roll->members[i].start);
	return false;
}

/*
 * Whether the process descends from the daemon: it is in the daemon's session, or an ancestor is,
 * or an ancestor was orphaned and so became our child. A process younger than its child is not the
 * parent: it has the PID of one that has exited. No descendant is older than the daemon.
 */
static bool is_family(const struct family *family, const struct roll *roll, pid_t pid,
	struct process process)
{
	unsigned long long youngest = process.start;

	do {
		if (process.start > youngest || process.start < family->since)
			return false;
		if (roll_search(roll, pid, process.start) ||
			is_among_family(family, roll, &process))
			return true;
		if (is_logger_session(process.session))
			return false;
		if (process.parent == getpid())
			return family->adopts;
		youngest = process.start;
		pid = process.parent;
	} while (pid > 0 && process_read(pid, &process));
	return false;
}

/* Whether it is us or one of our ancestors. */
static bool is_caller(pid_t pid)
{
	struct process process = {.parent = getpid()};

	do
		if (process.parent == pid)
			return true;
	while (process.parent > 1 && process_read(process.parent, &process));
	return false;
}

void family_find(const struct family *family, struct roll *roll)
{
	/* Looking takes two fds, and there may be too few. */
	DIR *list = opendir("/proc");
	struct process process = {.state = 0};
	pid_t pid;

	roll->blind = !list || !process_read(getpid(), &process);
	if (!roll->blind && roll->count == 0) {
		process = (struct process){.state = 0};
		if (!process_read(family->daemon, &process) && process_is_alive(family->daemon))
			roll->blind = true;
		else
			roll_add(roll, family->daemon, &process);
		roll->began = process.start;
	}
	while (!roll->blind && (pid = next_process(list, &process))) {
		struct member *known = roll_search(roll, pid, process.start);

		if (known)
			known->leads |= process.session == pid;
		else if (!process_lives(&process) || !is_family(family, roll, pid, process))
			continue;
		else if (is_caller(pid))
			roll->spared = true;
		else
			roll_add(roll, pid, &process);
	}
	if (list)
		closedir(list);
}

static void say_sent(int number, pid_t pid)
{
	verbose("sent signal %d (%s) to pid %ld", number, signal_name(number), (long)pid);
}

/* Reads it again; false, with ESRCH, if it has exited. */
static bool member_read(const struct member *member, struct process *process)
{
	if (process_read(member->pid, process) && process->start == member->start &&
		process_lives(process))
		return true;
	errno = ESRCH;
	return false;
}

/* Pins it before looking at it, so that we cannot hit another that gets its PID meanwhile. */
static int member_signal(const struct member *member, int number)
{
	const int watch = process_watch(member->pid);
	struct process process;
	const int result =
		member_read(member, &process) ? process_signal(watch, member->pid, number) : -1;
	const int saved = errno;

	if (watch != -1)
		close(watch);
	errno = saved;
	return result;
}

/* Stops all on the roll; returns whether all have stopped. An uninterruptible call cannot fork. */
static bool roll_halt(struct roll *roll)
{
	struct process process;
	bool halted = true;

	for (size_t i = 0; i < roll->count; i++) {
		struct member *member = &roll->members[i];

		if (!member->halts) {
			member->halts = true;
			halted &= member_signal(member, SIGSTOP) == -1;
		} else if (member_read(member, &process))
			halted &= process.state != 'R' && process.state != 'S';
	}
	return halted;
}

void family_halt(const struct family *family, struct roll *roll)
{
	unsigned int looks = 0;
	size_t known;
	bool halted;

	/* Done when a search finds nobody new although all had stopped before it. */
	do {
		halted = roll_halt(roll);
		if (!halted)
			nap(NAP);
		known = roll->count;
		family_find(family, roll);
	} while (!roll->blind && (!halted || roll->count > known) && ++looks < MOST_LOOKS);
}

/*
 * For when the family cannot be seen: signals the daemon and its process group, which may outlive
 * it. Zombies count as members, so we reap ours. Returns whether there was anybody.
 */
static bool signal_group(const struct family *family, struct roll *roll, int number)
{
	/* SIGKILL each time: it must also reach what has been forked since. */
	const int due = roll->told == number && number != SIGKILL ? 0 : number;
	const bool lives = !process_has_died(family->daemon);
	const bool has_group = family->leads && getpgrp() != family->daemon;
	bool any = has_group && kill(-family->daemon, due) == 0;

	if (any && due)
		kill(-family->daemon, SIGCONT);
	if (lives && !(has_group && getpgid(family->daemon) == family->daemon)) {
		any |= kill(family->daemon, due) == 0;
		if (due)
			kill(family->daemon, SIGCONT);
	}
	if (any && due)
		say_sent(due, family->daemon);
	while (waitpid(-family->daemon, NULL, WNOHANG) > 0)
		;
	roll->told = number;
	roll->left = family->daemon;
	return any;
}

/* Signals one, unless it has had the signal; returns whether it is alive. */
static bool member_tell(struct roll *roll, struct member *member, int number)
{
	const int due = member->told == number ? 0 : number;

	if (member_signal(member, due) == -1) {
		roll->refused += errno == EPERM;
		return errno == EPERM;
	}
	if (due)
		say_sent(due, member->pid);
	member->halts |= due != 0;
	member->told = number;
	return true;
}

size_t family_signal(const struct family *family, struct roll *roll, int number)
{
	roll->living = roll->refused = 0;
	if (roll->blind)
		roll->living = signal_group(family, roll, number);
	for (size_t i = 0; i < roll->count && !roll->blind; i++) {
		struct member *member = &roll->members[i];

		if (member_tell(roll, member, number)) {
			if (roll->living++ == 0)
				roll->left = member->pid;
		} else if (i > 0 && !member->leads)
			roll->members[i--] = roll->members[--roll->count]; /* struck off */
	}
	/*
	 * A stopped process would not act on it. Children first: no parent should see its
	 * child stopped.
	 */
	for (size_t i = roll->count; i-- > 0;)
		if (roll->members[i].halts) {
			member_signal(&roll->members[i], SIGCONT);
			roll->members[i].halts = false;
		}
	return roll->living;
}

size_t family_follow(const struct family *family, struct roll *roll, int number)
{
	family_find(family, roll);
	/* The last to exit may have started another after we looked at it. */
	if (family_signal(family, roll, number) == 0) {
		family_find(family, roll);
		family_signal(family, roll, number);
	}
	return roll->living;
}

/* Whether the session started with the daemon: then its leader, the parent, exited at once. */
static bool session_is_its_own(pid_t daemon, const struct process *process)
{
	DIR *list;
	struct process other;
	bool own;

	if (process->session == daemon)
		return true;
	if (process->session <= 0 || process->group != daemon ||
		process_read(process->session, &other))
		return false;
	list = opendir("/proc");
	own = list;
	while (own && next_process(list, &other))
		own = other.session != process->session || other.start >= process->start;
	if (list)
		closedir(list);
	return own;
}

struct family family_of(pid_t daemon)
{
	struct family family = {.daemon = daemon, .leads = getpgid(daemon) == daemon};
	struct process process;

	if (process_read(daemon, &process)) {
		family.since = process.start;
		family.session = session_is_its_own(daemon, &process) ? process.session : 0;
	}
	return family;
}

size_t group_count(pid_t group)
{
	struct process process;
	size_t count = 0;
	pid_t pid;
	DIR *list;

	if (kill(-group, 0) == -1 && errno == ESRCH)
		return 0;
	list = opendir("/proc");
	while (list && (pid = next_process(list, &process)))
		count += process.group == group && process_lives(&process) && pid != getpid();
	if (list)
		closedir(list);
	return count;
}

/* True once none is alive that we may signal; false if the deadline passes first. */
static bool end_family_by(const struct family *family, struct roll *roll, int number,
	int64_t deadline)
{
	while (family_follow(family, roll, number) > roll->refused) {
		if (clock_read(CLOCK_MONOTONIC) >= deadline)
			return false;
		while (number == SIGTERM && orphan_reap(family->daemon, 0) &&
			clock_read(CLOCK_MONOTONIC) < deadline)
			;
		nap(number == SIGKILL ? NAP : 10 * NAP);
	}
	return true;
}

void family_kill(const struct family *family)
{
	struct roll roll = {.members = NULL};

	end_family_by(family, &roll, SIGKILL, deadline_in(TERM_GRACE));
	free(roll.members);
}

bool family_end(const struct family *family)
{
	struct roll roll = {.members = NULL};

	if (!end_family_by(family, &roll, SIGTERM, deadline_in(TERM_GRACE)))
		end_family_by(family, &roll, SIGKILL, deadline_in(TERM_GRACE));
	free(roll.members);
	return process_has_died(family->daemon);
}
