/*
 * sweep [-a12] PROGRAM IDLE [NAME ...]: each system call of each scenario disturbed, one at a time.
 *
 * First the scenario runs undisturbed, and its calls are listed. Then it is run once for
 *
 *   each call and each errno that the kernel can return there;
 *   each call, with SIGKILL just before and just after it;
 *   each call of the launcher, with SIGINT;
 *   each call, while the process stands still and rivals come: see rivalries.
 *
 * After each run the judge compares what the launcher said, by its exit status and on stderr, with
 * the facts; a daemon that is up must be in the very state of the undisturbed one. Then --status
 * must know it, a second start must refuse or succeed as it should, and --stop must terminate it.
 *
 * All that a run leaves becomes a child of ours, the subreaper, so that nothing escapes the judge.
 *
 * A fault has a name, SCENARIO/ROLE/CALL/NTH/WHAT. With NAMEs, only faults are tried whose names are
 * or begin with one of these: "everything/daemon/openat". -a: also those in the middle of a loop, and
 * those in roles that another scenario disturbs as well. -1: only every other scenario; -2: the rest.
 */
#define _GNU_SOURCE
#include "inject.h"
#include "lab.h"
#include "state.h"
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_WORDS = 32 };

#define STALE_NUMBER "2147483646\n" /* more than any PID */

enum before { NOTHING, STALE, RUNNING, UNLOCKED, ENDING, KEPT, TREE };
enum verb { START, KEEP, LIVE, FAIL, REFUSED, CONTENT, STATUS, STOP };

/* In the arguments "@" is the command. They are run in a directory that has what they name. */
static const struct scenario {
	const char *name;
	enum verb verb;	    /* the outcome if undisturbed */
	enum before before; /* what is there, and has the pidfile */
	bool needs_root, rivals;
	const char *arguments;
} scenarios[] = {
	{"plain", START, NOTHING, false, false, "@"},
	{"pidfile", START, NOTHING, false, true, "-p pid -O log @ -a"},
	{"stale", START, STALE, false, false, "-v -p pid -i input -o log -e log2 --truncate @"},
	{"everything", START, NOTHING, true, false,
		"-P -p pid -l lock -u tester -c dir -m 027 --no-core -k 7 -E A=b -O log @"},
	{"lock", START, NOTHING, false, false, "-l lock -E A=b -k 7 @"},
	{"notify", START, NOTHING, false, false, "-p pid --notify -t 5 @ -N"},
	{"notify-fd", START, NOTHING, false, false, "-P -p pid --notify-fd 8 -s 0.01 -t 5 @ -n 8"},
	{"ready", START, NOTHING, false, false, "-p pid --ready true -t 5 @"},
	{"chroot", START, NOTHING, true, false, "-p pid -R root -u tester /idle"},
	{"script", START, NOTHING, false, false, "-p pid ./script"},
	{"foreground", START, NOTHING, false, true, "-f -p pid -O log @ -a"},
	{"wait", START, ENDING, false, false, "-p pid -w 5 @"},
	{"late", FAIL, NOTHING, false, false, "-p pid --notify -t 0.005 @"},
	{"never", FAIL, NOTHING, false, false, "-p pid --ready false -t 0.005 @"},
	{"dies", FAIL, NOTHING, false, false, "-p pid -s 5 @ -m 0"},
	{"keep", KEEP, NOTHING, false, false, "-p pid --restart 0.1 -O log @"},
	{"keep-everything", KEEP, NOTHING, true, false,
		"-P -p pid -l lock --restart 0.1 -s 0.01 -u tester -c dir --no-core -k 7 @"},
	{"keep-chroot", KEEP, NOTHING, true, false, "-p pid --restart 0.1 -R root -u tester /idle"},
	{"keep-live", LIVE, NOTHING, false, false, "-p pid --restart 0.1 @ -r"},
	{"keep-dies", FAIL, NOTHING, false, false, "-p pid --restart 0.1 -s 5 @ -m 0"},
	{"refused", REFUSED, RUNNING, false, false, "-p pid -l lock @"},
	{"unlocked", REFUSED, UNLOCKED, false, false, "-p pid @ -c"},
	{"content", CONTENT, RUNNING, false, false, "-p pid --ok-if-running @"},
	{"status", STATUS, RUNNING, false, false, "--status -p pid"},
	{"status-unlocked", STATUS, UNLOCKED, false, false, "--status -p pid"},
	{"status-stale", STATUS, STALE, false, false, "--status -p pid"},
	{"status-none", STATUS, NOTHING, false, false, "--status -p pid"},
	{"stop", STOP, RUNNING, false, true, "--stop -t 5 -p pid"},
	{"stop-unlocked", STOP, UNLOCKED, false, false, "--stop -t 5 -p pid"},
	{"stop-stale", STOP, STALE, false, true, "--stop -t 5 -p pid"},
	{"stop-kept", STOP, KEPT, false, false, "--stop -t 5 -p pid"},
	{"stop-tree", STOP, TREE, false, false, "--stop --tree -t 5 -p pid"},
	{"kill", STOP, RUNNING, false, false, "--signal KILL -p pid"},
};

