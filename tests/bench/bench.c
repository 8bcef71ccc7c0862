/*
 * bench: how long a start takes, with ours and with every other daemonizer that is installed,
 * against the least that it can take: floor.c. Run it from the root of the source, by `make bench`.
 *
 *   -n ROUNDS     in each, all start once, in random order (600)
 *   -m DAEMONS    how many are alive at once, for the last table (5000)
 *   -o            only the first table
 *   -x PROGRAM    one more build of ours to compare with; repeatable
 *   -r FILE       every sample of the first table: round, name, two times in nanoseconds
 *
 * It takes two times, both from just before it spawns the launcher: until it has reaped that
 * ("returns"), and until the command's first instruction ("begins"). All are medians, except the
 * 10th percentile beside them, which is steadier: on a machine that does other work too, you can
 * only compare what was measured in one run, and only by ratio.
 *
 * The command is first.c. It is killed by the PID that it reports. We are the subreaper of all that
 * we start, so that nothing is left over, and each start finds the machine as the one before did.
 */
#define _GNU_SOURCE
#include "first.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_STARTERS = 24, MOST_WORDS = 16, WARM_UP = 3, HUNG_AFTER = 10, HUNDRED = 100 };
enum { LOW = 10, MIDDLE = 50 };	     /* percentiles */
enum { AT_ONCE = 32, IN_ALL = 320 }; /* for the table of throughput */

/* Placeholders for the file names of one start. */
static char PIDFILE[] = "pidfile", FIRST[] = "first", FIFO[] = "fifo";

static char python[] = "import daemon, os, sys\n"
		       "from daemon.pidfile import TimeoutPIDLockFile as Pidfile\n"
		       "with daemon.DaemonContext(pidfile=Pidfile(sys.argv[1])):\n"
		       "    os.execv(sys.argv[2], sys.argv[2:])\n";

struct time {
	int64_t returns, begins; /* nanoseconds */
};

enum base { OURS, FLOOR, PEER };

struct starter {
	const char *name;
	enum base base;
	bool is_static;
	const char *words[MOST_WORDS];
	struct time *times;
	long calls;	/* system calls; -1: unknown */
	long kilobytes; /* of what stays beside the daemon */
};

/* Those that do not run here, or are not built, are left out: see try_all(). */
#define STARTER(title, kind, without_libc, ...)                                                    \
	{                                                                                          \
		.name = title, .base = kind, .is_static = without_libc, .words = { __VA_ARGS__ }   \
	}

static const struct starter all_starters[] = {
	STARTER("**daemonize**", OURS, false, "./daemonize", "-p", PIDFILE, FIRST, FIFO),
	STARTER("**daemonize, static musl**", OURS, true, "tests/bench/static", "-p", PIDFILE,
		FIRST, FIFO),
	STARTER("the floor", FLOOR, false, "tests/bench/floor", PIDFILE, FIRST, FIFO),
	STARTER("the floor, static musl", FLOOR, true, "tests/bench/floor-static", PIDFILE, FIRST,
		FIFO),
	STARTER("bmc/daemonize", PEER, false, "/usr/bin/daemonize", "-p", PIDFILE, FIRST, FIFO),
	STARTER("setsid -f (no pidfile)", PEER, false, "/usr/bin/setsid", "-f", FIRST, FIFO),
	STARTER("busybox start-stop-daemon", PEER, false, "/bin/busybox", "start-stop-daemon", "-S",
		"-b", "-m", "-p", PIDFILE, "-x", FIRST, "--", FIFO),
	STARTER("dpkg start-stop-daemon", PEER, false, "/sbin/start-stop-daemon", "--start",
		"--background", "--make-pidfile", "--pidfile", PIDFILE, "--exec", FIRST, "--",
		FIFO),
	STARTER("libslack daemon", PEER, false, "/usr/bin/daemon", "-F", PIDFILE, "--", FIRST,
		FIFO),
	STARTER("python-daemon", PEER, false, "/usr/bin/python3", "-c", python, PIDFILE, FIRST,
		FIFO),
};

static struct starter starters[MOST_STARTERS];
static size_t n_starters;
static const struct starter *bmc;
static char directory[PATH_MAX], fifo[PATH_MAX], pidfile[PATH_MAX], first_path[PATH_MAX];
static int fifo_fd;

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static int64_t clock_read(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NANOSECONDS + now.tv_nsec;
}

