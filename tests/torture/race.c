/*
 * race PROGRAM IDLE [ROUNDS]: many starters at the same moment, round after round.
 *
 * Each starter is asked for the PID (-P). All the while each daemon checks that it is alone, by a
 * lock of its own: see idle.c. When all starters have exited, exactly one daemon runs, the pidfile
 * names it, and every other starter has said so. Where some of them wait, stop or are killed,
 * there may be several winners, one after another, but never two at once.
 */
#define _GNU_SOURCE
#include "lab.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_STARTERS = 200, ROUNDS = 10, UP = 0, RUNNING = 3, GAVE_UP = 124 };

enum before {
	NOTHING,
	STALE,	  /* a PID that no process has */
	RECYCLED, /* the PID of a process younger than the file: ours */
	GARBAGE,
};

static const struct race {
	const char *name;
	size_t count;
	size_t waiters, stops, kills; /* every how-many-th one waits, stops, is killed; 0: none */
	enum before before;
	bool loses_lock; /* the daemon closes all its fds */
} races[] = {
	{"32", .count = 32},
	{"32, stale", .count = 32, .before = STALE},
	{"32, recycled", .count = 32, .before = RECYCLED},
	{"32, garbage", .count = 32, .before = GARBAGE},
	{"32, losing the lock", .count = 32, .loses_lock = true},
	{"32, waiting", .count = 32, .waiters = 3, .before = STALE},
	{"32, stopping", .count = 32, .stops = 4},
	{"32, waiting, stopping", .count = 32, .waiters = 3, .stops = 4, .before = STALE},
	{"32, killed", .count = 32, .kills = 2},
	{"32, killed, stopping", .count = 32, .waiters = 3, .stops = 5, .kills = 2,
		.before = STALE},
	{"200", .count = 200},
	{"200, stale", .count = 200, .before = STALE},
	{"200, waiting", .count = 200, .waiters = 3, .before = STALE},
	{"200, waiting, stopping", .count = 200, .waiters = 3, .stops = 8, .before = STALE},
};

struct starter {
	pid_t pid;
	bool waits, stops, is_killed;
	int output; /* all that it writes */
	int status; /* as wait(2) has it */
	char text[256];
	pid_t named; /* the PID in it; 0: none */
};

struct round {
	const struct race *race;
	struct starter starters[MOST_STARTERS];
	size_t n_up, n_refused; /* how many have said so */
	char reason[512];
};

/* ---- A round ------------------------------------------------------------------------------- */

static void prepare(enum before before)
{
	static const struct timespec long_ago[2] = {{1, 0}, {1, 0}};
	char text[32];

	unlink("pid");
	unlink("idle.two");
	snprintf(text, sizeof text, "%ld\n", (long)getpid());
	switch (before) {
	case NOTHING: break;
	case STALE: write_text("pid", "2147483646\n"); break;
	case RECYCLED:
		write_text("pid", text);
		utimensat(AT_FDCWD, "pid", long_ago, 0);
		break;
	case GARBAGE: write_text("pid", "4711x and more than any number has\n"); break;
	}
}

static _Noreturn void become_starter(const struct race *race, const struct starter *starter,
	int gate)
{
	const char *last = race->loses_lock ? "-c" : NULL;
	char byte;

	if (dup2(starter->output, STDOUT_FILENO) == -1 ||
		dup2(starter->output, STDERR_FILENO) == -1 || read(gate, &byte, 1) == -1)
		fail("starter");
	if (starter->stops)
		execl(lab_program, "daemonize", "--stop", "-p", "pid", (char *)NULL);
	else if (starter->waits)
		execl(lab_program, "daemonize", "-P", "-p", "pid", "-w", "0.2", lab_idle, "-a",
			last, (char *)NULL);
	else
		execl(lab_program, "daemonize", "-P", "-p", "pid", lab_idle, "-a", last,
			(char *)NULL);
	fail(lab_program);
}

static bool is_nth(size_t i, size_t every)
{
	return every > 0 && i % every == every - 1;
}

/* All wait at a gate, the end of file on a pipe: it opens when we close the only writing end. */
static void run(struct round *round)
{
	const struct race *race = round->race;
	int gate[2];

	if (pipe2(gate, O_CLOEXEC) == -1)
		fail("pipe2");
	for (size_t i = 0; i < race->count; i++) {
		struct starter *starter = &round->starters[i];

		*starter = (struct starter){.waits = is_nth(i, race->waiters),
			.stops = is_nth(i, race->stops),
			.is_killed = is_nth(i, race->kills),
			.output = memfd_create("output", MFD_CLOEXEC)};
		starter->pid = fork();
		if (starter->output == -1 || starter->pid == -1)
			fail("fork");
		if (starter->pid == 0) {
			close(gate[1]);
			become_starter(race, starter, gate[0]);
		}
	}
	close(gate[0]);
	close(gate[1]);
	for (size_t i = 0; i < race->count; i++)
		if (round->starters[i].is_killed) {
			nap((long)i * 37 % 500);
			kill(round->starters[i].pid, SIGKILL);
		}
}