/* What others do meanwhile. $0 is the program, $1 the command, $2 its option. */
static const struct rivalry {
	const char *what;
	enum verb against;
	bool in_vain;	    /* nothing of the rival's is left running */
	const char *script; /* NULL: the pidfile is removed, unless it is locked for good */
} rivalries[] = {
	{MEANWHILE "-START", START, false, "exec $0 -p pid $1 -a"},
	{MEANWHILE "-START-STOP", START, true, "$0 -p pid $1 -a && exec $0 --stop -p pid"},
	/* The number then looks recycled, as after a step of the clock. */
	{MEANWHILE "-SET-BACK-START", START, false, "touch -cd @1 pid; exec $0 -p pid $1 -a"},
	{MEANWHILE "-REMOVE", START, false, NULL},
	{MEANWHILE "-START", STOP, false, "exec $0 -p pid $1 -a $2"},
	{MEANWHILE "-STOP-START", STOP, false, "$0 --stop -p pid && exec $0 -p pid $1 -a $2"},
	{MEANWHILE "-START-STOP", STOP, true, "$0 -p pid $1 -a $2 && exec $0 --stop -p pid"},
};

/* One run, and what is known of it. */
struct trial {
	const struct scenario *scenario;
	bool in_startup;       /* the fault is in libc's, before main */
	const char *reference; /* the undisturbed daemon's state; NULL: this is it */
	pid_t first;	       /* had the pidfile before; 0: none did */
	struct run run;
	const struct rivalry *rivalry; /* NULL: it is another fault */
	bool rival_is_late;
	char out[LAB_TEXT], err[LAB_TEXT]; /* what the launcher wrote */
	pid_t alive[LAB_MOST_CHILDREN];
	size_t n_alive; /* without the first */
	bool first_lives;
	char state[LAB_TEXT];
	char reason[LAB_TEXT]; /* why it is wrong; "" if it is right */
};

struct tally {
	unsigned long done, reported; /* what came of errors: nothing, or a failure */
	unsigned long kills, interrupts, rivals;
	unsigned long wrong;
	unsigned long missed; /* the call was not made: nothing was tried */
};

/* ---- Running the program ------------------------------------------------------------------- */

/* The odd caller: fds that are nobody's business, a mask, a disposition, an environment. */
static void be_caller(const char *out, const char *err)
{
	const struct {
		int fd, flags;
		const char *path;
	} files[] = {{0, O_RDONLY, "/dev/null"}, {1, O_WRONLY | O_CREAT | O_TRUNC, out},
		{2, O_WRONLY | O_CREAT | O_TRUNC, err}, {5, O_RDWR | O_CREAT, "junk"},
		{7, O_RDWR | O_CREAT, "kept"}, {20, O_RDONLY, "junk"}};
	sigset_t set;
	int fd;

	for (fd = STDERR_FILENO + 1; fd < 256; fd++)
		close(fd);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		fd = open(files[i].path, files[i].flags, 0666);
		if (fd == -1 || dup2(fd, files[i].fd) == -1)
			fail(files[i].path);
		if (fd != files[i].fd)
			close(fd);
	}
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_DFL);
	umask(077);
	clearenv();
	setenv("PATH", "/usr/bin:/bin", 1);
	setenv("NOTIFY_SOCKET", "/nonexistent", 1);
}

static void prepare(void)
{
	be_caller("out", "err");
}

static void split(char *text, char **words)
{
	size_t count = 0;

	words[count++] = lab_program;
	for (char *word = strtok(text, " "); word && count < MOST_WORDS - 1;
		word = strtok(NULL, " "))
		words[count++] = strcmp(word, "@") != 0 ? word : lab_idle;
	words[count] = NULL;
}

/* Runs the program untraced. Returns its wait status; out and err hold what it wrote. */
static int run(const char *arguments, char out[LAB_TEXT], char err[LAB_TEXT])
{
	char text[LAB_TEXT], *words[MOST_WORDS];
	const pid_t pid = fork();
	int status;

	if (pid == 0) {
		snprintf(text, sizeof text, "%s", arguments);
		split(text, words);
		prepare();
		execv(lab_program, words);
		fail(lab_program);
	}
	status = await(pid);
	read_text("out", out);
	read_text("err", err);
	return status;
}

/* Lets the rivals finish, unless they have to wait for the process that stands still. */
static void send_rivals(void *argument)
{
	enum { PATIENCE = 100 }; /* milliseconds */
	struct trial *t = argument;
	siginfo_t info = {.si_pid = 0};

	if (!t->rivalry->script) {
		if (pidfile_lock().l_type != F_RDLCK)
			unlink("pid");
		return;
	}
	t->run.other = fork();
	if (t->run.other == 0) {
		be_caller("rival", "rival");
		execl("/bin/sh", "sh", "-c", t->rivalry->script, lab_program, lab_idle,
			t->scenario->before == UNLOCKED ? "-c" : "", (char *)NULL);
		fail("/bin/sh");
	}
	for (int i = 0; i < PATIENCE && info.si_pid == 0; i++) {
		nap(1000);
		waitid(P_PID, (id_t)t->run.other, &info, WEXITED | WNOHANG | WNOWAIT);
	}
	t->rival_is_late = info.si_pid == 0;
}