/* ---- The laboratory ----------------------------------------------------------------------- */

static void remove_lab(void)
{
	unlink(fifo);
	unlink(pidfile);
	rmdir(directory);
}

/* A pidfile belongs in memory, as in /run; first, where every peer dares to execute it. */
static void make_lab(void)
{
	snprintf(directory, sizeof directory - 16, "%s/daemonize-bench.XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(directory) || chmod(directory, 0755) == -1)
		fail(directory);
	snprintf(fifo, sizeof fifo, "%.*s/fifo", PATH_MAX - 16, directory);
	snprintf(pidfile, sizeof pidfile, "%.*s/pid", PATH_MAX - 16, directory);
	atexit(remove_lab);
	if (!realpath("tests/bench/first", first_path))
		fail("tests/bench/first");
	if (mkfifo(fifo, 0600) == -1 || (fifo_fd = open(fifo, O_RDWR | O_CLOEXEC)) == -1)
		fail(fifo);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1)
		fail("prctl");
}

/* Lets other programs on the machine disturb us less, if we may. What we start inherits it. */
static void come_first(void)
{
	setpriority(PRIO_PROCESS, 0, -20);
}

static void limit_fds(rlim_t count)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = count;
	if (limit.rlim_max < count)
		limit.rlim_max = count;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		fail("RLIMIT_NOFILE");
}

/* ---- One start ---------------------------------------------------------------------------- */

/* `before` goes in front: strace and its options; NULL: nothing. */
static pid_t spawn(const struct starter *starter, const char *const *before)
{
	static posix_spawn_file_actions_t actions;
	static bool prepared;
	const char *words[2 * MOST_WORDS];
	char *argv[2 * MOST_WORDS];
	size_t count = 0;
	pid_t pid;

	if (!prepared) {
		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
		posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
		prepared = true;
	}
	while (before && *before)
		words[count++] = *before++;
	for (const char *const *word = starter->words; *word; word++)
		words[count++] = *word == PIDFILE ? pidfile
				 : *word == FIRST ? first_path
				 : *word == FIFO  ? fifo
						  : *word;
	words[count] = NULL;
	memcpy(argv, words, sizeof argv); /* posix_spawn(3) does not change them */
	return posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) == 0 ? pid : -1;
}

/* Reads the command's report; false if none comes, or if the launcher has failed. */
static bool hear_first(int status, struct first *first)
{
	struct pollfd event = {.fd = fifo_fd, .events = POLLIN};

	return status == 0 && poll(&event, 1, HUNG_AFTER * 1000) == 1 &&
	       read(fifo_fd, first, sizeof *first) == sizeof *first;
}

static bool start(const struct starter *starter, struct time *time, struct first *first)
{
	const int64_t begun = clock_read();
	const pid_t launcher = spawn(starter, NULL);
	int status;

	if (launcher == -1 || waitpid(launcher, &status, 0) != launcher)
		return false;
	time->returns = clock_read() - begun;
	if (!hear_first(status, first))
		return false;
	time->begins = first->begun - begun;
	return true;
}

/* Kills the commands, and waits until all that was started has exited. */
static void end(const struct first firsts[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		kill(firsts[i].pid, SIGKILL);
	alarm(HUNG_AFTER);
	while (waitpid(-1, NULL, 0) > 0)
		;
	alarm(0);
	unlink(pidfile);
}

static struct time measure(const struct starter *starter)
{
	struct first first;
	struct time time;

	if (!start(starter, &time, &first)) {
		errno = ECANCELED;
		fail(starter->words[0]);
	}
	end(&first, 1);
	return time;
}

/* ---- What else there is to know about a starter ---------------------------------------------- */

/* Its share of all memory, in kilobytes. proc_pid_smaps(5) */
static long kilobytes_of(pid_t pid)
{
	char line[256];
	long kilobytes = 0;
	FILE *file;

	snprintf(line, sizeof line, "/proc/%d/smaps_rollup", (int)pid);
	file = fopen(line, "re");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "Pss: %ld", &kilobytes) == 1)
			break;
	if (file)
		fclose(file);
	return kilobytes;
}

/* The memory of all that we have inherited, except the command itself. */
static long kilobytes_left(pid_t command)
{
	char path[64];
	long total = 0;
	FILE *file;
	int pid;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	file = fopen(path, "re");
	while (file && fscanf(file, "%d", &pid) == 1)
		if (pid != command)
			total += kilobytes_of(pid);
	if (file)
		fclose(file);
	return total;
}