static void collect(struct round *round)
{
	for (size_t i = 0; i < round->race->count; i++) {
		struct starter *starter = &round->starters[i];
		const char *pid;
		ssize_t size;

		starter->status = await(starter->pid);
		size = pread(starter->output, starter->text, sizeof starter->text - 1, 0);
		starter->text[size < 0 ? 0 : size] = '\0';
		close(starter->output);
		pid = strstr(starter->text, "(pid ");
		starter->named = (pid_t)strtol(pid ? pid + 5 : starter->text, NULL, 10);
		round->n_up += !starter->stops && starter->status == 0;
		round->n_refused += WIFEXITED(starter->status) && WEXITSTATUS(starter->status) != 0;
	}
}

/* ---- The judge ----------------------------------------------------------------------------- */

static bool wrong(struct round *round, const char *what, const struct starter *starter)
{
	snprintf(round->reason, sizeof round->reason, "%s%s%s", what, starter ? ": " : "",
		starter ? starter->text : "");
	return false;
}

static bool is_up(const struct round *round, pid_t pid)
{
	for (size_t i = 0; i < round->race->count; i++)
		if (!round->starters[i].stops && round->starters[i].status == 0 &&
			round->starters[i].named == pid)
			return true;
	return false;
}

static bool judge_starter(struct round *round, const struct starter *starter)
{
	const int status = WIFEXITED(starter->status) ? WEXITSTATUS(starter->status) : -1;
	const char *refusal =
		starter->waits ? "daemonize: gave up waiting" : "daemonize: already running (";

	if (WIFSIGNALED(starter->status))
		return starter->is_killed || wrong(round, "a starter died of a signal", NULL);
	if (starter->stops)
		return (status == 0 && !*starter->text) || wrong(round, "--stop failed", starter);
	if (status == UP)
		return starter->named > 0 || wrong(round, "up, and prints no PID", starter);
	if (status != (starter->waits ? GAVE_UP : RUNNING) ||
		strncmp(starter->text, refusal, strlen(refusal)) != 0)
		return wrong(round, "a starter fails for another reason", starter);
	/* The launcher of the one that it names may have been killed before it could say so. */
	return is_up(round, starter->named) || round->race->kills > 0 ||
	       wrong(round, "a starter names one that is not up", starter);
}

static bool judge_pidfile(struct round *round, pid_t pid)
{
	const struct flock lock = pidfile_lock();

	if (pidfile_number() != pid)
		return wrong(round, "the pidfile names another", NULL);
	return round->race->loses_lock || (lock.l_type == F_RDLCK && lock.l_pid == pid) ||
	       wrong(round, "the pidfile is not locked by the one that runs", NULL);
}

/* A launcher that was killed has not finished what it began. */
static size_t settle(const struct race *race, pid_t pids[LAB_MOST_CHILDREN])
{
	struct round unsettled = {.race = race};
	size_t count = living(pids);

	for (int tries = 0; race->kills > 0 && tries < 2000; tries++) {
		if (count == 0 || (count == 1 && judge_pidfile(&unsettled, pids[0])))
			break;
		nap(1000);
		count = living(pids);
	}
	return count;
}

static bool judge(struct round *round)
{
	const struct race *race = round->race;
	const bool may_end = race->stops > 0;
	pid_t pids[LAB_MOST_CHILDREN];
	const size_t n_alive = settle(race, pids);

	if (access("alone.two", F_OK) == 0)
		return wrong(round, "two ran at once", NULL);
	for (size_t i = 0; i < race->count; i++)
		if (!judge_starter(round, &round->starters[i]))
			return false;
	if (n_alive > 1)
		return wrong(round, "two run", NULL);
	if (n_alive == 0 && !may_end)
		return wrong(round, "nobody runs", NULL);
	if (round->n_up != 1 && !may_end && race->kills == 0)
		return wrong(round, "not one winner", NULL);
	if (n_alive == 1 && race->kills == 0 && !is_up(round, pids[0]))
		return wrong(round, "one runs that nobody has started", NULL);
	return n_alive == 0 || judge_pidfile(round, pids[0]);
}

static bool play(const struct race *race, struct round *round)
{
	bool right;

	*round = (struct round){.race = race};
	prepare(race->before);
	run(round);
	collect(round);
	right = judge(round);
	end_all();
	return right;
}

int main(int argc, char **argv)
{
	const unsigned long rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : ROUNDS;
	unsigned long wrongs = 0;
	static struct round round;
	const unsigned long n_races = sizeof races / sizeof *races;

	if (argc < 3) {
		fprintf(stderr, "usage: race PROGRAM IDLE [ROUNDS]\n");
		return EXIT_FAILURE;
	}
	lab_make(argv[1], argv[2]);
	for (unsigned long i = 0; i < n_races; i++) {
		unsigned long winners = 0, refused = 0, wrong_here = 0;

		for (unsigned long n = 0; n < rounds; n++) {
			if (!play(&races[i], &round)) {
				printf("WRONG race of %s, round %lu: %s\n", races[i].name, n + 1,
					round.reason);
				wrong_here++;
			}
			winners += round.n_up;
			refused += round.n_refused;
		}
		printf("race of %-22s %3lu rounds: %5lu winners, %5lu refused or gave up; "
		       "%lu WRONG\n",
			races[i].name, rounds, winners, refused, wrong_here);
		wrongs += wrong_here;
	}
	lab_remove();
	printf("%lu passed, %lu failed\n", n_races * rounds - wrongs, wrongs);
	return wrongs ? EXIT_FAILURE : EXIT_SUCCESS;
}