static bool exited(int ended, int status)
{
	return WIFEXITED(ended) && WEXITSTATUS(ended) == status;
}

static bool has_word(const struct scenario *scenario, const char *word)
{
	const char *found = strstr(scenario->arguments, word);

	return found && (found == scenario->arguments || found[-1] == ' ') &&
	       strchr(" ", found[strlen(word)]);
}

/* What the daemon leaves running beside itself. */
static size_t company(const struct scenario *scenario)
{
	return scenario->verb == KEEP || scenario->before == KEPT ? 1
	       : scenario->before == TREE			  ? 2
								  : 0;
}

static bool has_keeper(const struct scenario *scenario)
{
	return has_word(scenario, "--restart");
}

/* The roles before it do only what they do in the scenario "keep", too. */
static enum role first_role(const struct scenario *scenario)
{
	if (!has_keeper(scenario) || !strcmp(scenario->name, "keep"))
		return LAUNCHER;
	return scenario->verb == KEEP ? DAEMON : KEEPER;
}

/* Whether the keeper exits by itself, and is traced until then. */
static bool is_watched(const struct scenario *scenario)
{
	return scenario->verb == LIVE || scenario->verb == FAIL;
}

/* ---- The judge ----------------------------------------------------------------------------- *
 *
 * A check that is not satisfied says why, and is the last one.
 */

__attribute__((format(printf, 2, 3))) static bool wrong(struct trial *t, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(t->reason, sizeof t->reason, format, arguments);
	va_end(arguments);
	return false;
}

static bool fault_is(const struct trial *t, const char *call)
{
	char name[32];

	call_name(&t->run.fault.call, name, sizeof name);
	return t->run.fault.what && !strcmp(name, call);
}

static bool killed(const struct trial *t, enum role role)
{
	const struct fault *fault = &t->run.fault;

	return t->run.reached && fault->what && fault->call.role == role &&
	       (!strcmp(fault->what, KILL_BEFORE) || !strcmp(fault->what, KILL_AFTER));
}

static bool interrupted(const struct trial *t)
{
	return t->run.fault.what && !strcmp(t->run.fault.what, INTERRUPT);
}

/* A file is said not to exist: some libc then looks no further. getpwnam(3) */
static bool hides_a_file(const struct trial *t)
{
	const char *what = t->run.fault.what;

	return (fault_is(t, "open") || fault_is(t, "openat") || fault_is(t, "lstat") ||
		       fault_is(t, "newfstatat")) &&
	       (!strcmp(what, "ENOENT") || !strcmp(what, "ENOTDIR") || !strcmp(what, "EPERM"));
}

/* A start that is told that the lock is taken must believe it. */
static bool hides_a_lock(const struct trial *t)
{
	return fault_is(t, "flock") && !strcmp(t->run.fault.what, "EAGAIN");
}

/* One line that names the program; or none, if the fault was in writing it. */
static bool judge_complaint(struct trial *t)
{
	const char *line = t->err;

	if (t->in_startup || ((fault_is(t, "write") || fault_is(t, "writev")) && !*line))
		return true;
	if (has_word(t->scenario, "-v")) /* the last of many */
		for (const char *c = line; *c; c++)
			if (*c == '\n' && c[1])
				line = c + 1;
	if (strncmp(line, "daemonize: ", 11) != 0 || !strchr(line, '\n') || strchr(line, '\n')[1])
		return fault_is(t, "write") || wrong(t, "not one line on stderr");
	return true;
}

static bool judge_pidfile(struct trial *t, pid_t pid)
{
	const struct flock lock = pidfile_lock();
	char text[LAB_TEXT], right[32];

	read_text("pid", text);
	snprintf(right, sizeof right, "%ld\n", (long)pid);
	if (strcmp(text, right) != 0)
		return wrong(t, "pid %ld runs, and the pidfile says '%s'", (long)pid, text);
	if (t->scenario->before != UNLOCKED && (lock.l_type != F_RDLCK || lock.l_pid != pid))
		return wrong(t, "pid %ld runs, and has not locked the pidfile", (long)pid);
	return true;
}

/* Names the first line that differs. */
static bool judge_difference(struct trial *t)
{
	const char *is = t->state, *should = t->reference;

	while (*is && *is == *should) {
		is++;
		should++;
	}
	while (is > t->state && is[-1] != '\n') {
		is--;
		should--;
	}
	/* The keeper has the token's fd, which is lower where the number above was refused. */
	if (!strncmp(is, "fd ", 3) && company(t->scenario) && fault_is(t, "fcntl:F_DUPFD"))
		return true;
	if (!strncmp(is, "Groups:", 7) && t->run.fault.call.role == LAUNCHER && hides_a_file(t))
		return true;
	return wrong(t, "the state is '%.*s', and should be '%.*s'", (int)strcspn(is, "\n"), is,
		(int)strcspn(should, "\n"), should);
}