/* Counts the calls in strace's report until the command starts. */
static long count_calls(const char *path)
{
	char line[4096], exec[PATH_MAX + 16];
	FILE *file = fopen(path, "re");
	long pid, command = 0, count = 0;

	snprintf(exec, sizeof exec, " execve(\"%s\"", first_path);
	while (file && fgets(line, sizeof line, file)) {
		pid = strtol(line, NULL, 10);
		if (pid == command || strstr(line, "resumed>") || strstr(line, "+++") ||
			strstr(line, "---"))
			continue;
		count++;
		if (strstr(line, exec))
			command = pid;
	}
	if (file)
		fclose(file);
	return count ? count : -1;
}

static long calls_of(const struct starter *starter)
{
	char report[PATH_MAX];
	const char *const strace[] = {"strace", "-f", "-qq", "-s", "0", "-o", report, NULL};
	struct first first;
	long count;

	snprintf(report, sizeof report, "%.*s/strace", PATH_MAX - 16, directory);
	if (spawn(starter, strace) == -1 || !hear_first(0, &first))
		return -1;
	end(&first, 1);
	count = count_calls(report);
	unlink(report);
	return count;
}

/* Tries each, to leave out what is missing here, and to get all files into memory. */
static void try_all(size_t rounds)
{
	struct first first;
	struct time time;
	size_t count = 0;

	for (size_t i = 0; i < n_starters; i++) {
		struct starter starter = starters[i];

		if (!start(&starter, &time, &first)) {
			fprintf(stderr, "bench: without %s\n", starter.words[0]);
			continue;
		}
		starter.kilobytes = kilobytes_left(first.pid);
		end(&first, 1);
		starter.calls = calls_of(&starter);
		for (int j = 0; j < WARM_UP; j++)
			measure(&starter);
		starter.times = calloc(rounds, sizeof *starter.times);
		if (!starter.times)
			fail("calloc");
		starters[count++] = starter;
		if (!bmc && !strcmp(starter.name, "bmc/daemonize"))
			bmc = &starters[count - 1];
	}
	n_starters = count;
}

/* ---- Rounds and figures ------------------------------------------------------------------- */