/* Everything that a daemon has is as in the undisturbed run. */
static bool judge_state(struct trial *t, pid_t pid)
{
	/* The keeper may have started the command again. */
	const bool is_comparable = t->run.fault.call.role < COMMAND;

	*t->state = '\0';
	for (size_t i = 0; i < t->n_alive; i++)
		state_of(t->alive[i], t->state);
	if (is_comparable && t->reference && strcmp(t->state, t->reference) != 0 &&
		!judge_difference(t))
		return false;
	return !state_has_low_lock(pid) || fault_is(t, "fcntl:F_DUPFD") ||
	       wrong(t, "a lock has a low fd");
}

static bool judge_up(struct trial *t)
{
	const pid_t pid = t->alive[0];
	char right[32] = "";

	if (t->n_alive != 1 + company(t->scenario))
		return wrong(t, "%zu processes run", t->n_alive);
	if (has_word(t->scenario, "-P") && t->run.status == 0)
		snprintf(right, sizeof right, "%ld\n", (long)pid);
	if (t->run.status == 0 && strcmp(t->out, right) != 0)
		return wrong(t, "stdout says '%s'", t->out);
	if (t->run.status == 0 && *t->err && !has_word(t->scenario, "-v"))
		return wrong(t, "success, and something on stderr");
	return judge_state(t, pid) && (!has_word(t->scenario, "-p") || judge_pidfile(t, pid));
}

/* Nothing runs, and the pidfile names no living process. */
static bool judge_down(struct trial *t)
{
	const pid_t number = pidfile_number();

	if (t->n_alive > 0)
		return wrong(t, "a failure, and pid %ld runs", (long)t->alive[0]);
	if (number > 0 && kill(number, 0) == 0)
		return wrong(t, "nothing runs, and the pidfile names pid %ld, which lives",
			(long)number);
	return true;
}

/*
 * A start that has failed leaves no pidfile but the one that was there, unless the launcher was
 * disturbed while it heard of the failure or cleaned up, or, in the foreground, while it took the
 * lock.
 */
static bool judge_leftover(struct trial *t)
{
	const bool is_late = fault_is(t, "chdir") || fault_is(t, "rt_sigaction") ||
			     fault_is(t, "rt_sigprocmask") || fault_is(t, "execve");
	char text[LAB_TEXT];

	read_text("pid", text);
	if (!*text || (t->run.fault.call.role == LAUNCHER && t->run.fault.what && !is_late))
		return true;
	if (t->scenario->before == STALE ? !strcmp(text, STALE_NUMBER)
					 : pidfile_number() == t->first)
		return true;
	return wrong(t, "a failure, and a pidfile is left that says '%s'", text);
}

/* The right status, and the reason. */
static bool judge_failure(struct trial *t)
{
	const int status = WEXITSTATUS(t->run.status);
	const bool in_exec = fault_is(t, "execve") && t->run.fault.what[0] == 'E';

	if (t->in_startup)
		return true;
	if (!WIFEXITED(t->run.status))
		return (interrupted(t) && WTERMSIG(t->run.status) == SIGINT) ||
		       wrong(t, "died of signal %d", WTERMSIG(t->run.status));
	if (status != 126 && status != 127 && (status != 1 || in_exec) &&
		(status != 3 || !hides_a_lock(t)) &&
		((status != 4 && status != 124) || t->scenario->verb != FAIL))
		return wrong(t, "exit status %d", status);
	return judge_complaint(t);
}

static bool judge_start(struct trial *t)
{
	const bool foreground = has_word(t->scenario, "-f");

	if (killed(t, LAUNCHER))
		return t->n_alive > 0 && !(foreground && !t->run.execed) ? judge_up(t)
									 : judge_down(t);
	/* It was up when it was killed. */
	if (killed(t, DAEMON) && t->run.execed && t->n_alive == 0 &&
		(t->run.status == 0 || (exited(t->run.status, 4) && judge_complaint(t))))
		return judge_down(t);
	if (t->run.status == 0 || (foreground && t->run.execed))
		return judge_up(t);
	return judge_down(t) && judge_leftover(t) && judge_failure(t);
}

/* A keeper that is killed leaves nothing behind, even after the start. */
static bool judge_keep(struct trial *t)
{
	const bool is_late =
		killed(t, KEEPER) || (t->in_startup && t->run.fault.call.role == KEEPER);

	if (is_late || (killed(t, DAEMON) && t->run.keeper))
		return t->n_alive == 0 && (t->run.status == 0 || exited(t->run.status, 4))
			       ? judge_down(t)
			       : judge_start(t);
	if (killed(t, COMMAND) && !t->run.execed && t->run.status == 0)
		return wrong(t, "exit status 0, and the command was not executed");
	/* The first run has exited before it was ready. */
	if (killed(t, COMMAND) && t->run.execed && exited(t->run.status, 4))
		return judge_down(t) && judge_leftover(t) && judge_complaint(t);
	return judge_start(t);
}

/* Started, and then terminated by its own command: whatever befalls the keeper, nothing is left. */
static bool judge_live(struct trial *t)
{
	return (t->run.status == 0 || wrong(t, "the start has failed")) && judge_down(t);
}

/* It never gets ready, or it dies: the launcher terminates it, or says that it cannot. */
static bool judge_fail(struct trial *t)
{
	if (killed(t, LAUNCHER))
		return t->n_alive == 0 ? judge_down(t)
				       : t->n_alive == 1 && judge_pidfile(t, t->alive[0]);
	if (t->run.status == 0)
		return wrong(t, "exit status 0");
	if (t->n_alive == 1 && strstr(t->err, "cannot be ended"))
		return judge_pidfile(t, t->alive[0]) && judge_failure(t);
	return judge_down(t) && judge_leftover(t) && judge_failure(t);
}

/* The first daemon lives on, untouched, and no other does. */
static bool judge_first(struct trial *t)
{
	if (!t->first_lives)
		return wrong(t, "the daemon that ran has gone");
	if (t->n_alive > company(t->scenario))
		return wrong(t, "two daemons run");
	return judge_pidfile(t, t->first);
}

static bool judge_refused(struct trial *t)
{
	char right[64];

	if (!judge_first(t))
		return false;
	if (killed(t, LAUNCHER))
		return true;
	if (t->scenario->verb == CONTENT && t->run.status == 0)
		return !*t->err || wrong(t, "not silent");
	if (t->run.status == 0)
		return wrong(t, "exit status 0, and another runs");
	if (!exited(t->run.status, 3))
		return judge_failure(t);
	snprintf(right, sizeof right, "daemonize: already running (pid %ld)\n", (long)t->first);
	return !strcmp(t->err, right) || fault_is(t, "write") ||
	       wrong(t, "refuses for another reason");
}

static bool judge_status(struct trial *t)
{
	const enum before before = t->scenario->before;
	char right[64] = "not running\n";
	int status = 3;

	if (t->first && !judge_first(t))
		return false;
	if (killed(t, LAUNCHER) || (interrupted(t) && !WIFEXITED(t->run.status)) || t->in_startup ||
		hides_a_file(t))
		return true;
	if (before == STALE) {
		status = 1;
		snprintf(right, sizeof right, "not running, stale pidfile\n");
	} else if (t->first) {
		status = 0;
		snprintf(right, sizeof right, "running (pid %ld)\n", (long)t->first);
	}
	if (exited(t->run.status, status) && !strcmp(t->out, right))
		return true;
	if (!exited(t->run.status, 4))
		return wrong(t, "says '%.*s'", (int)strcspn(t->out, "\n"), t->out);
	return judge_complaint(t);
}

static bool judge_stop(struct trial *t)
{
	const bool done = t->run.status == 0;

	if (t->scenario->before == TREE ? t->n_alive > company(t->scenario)
					: t->n_alive != company(t->scenario) * t->first_lives)
		return wrong(t, "something runs");
	if (killed(t, LAUNCHER) || (interrupted(t) && !WIFEXITED(t->run.status)))
		return true;
	if (!t->first_lives && t->n_alive > 0)
		return (!done || wrong(t, "exit status 0, and a child runs")) && judge_complaint(t);
	if (t->first_lives)
		return done ? hides_a_file(t) || wrong(t, "exit status 0, and it runs")
			    : judge_first(t) && judge_complaint(t);
	if (t->first && !done && !t->in_startup)
		return wrong(t, "has stopped it, and says not");
	return done || judge_complaint(t);
}

/* Of two starters one wins, and the other knows it; a rival that wins may then be stopped. */
static bool judge_rivals(struct trial *t)
{
	const bool is_start = t->scenario->verb == START;
	const bool stopped = t->rivalry->in_vain;
	const bool up = is_start && (t->run.status == 0 || t->run.execed);
	const bool rival_up = exited(t->run.other_status, 0);

	if (access("idle.two", F_OK) == 0)
		return wrong(t, "two daemons ran at once");
	if (!rival_up && !exited(t->run.other_status, 3))
		return wrong(t, "the rival ended with status %#x",
			(unsigned int)t->run.other_status);
	if (is_start ? !up && !exited(t->run.status, 3) : t->run.status != 0 || t->first_lives)
		return wrong(t, "has failed");
	if (up)
		return (!rival_up || stopped || wrong(t, "two starters say that they are up")) &&
		       judge_up(t);
	if (is_start && (!rival_up || (stopped && !t->rival_is_late)))
		return wrong(t, "refused, and nobody runs");
	/* --stop may have met the rival. */
	if (t->n_alive == 0 && (!is_start || stopped))
		return judge_down(t);
	return (t->n_alive == 1 || wrong(t, "%zu daemons run", t->n_alive)) &&
	       judge_pidfile(t, t->alive[0]);
}

/* Only a process that is killed, or may not remove it, leaves a draft of the pidfile. */
static bool judge_drafts(struct trial *t)
{
	const bool is_excused = killed(t, t->run.fault.call.role) || fault_is(t, "unlink") ||
				fault_is(t, "unlinkat");
	const size_t drafts = remove_drafts();

	return is_excused || drafts == 0 || wrong(t, "%zu drafts of the pidfile are left", drafts);
}

static bool judge(struct trial *t)
{
	if (t->run.hung)
		return wrong(t, "hangs");
	if (t->run.other)
		return judge_rivals(t);
	switch (t->scenario->verb) {
	case START: return judge_start(t);
	case KEEP: return judge_keep(t);
	case LIVE: return judge_live(t);
	case FAIL: return judge_fail(t);
	case REFUSED:
	case CONTENT: return judge_refused(t);
	case STATUS: return judge_status(t);
	case STOP: return judge_stop(t);
	}
	return false;
}