static void shuffle(size_t order[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		order[i] = i;
	for (size_t i = count; i > 1; i--) {
		const size_t j = (size_t)random() % i;
		const size_t kept = order[i - 1];

		order[i - 1] = order[j];
		order[j] = kept;
	}
}

static int compare(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The sample that `percent` of all do not exceed, in microseconds. */
static double percentile(const struct time times[], size_t count, bool of_return, size_t percent)
{
	int64_t *sorted = calloc(count, sizeof *sorted);
	double result;

	if (!sorted)
		fail("calloc");
	for (size_t i = 0; i < count; i++)
		sorted[i] = of_return ? times[i].returns : times[i].begins;
	qsort(sorted, count, sizeof *sorted, compare);
	result = (double)sorted[(count - 1) * percent / HUNDRED] / 1000;
	free(sorted);
	return result;
}

static double median(const struct time times[], size_t count, bool of_return)
{
	return percentile(times, count, of_return, MIDDLE);
}

/* The floor of its own build. */
static const struct starter *floor_of(const struct starter *starter)
{
	for (size_t i = 0; i < n_starters; i++)
		if (starters[i].base == FLOOR && starters[i].is_static == starter->is_static)
			return &starters[i];
	return NULL;
}

static void print_ratio(const struct starter *starter, const struct starter *base, size_t rounds,
	bool of_return)
{
	if (!base) {
		printf(" |");
		return;
	}
	printf(" %.2f (%.2f) |",
		median(starter->times, rounds, of_return) / median(base->times, rounds, of_return),
		percentile(starter->times, rounds, of_return, LOW) /
			percentile(base->times, rounds, of_return, LOW));
}

static void print_times(const struct starter *starter, size_t rounds, bool of_return)
{
	printf(" %.0f%s (%.0f) |", median(starter->times, rounds, of_return),
		of_return && starter->base == PEER ? "*" : "",
		percentile(starter->times, rounds, of_return, LOW));
	print_ratio(starter, floor_of(starter), rounds, of_return);
	print_ratio(starter, bmc, rounds, of_return);
}

static void run_rounds(size_t rounds, const char *raw)
{
	size_t order[MOST_STARTERS];
	FILE *file = raw ? fopen(raw, "we") : NULL;

	if (raw && !file)
		fail(raw);
	for (size_t round = 0; round < rounds; round++) {
		shuffle(order, n_starters);
		for (size_t i = 0; i < n_starters; i++) {
			struct starter *starter = &starters[order[i]];

			starter->times[round] = measure(starter);
			if (file)
				fprintf(file, "%zu\t%s\t%lld\t%lld\n", round, starter->name,
					(long long)starter->times[round].returns,
					(long long)starter->times[round].begins);
		}
	}
	if (file)
		fclose(file);
}

static void table_of_starters(size_t rounds, const char *raw)
{
	run_rounds(rounds, raw);
	printf("Medians of %zu rounds, in microseconds, and in brackets 10th percentiles; \"× floor\" is the "
	       "ratio to\nthe floor of the same build. *: returns without knowing whether the command was "
	       "executed.\n\n"
	       "| | returns | × floor | × bmc | command begins | × floor | × bmc | "
	       "system calls | kB resident |\n"
	       "|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
		rounds);
	for (size_t i = 0; i < n_starters; i++) {
		printf("| %s |", starters[i].name);
		print_times(&starters[i], rounds, true);
		print_times(&starters[i], rounds, false);
		if (starters[i].calls == -1)
			printf(" |");
		else
			printf(" %ld |", starters[i].calls);
		printf(" %ld |\n", starters[i].kilobytes);
	}
}

/* ---- Cost as work grows ------------------------------------------------------------------- */

enum { FEW_FDS = 1024, MANY_FDS = 20000, MANY_OPEN = 2000 };

/* Under another limit, or with more fds that the launcher inherits. */
struct condition {
	rlim_t limit;
	int open;
};

static const struct condition conditions[] = {{FEW_FDS, 0}, {MANY_FDS, 0}, {MANY_FDS, MANY_OPEN}};

enum { CONDITIONS = sizeof conditions / sizeof *conditions };

static void set_condition(const struct condition *condition)
{
	const int first = fifo_fd + 1;

	closefrom(first);
	limit_fds(condition->limit);
	for (int i = 0; i < condition->open; i++)
		if (dup2(STDIN_FILENO, first + i) == -1)
			fail("dup2");
}

static void table_of_conditions(size_t rounds)
{
	struct time *times[MOST_STARTERS][CONDITIONS];
	size_t order[CONDITIONS * MOST_STARTERS];

	for (size_t i = 0; i < n_starters; i++)
		for (size_t j = 0; j < CONDITIONS; j++)
			if (!(times[i][j] = calloc(rounds, sizeof *times[i][j])))
				fail("calloc");
	for (size_t round = 0; round < rounds; round++) {
		shuffle(order, n_starters * CONDITIONS);
		for (size_t i = 0; i < n_starters * CONDITIONS; i++) {
			const size_t starter = order[i] / CONDITIONS,
				     condition = order[i] % CONDITIONS;

			set_condition(&conditions[condition]);
			times[starter][condition][round] = measure(&starters[starter]);
		}
	}
	set_condition(&conditions[0]);
	printf("\nReturns / command begins, medians of %zu rounds in microseconds, with 3 file descriptors "
	       "open or 2,000 more,\nand RLIMIT_NOFILE at 1,024 or 20,000.\n\n"
	       "| | 3 open, limit 1,024 | 3 open, limit 20,000 | 2,003 open, limit 20,000 |\n"
	       "|---|--:|--:|--:|\n",
		rounds);
	for (size_t i = 0; i < n_starters; i++) {
		printf("| %s |", starters[i].name);
		for (size_t j = 0; j < CONDITIONS; j++) {
			printf(" %.0f / %.0f |", median(times[i][j], rounds, true),
				median(times[i][j], rounds, false));
			free(times[i][j]);
		}
		printf("\n");
	}
}

/* ---- Many at once ------------------------------------------------------------------------- */

/* Each has a pidfile of its own; returns the launcher's PID. */
static pid_t spawn_numbered(const struct starter *starter, size_t number)
{
	const size_t length = strlen(pidfile);
	pid_t pid;

	snprintf(pidfile + length, sizeof pidfile - length, ".%zu", number);
	pid = spawn(starter, NULL);
	pidfile[length] = '\0';
	return pid;
}

static void unlink_numbered(void)
{
	const size_t length = strlen(pidfile);

	for (size_t i = 0; i < IN_ALL; i++) {
		snprintf(pidfile + length, sizeof pidfile - length, ".%zu", i);
		unlink(pidfile);
	}
	pidfile[length] = '\0';
}

/*
 * How long IN_ALL starts take, AT_ONCE side by side, until the last launcher has returned and the
 * last command has started.
 */
static int64_t time_of_all(const struct starter *starter)
{
	static struct first firsts[IN_ALL];
	pid_t running[AT_ONCE], pid;
	const int64_t begun = clock_read();
	int64_t ended = 0;
	size_t started = 0, returned = 0;
	int status;

	for (; started < AT_ONCE; started++)
		running[started] = spawn_numbered(starter, started);
	while (returned < IN_ALL && (pid = waitpid(-1, &status, 0)) > 0)
		for (size_t i = 0; i < AT_ONCE; i++)
			if (running[i] == pid) {
				returned++;
				running[i] =
					started < IN_ALL ? spawn_numbered(starter, started++) : 0;
			}
	ended = clock_read();
	for (size_t i = 0; i < IN_ALL; i++) {
		if (!hear_first(0, &firsts[i])) {
			errno = ECANCELED;
			fail(starter->words[0]);
		}
		ended = firsts[i].begun > ended ? firsts[i].begun : ended;
	}
	end(firsts, IN_ALL);
	unlink_numbered();
	return ended - begun;
}

static void table_of_throughput(void)
{
	enum { ROUNDS = 7 };
	int64_t times[MOST_STARTERS][ROUNDS];
	size_t order[MOST_STARTERS];

	for (size_t round = 0; round < ROUNDS; round++) {
		shuffle(order, n_starters);
		for (size_t i = 0; i < n_starters; i++)
			times[order[i]][round] = time_of_all(&starters[order[i]]);
	}
	printf("\nStarts per second, %d at once: medians of %d rounds of %d starts, until the last "
	       "command has begun.\n\n| | starts per second |\n|---|--:|\n",
		AT_ONCE, ROUNDS, IN_ALL);
	for (size_t i = 0; i < n_starters; i++) {
		qsort(times[i], ROUNDS, sizeof **times, compare);
		printf("| %s | %.0f |\n", starters[i].name,
			IN_ALL / ((double)times[i][ROUNDS / 2] / NANOSECONDS));
	}
}

/* ---- What the caller brings along --------------------------------------------------------- */

enum { VARIABLES = 16, VARIABLE = 65536, DIRECTORIES = 1000 };

/* Makes the environment 1 MB large, or undoes that. */
static void set_environment(bool large)
{
	static char value[VARIABLE];
	char name[16];

	memset(value, 'x', sizeof value - 1);
	for (int i = 0; i < VARIABLES; i++) {
		snprintf(name, sizeof name, "BENCH%d", i);
		if ((large ? setenv(name, value, 1) : unsetenv(name)) == -1)
			fail(name);
	}
}

/* Sets PATH to this many directories without the command, then the one that has it. */
static void set_path(size_t directories)
{
	static char path[DIRECTORIES * 32 + PATH_MAX];
	size_t size = 0;

	for (size_t i = 0; i < directories; i++)
		size += (size_t)snprintf(path + size, sizeof path - size,
			"/nonexistent/%zu/bin:", i);
	snprintf(path + size, sizeof path - size, "%.*s",
		(int)(strrchr(first_path, '/') - first_path), first_path);
	if (setenv("PATH", path, 1) == -1)
		fail("PATH");
}

/* What each of these adds to a start, in microseconds; for a search of PATH, per directory. */
static void table_of_callers(size_t rounds)
{
	enum { PLAIN, ENVIRONMENT, SHORT_PATH, LONG_PATH, KINDS };
	static char name[] = "first";
	const char *const kept = getenv("PATH");
	char *saved = strdup(kept ? kept : "");
	struct time *times[KINDS];

	printf("\nWhat 1 MB of environment adds to a start until it returns, and each directory of a PATH "
	       "of 1,000\nin which the command is not; medians of %zu rounds, in microseconds.\n\n"
	       "| | 1 MB of environment | a directory of PATH |\n|---|--:|--:|\n",
		rounds);
	for (int kind = 0; kind < KINDS; kind++)
		if (!(times[kind] = calloc(rounds, sizeof **times)))
			fail("calloc");
	for (size_t i = 0; i < n_starters; i++) {
		struct starter by_name = starters[i];

		for (const char **word = by_name.words; *word; word++)
			*word = *word == FIRST && by_name.base == OURS ? name : *word;
		for (size_t round = 0; round < rounds; round++) {
			times[PLAIN][round] = measure(&starters[i]);
			set_environment(true);
			times[ENVIRONMENT][round] = measure(&starters[i]);
			set_environment(false);
			set_path(0);
			times[SHORT_PATH][round] = measure(&by_name);
			set_path(DIRECTORIES);
			times[LONG_PATH][round] = measure(&by_name);
			setenv("PATH", saved, 1);
		}
		printf("| %s | %.0f |", starters[i].name,
			median(times[ENVIRONMENT], rounds, true) -
				median(times[PLAIN], rounds, true));
		if (starters[i].base == OURS)
			printf(" %.2f |\n", (median(times[LONG_PATH], rounds, true) -
						    median(times[SHORT_PATH], rounds, true)) /
						    DIRECTORIES);
		else
			printf(" |\n");
	}
	for (int kind = 0; kind < KINDS; kind++)
		free(times[kind]);
	free(saved);
}

/* Starts this many, all alive at once. */
static void row_of_daemons(const struct starter *starter, size_t count)
{
	const size_t some = count < 2 * HUNDRED ? count / 2 : HUNDRED;
	struct first *firsts = calloc(count, sizeof *firsts);
	struct time *times = calloc(count, sizeof *times);
	size_t started = 0;

	if (!firsts || !times)
		fail("calloc");
	while (started < count && start(starter, &times[started], &firsts[started])) {
		unlink(pidfile);
		started++;
	}
	if (started < count)
		fprintf(stderr, "bench: only %zu daemons\n", started);
	else
		printf("| %s | %.0f / %.0f | %.0f / %.0f |\n", starter->name,
			median(times, some, true), median(times, some, false),
			median(times + count - some, some, true),
			median(times + count - some, some, false));
	end(firsts, started);
	free(firsts);
	free(times);
}

static void table_of_daemons(size_t count)
{
	printf("\nReturns / command begins, medians of the first and the last hundred of %zu daemons that "
	       "live at once.\n\n"
	       "| | first | last |\n|---|--:|--:|\n",
		count);
	for (size_t i = 0; i < n_starters; i++)
		if (starters[i].base != PEER)
			row_of_daemons(&starters[i], count);
}

/* ---- main --------------------------------------------------------------------------------- */

static size_t number_or_die(const char *text)
{
	char *rest;
	const unsigned long number = strtoul(text, &rest, 10);

	if (*rest || number == 0 || number > INT_MAX) {
		errno = EINVAL;
		fail(text);
	}
	return number;
}

static void add_starter(const struct starter *starter)
{
	if (n_starters == MOST_STARTERS) {
		errno = E2BIG;
		fail(starter->words[0]);
	}
	starters[n_starters++] = *starter;
}

static void add_build(const char *path)
{
	struct starter starter = {.name = path, .words = {path, "-p", PIDFILE, FIRST, FIFO}};

	starter.is_static = strstr(path, "static") != NULL;
	add_starter(&starter);
}

int main(int argc, char **argv)
{
	size_t rounds = 600, daemons = 5000;
	const char *raw = NULL;
	bool only_first = false;
	int letter;

	for (size_t i = 0; i < sizeof all_starters / sizeof *all_starters; i++)
		add_starter(&all_starters[i]);
	while ((letter = getopt(argc, argv, "n:m:or:x:")) != -1) {
		switch (letter) {
		case 'n': rounds = number_or_die(optarg); break;
		case 'm': daemons = number_or_die(optarg); break;
		case 'o': only_first = true; break;
		case 'r': raw = optarg; break;
		case 'x': add_build(optarg); break;
		default: return EXIT_FAILURE;
		}
	}
	srandom((unsigned int)clock_read());
	closefrom(STDERR_FILENO + 1);
	make_lab();
	come_first();
	limit_fds(FEW_FDS);
	try_all(rounds);
	table_of_starters(rounds, raw);
	if (only_first)
		return EXIT_SUCCESS;
	table_of_conditions(rounds > 5 ? rounds / 5 : rounds);
	table_of_throughput();
	table_of_callers(rounds > 5 ? rounds / 5 : rounds);
	table_of_daemons(daemons);
	return EXIT_SUCCESS;
}