/* ---- What the next command makes of it ----------------------------------------------------- */

static bool expect(struct trial *t, const char *arguments, int status, const char *text)
{
	char out[LAB_TEXT], err[LAB_TEXT];
	const int ended = run(arguments, out, err);

	if (exited(ended, status) && strstr(*out ? out : err, text))
		return true;
	return wrong(t, "afterwards '%s' says, with status %#x: %s%s", arguments,
		(unsigned int)ended, out, err);
}

/* --status tells the truth, the next start works or refuses, --stop ends it. */
static bool judge_next(struct trial *t)
{
	const bool has_pidfile = has_word(t->scenario, "-p");
	const char *const arguments = has_pidfile ? "-p pid @" : "-l lock @";
	const bool is_family = t->scenario->before >= KEPT;
	const pid_t runs = t->first_lives		  ? t->first
			   : t->n_alive > 0 && !is_family ? t->alive[0]
							  : 0;
	const int status = runs ? 0 : access("pid", F_OK) == 0 ? 1 : 3;
	char text[64] = "not running";
	pid_t pids[LAB_MOST_CHILDREN];

	if (!has_pidfile && !has_word(t->scenario, "-l"))
		return true;
	/* Where the daemon has exited before its children, it can no longer be stopped with them. */
	if (t->scenario->before == TREE && !runs)
		end_all();
	if (runs)
		snprintf(text, sizeof text, "running (pid %ld)\n", (long)runs);
	if (has_pidfile && !expect(t, "--status -p pid", status, text))
		return false;
	*text = '\0';
	if (runs && has_pidfile)
		snprintf(text, sizeof text, "(pid %ld)", (long)runs);
	if (!expect(t, arguments, runs ? 3 : 0, text))
		return false;
	if (living(pids) != 1 + (runs ? company(t->scenario) : 0))
		return wrong(t, "after the next start there is not one daemon");
	if (!has_pidfile)
		return true;
	if (!expect(t,
		    t->scenario->before == TREE ? "--stop --tree -t 5 -p pid"
						: "--stop -t 5 -p pid",
		    0, ""))
		return false;
	return living(pids) == 0 || wrong(t, "--stop succeeds, and it runs");
}

/* ---- Trials -------------------------------------------------------------------------------- */

static bool are_at_rest(const pid_t *pids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!state_is_at_rest(pids[i]))
			return false;
	return true;
}

/* Starts the daemon that runs before the scenario begins. */
static pid_t start_first(const struct scenario *scenario)
{
	const enum before before = scenario->before;
	const char *arguments = "-p pid @";
	const size_t count = 1 + company(scenario);
	char out[LAB_TEXT], err[LAB_TEXT];
	pid_t pids[LAB_MOST_CHILDREN];

	if (before == STALE)
		write_text("pid", STALE_NUMBER);
	if (before == STALE || before == NOTHING)
		return 0;
	if (scenario->verb == REFUSED)
		arguments = scenario->arguments;
	else if (before == UNLOCKED)
		arguments = "-p pid @ -c";
	else if (before == ENDING)
		arguments = "-p pid @ -m 20";
	else if (before == KEPT)
		arguments = "-p pid --restart 0.1 @";
	else if (before == TREE)
		arguments = "-p pid @ -t";
	if (run(arguments, out, err) != 0 ||
		(before != ENDING && before != TREE && living(pids) != count))
		fail("cannot start the first daemon");
	while (before >= KEPT && (living(pids) != count || !are_at_rest(pids, count)))
		nap(1000);
	while (before == UNLOCKED && pidfile_lock().l_type != F_UNLCK)
		nap(1000);
	return pidfile_number();
}

static void look_around(struct trial *t)
{
	const struct scenario *scenario = t->scenario;
	const bool is_kept = scenario->verb == KEEP || scenario->before == KEPT;

	/* A process that was signalled is on its way out, and one that has just begun may exit at once. */
	t->n_alive = living(t->alive);
	/* A keeper that is alone pauses, or is about to exit. */
	for (int tries = 0; tries < 1000 &&
			    (!are_at_rest(t->alive, t->n_alive) || (is_kept && t->n_alive == 1));
		tries++) {
		nap(1000);
		t->n_alive = living(t->alive);
	}
	t->first_lives = false;
	for (size_t i = 0; i < t->n_alive; i++)
		if (t->alive[i] == t->first) {
			t->first_lives = true;
			t->alive[i--] = t->alive[--t->n_alive];
		}
	/* A daemon that was to be waited for exits anyway. */
	if (t->first_lives && scenario->before == ENDING) {
		end(t->first);
		t->first_lives = false;
	}
}

/* Runs and judges; true if it is right. The run's calls are the caller's to free. */
static bool try(struct trial *t)
{
	static const char *const traces[] = {"pid", "lock", "log", "log2", "idle.run", "idle.two"};
	char text[LAB_TEXT], *words[MOST_WORDS];
	bool right;

	for (size_t i = 0; i < sizeof traces / sizeof *traces; i++)
		unlink(traces[i]);
	remove_drafts();
	*t->reason = '\0';
	t->first = start_first(t->scenario);
	snprintf(text, sizeof text, "%s", t->scenario->arguments);
	split(text, words);
	t->run.command = words;
	t->run.prepare = prepare;
	t->run.meanwhile = send_rivals;
	t->run.argument = t;
	t->run.kept = has_keeper(t->scenario);
	t->run.watched = is_watched(t->scenario);
	inject(&t->run);
	read_text("out", t->out);
	read_text("err", t->err);
	look_around(t);
	right = judge(t) && judge_drafts(t) && judge_next(t);
	end_all();
	return right;
}

static void fault_name(const struct trial *t, char *name, size_t size)
{
	const struct fault *fault = &t->run.fault;
	char call[32];

	call_name(&fault->call, call, sizeof call);
	snprintf(name, size, "%s/%s/%s/%u/%s", t->scenario->name, role_name(fault->call.role), call,
		fault->call.nth, fault->what);
}

static void count(const struct trial *t, bool right, struct tally *tally)
{
	if (!t->run.reached) {
		tally->missed++;
		return;
	}
	if (t->rivalry)
		tally->rivals++;
	else if (interrupted(t))
		tally->interrupts++;
	else if (killed(t, t->run.fault.call.role))
		tally->kills++;
	else if (t->run.status == 0 || t->run.execed)
		tally->done++;
	else
		tally->reported++;
	tally->wrong += !right;
}

/* What is asked for on the command line. */
struct selection {
	char **names; /* NULL-terminated; none: all */
	bool all;     /* also what is_in_loop() */
};

static void try_fault(struct trial *t, const char *what, const struct selection *selection,
	struct tally *tally)
{
	char name[128];
	bool right, chosen = !*selection->names;

	t->run.fault.what = what;
	fault_name(t, name, sizeof name);
	for (char **prefix = selection->names; *prefix; prefix++)
		chosen |= !strncmp(name, *prefix, strlen(*prefix)) &&
			  strchr("/", name[strlen(*prefix)]);
	if (!chosen)
		return;
	right = try(t);
	count(t, right, tally);
	free(t->run.calls);
	if (!right)
		printf("WRONG %s: %s\n      status %#x, stderr: %s%s", name, t->reason,
			(unsigned int)t->run.status, t->err, *t->err ? "" : "\n");
}

static void try_call(struct trial *t, const struct selection *selection, struct tally *tally)
{
	const struct call *call = &t->run.fault.call;
	/*
	 * Of a process that does not exist, kill does not say that it may not be signalled. The calls of
	 * a keeper in its life, such as wait(2) for a child that it has, cannot fail, nor can sigaction(2).
	 */
	const bool may_fail = (t->scenario->before != STALE || call->number != SYS_kill) &&
			      (call->role != KEEPER || (!is_watched(t->scenario) &&
							       call->number != SYS_rt_sigaction));
	/* The wait of a keeper that is not watched never ends. */
	const bool may_return =
		call->role != KEEPER || is_watched(t->scenario) || call->number != SYS_ppoll;
	const char *what;

	for (size_t i = 0; may_fail && (what = call_error(call, i)); i++)
		try_fault(t, what, selection, tally);
	try_fault(t, KILL_BEFORE, selection, tally);
	if (may_return)
		try_fault(t, KILL_AFTER, selection, tally);
	if (call->role == LAUNCHER && !has_word(t->scenario, "-f"))
		try_fault(t, INTERRUPT, selection, tally);
	if (!t->scenario->rivals || t->in_startup)
		return;
	for (size_t i = 0; i < sizeof rivalries / sizeof *rivalries; i++)
		if (rivalries[i].against == t->scenario->verb) {
			t->rivalry = &rivalries[i];
			try_fault(t, t->rivalry->what, selection, tally);
		}
}

static void show(const char *name, const struct tally *tally)
{
	printf("%-15s %5lu errors: %4lu done all the same, %4lu reported; %5lu kills, "
	       "%4lu interrupts, %3lu rivals; %lu WRONG",
		name, tally->done + tally->reported, tally->done, tally->reported, tally->kills,
		tally->interrupts, tally->rivals, tally->wrong);
	if (tally->missed)
		printf("; %lu not reached", tally->missed);
	putchar('\n');
}

/*
 * All signals are reset in a loop, and a failed --notify looks at all processes: of so many calls
 * of a kind the first and the last few are enough.
 */
static bool is_in_loop(const struct run *run, const struct call *call)
{
	enum { MANY = 40, ENDS = 4 };
	unsigned int last = 0;

	for (size_t i = 0; i < run->n_calls; i++)
		if (call_is_same(&run->calls[i], call))
			last = run->calls[i].nth;
	return last > MANY && call->nth > ENDS && call->nth <= last - ENDS;
}

static struct tally sweep(const struct scenario *scenario, const struct selection *selection)
{
	struct trial reference = {.scenario = scenario};
	struct tally tally = {.done = 0};
	bool in_startup = true, in_keepers_startup = true, is_kept = false;
	char name[32];

	if (!try(&reference) || (scenario->verb == START && reference.n_alive != 1) ||
		(scenario->verb == LIVE && access("idle.run", F_OK) == -1)) {
		tally.wrong++;
		printf("WRONG %s, undisturbed: %s\n%s", scenario->name, reference.reason,
			reference.err);
	}
	for (size_t i = 0; i < reference.run.n_calls; i++) {
		const struct call *call = &reference.run.calls[i];
		struct trial trial = {.scenario = scenario,
			.reference = reference.state,
			.run = {.fault = {.call = *call}}};

		call_name(call, name, sizeof name);
		if (!call_is_known(call)) {
			tally.wrong++;
			printf("WRONG %s: it is not known how %s can fail\n", scenario->name, name);
		}
		/* The first thing that main does is to look at its standard streams, or to block signals. */
		in_startup &= strcmp(name, "fcntl:F_GETFD") != 0;
		is_kept |= call->role == KEEPER;
		in_keepers_startup &= call->role != KEEPER || call->number != SYS_rt_sigprocmask;
		trial.in_startup = call->role == KEEPER ? in_keepers_startup : in_startup;
		/* Its start is that of "keep". */
		if (scenario->verb == LIVE && (!is_kept || call->role < COMMAND))
			continue;
		if (selection->all ||
			(call->role >= first_role(scenario) && !is_in_loop(&reference.run, call)))
			try_call(&trial, selection, &tally);
	}
	show(scenario->name, &tally);
	free(reference.run.calls);
	return tally;
}

/* ---- The surroundings ---------------------------------------------------------------------- */

/*
 * A user with groups of its own, whatever the machine has, and a /run for what killed processes leave:
 * in a mount namespace, so nobody notices.
 */
static bool make_user(void)
{
	static const struct {
		const char *name, *to, *text;
	} files[] = {{"passwd", "/etc/passwd",
			     "root:x:0:0:root:/root:/bin/sh\n"
			     "tester:x:4001:4001:tester:/nonexistent:/bin/sh\n"},
		{"group", "/etc/group",
			"root:x:0:\ntester:x:4001:\nfirst:x:4002:tester\nsecond:x:4003:tester\n"},
		{"nsswitch.conf", "/etc/nsswitch.conf", "passwd: files\ngroup: files\n"}};

	if (unshare(CLONE_NEWNS) == -1 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		return false;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		write_text(files[i].name, files[i].text);
		if (access(files[i].to, F_OK) == 0 &&
			mount(files[i].name, files[i].to, NULL, MS_BIND, NULL) == -1)
			return false;
	}
	return mount("none", "/run", "tmpfs", 0, "mode=755") == 0;
}

static void furnish(void)
{
	char text[PATH_MAX + 16];

	if (mkdir("dir", 0755) == -1 || mkdir("root", 0755) == -1 ||
		link("idle", "root/idle") == -1)
		fail(lab_directory);
	write_text("input", "");
	write_text("junk", "");
	write_text("kept", "");
	snprintf(text, sizeof text, "exec %s\n", lab_idle);
	write_text("script", text);
	if (chmod("script", 0755) == -1)
		fail("script");
}

static bool is_asked_for(const struct scenario *scenario, char **names)
{
	const size_t length = strlen(scenario->name);

	if (!*names)
		return true;
	for (; *names; names++)
		if (!strncmp(*names, scenario->name, length) && strchr("/", (*names)[length]))
			return true;
	return false;
}

static void tally_add(struct tally *sum, const struct tally *tally)
{
	sum->done += tally->done;
	sum->reported += tally->reported;
	sum->kills += tally->kills;
	sum->interrupts += tally->interrupts;
	sum->rivals += tally->rivals;
	sum->wrong += tally->wrong;
	sum->missed += tally->missed;
}

int main(int argc, char **argv)
{
	struct selection selection = {.all = false};
	struct tally sum = {.done = 0};
	bool has_user, in_half[] = {true, true};
	int letter;

	while ((letter = getopt(argc, argv, "+a12")) != -1)
		switch (letter) {
		case 'a': selection.all = true; break;
		case '1': in_half[1] = false; break;
		case '2': in_half[0] = false; break;
		default: argc = 0;
		}
	if (argc < optind + 2) {
		fprintf(stderr, "usage: sweep [-a12] PROGRAM IDLE [NAME ...]\n");
		return EXIT_FAILURE;
	}
	selection.names = argv + optind + 2;
	lab_make(argv[optind], argv[optind + 1]);
	furnish();
	has_user = geteuid() == 0 && make_user();
	for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
		struct tally tally;

		if (!in_half[i % 2] || !is_asked_for(&scenarios[i], selection.names))
			continue;
		if (scenarios[i].needs_root && !has_user) {
			printf("%-15s skipped: needs root\n", scenarios[i].name);
			continue;
		}
		tally = sweep(&scenarios[i], &selection);
		tally_add(&sum, &tally);
	}
	lab_remove();
	show("all of them", &sum);
	printf("%lu passed, %lu failed\n",
		sum.done + sum.reported + sum.kills + sum.interrupts + sum.rivals - sum.wrong,
		sum.wrong);
	return sum.wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
