/*
 * target: the command that the tests daemonize, and the odd caller that they start it from.
 *
 *   target dump FILE [argument ...]      report on myself to FILE, then wait to be killed
 *   target closeall FILE                 close every fd first, as sshd and dnsmasq do
 *   target fork FILE                     also leave a child (child=PID) that outlives me
 *   target lock LOCKFILE FILE            first take a write lock on LOCKFILE, and keep it
 *   target readlock FILE FILE            the same, with a read lock on an existing file
 *   target deedlock FILE FILE            take a read lock in my name that only a child holds
 *   target notify MESSAGE FILE           first send MESSAGE to $NOTIFY_SOCKET, as sd_notify(3) does
 *   target send MESSAGE ...              send each of them there, then exit
 *   target flood MESSAGE                 send it there over and over, until the socket disappears
 *   target openclose PIDFILE FILE        first open and close PIDFILE, which drops my record lock
 *   target leaderless FILE               report, then end only the first thread: ps shows a zombie
 *   target terminal LINK                 hold a terminal that belongs to nobody; LINK leads to it
 *   target exit N                        exit with status N
 *   target kill SIGNAL                   die of SIGNAL
 *   target with [option ...] -- command  put the caller in an odd state, then become the command
 *
 * A report is one KEY=VALUE a line. It is written to a temporary name and renamed into place, so
 * that it is complete as soon as it can be seen. Options of "with" act in the order given:
 *
 *   --ignore SIGNALS  --block SIGNALS    HUP,PIPE,...: ignored; blocked
 *   --umask MODE  --nofile N             octal; the soft limit on fds; the hard one if lower
 *   --open FDS  --close FDS              7,9,300: open on /dev/null; closed
 *   --stdin-socket                       a socket on fd 0
 *   --rmcwd                              the working directory has been removed
 *   --ctty                               a session leader with a controlling terminal
 *   --orphan                             the parent has died; the command's exit status is lost
 */
#define _GNU_SOURCE /* getresuid */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	FD_BOUND = 65536,   /* no test opens one at or above it */
	FD_BATCH = 256,	    /* how many we look at in one call; a divisor of the bound */
	LONGEST_LIFE = 600, /* seconds; a target that the tests lose track of exits by itself */
	PATH_LENGTH = 4096,
	MOST_GROUPS = 1024,
	STATUS_BROKEN = 99, /* so that nobody mistakes a failure of ours for the program's */
};

static const struct {
	const char *name;
	int number;
} signal_names[] = {
	{"HUP", SIGHUP},
	{"INT", SIGINT},
	{"QUIT", SIGQUIT},
	{"ABRT", SIGABRT},
	{"KILL", SIGKILL},
	{"USR1", SIGUSR1},
	{"SEGV", SIGSEGV},
	{"USR2", SIGUSR2},
	{"PIPE", SIGPIPE},
	{"ALRM", SIGALRM},
	{"TERM", SIGTERM},
	{"CHLD", SIGCHLD},
	{"CONT", SIGCONT},
	{"STOP", SIGSTOP},
	{"TSTP", SIGTSTP},
	{"TTIN", SIGTTIN},
	{"TTOU", SIGTTOU},
	{"WINCH", SIGWINCH},
};
static const int signal_names_count = sizeof signal_names / sizeof signal_names[0];

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "target: %s: %s\n", what, strerror(errno));
	exit(STATUS_BROKEN);
}

static pid_t fork_or_fail(void)
{
	pid_t child = fork();

	if (child == -1)
		fail("fork");
	return child;
}

static _Noreturn void usage(const char *what)
{
	fprintf(stderr, "target: do not understand '%s'\n", what);
	exit(STATUS_BROKEN);
}

/* ---- The report ---- */

static void report_signals(FILE *out, const char *key, const sigset_t *set)
{
	const char *separator = "";

	fprintf(out, "%s=", key);
	for (int sig = 1; sig <= SIGRTMAX; sig++) {
		int i = 0;

		if (sigismember(set, sig) != 1)
			continue;
		while (i < signal_names_count && signal_names[i].number != sig)
			i++;
		if (i < signal_names_count)
			fprintf(out, "%s%s", separator, signal_names[i].name);
		else if (sig >= SIGRTMIN)
			fprintf(out, "%sRTMIN+%d", separator, sig - SIGRTMIN);
		else
			fprintf(out, "%s%d", separator, sig);
		separator = ",";
	}
	fputc('\n', out);
}

static void report_signal_state(FILE *out)
{
	sigset_t set;

	sigemptyset(&set);
	for (int sig = 1; sig <= SIGRTMAX; sig++) {
		struct sigaction action;

		if (sigaction(sig, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			sigaddset(&set, sig);
	}
	report_signals(out, "ignored", &set);
	sigprocmask(SIG_SETMASK, NULL, &set);
	report_signals(out, "blocked", &set);
	sigpending(&set);
	report_signals(out, "pending", &set);
}

static void report_link(FILE *out, const char *key, const char *link)
{
	char path[PATH_LENGTH];
	ssize_t length = readlink(link, path, sizeof path - 1);

	path[length > 0 ? length : 0] = '\0';
	fprintf(out, "%s%s\n", key, path);
}

/*
 * Whether one of the batch may be open. poll(2) tells which are not, unless that many are too many.
 */
static int may_be_open(int first)
{
	struct pollfd fds[FD_BATCH];
	int closed = 0;

	for (int i = 0; i < FD_BATCH; i++)
		fds[i] = (struct pollfd){.fd = first + i};
	if (poll(fds, FD_BATCH, 0) == -1)
		return 1;
	for (int i = 0; i < FD_BATCH; i++)
		closed += (fds[i].revents & POLLNVAL) != 0;
	return closed < FD_BATCH;
}

static void report_fd(FILE *out, int fd)
{
	static const char *const access[] = {[O_RDONLY] = "r", [O_WRONLY] = "w", [O_RDWR] = "rw"};
	int flags = fcntl(fd, F_GETFL);
	int mode = flags & O_ACCMODE;
	char link[64], key[64];

	if (flags == -1)
		return;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	snprintf(key, sizeof key, "fd.%d=%s append=%d cloexec=%d ", fd,
		mode <= O_RDWR ? access[mode] : "none", (flags & O_APPEND) != 0,
		(fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	report_link(out, key, link);
}

/* Tries every number: a directory of fds would be one more fd, and a chroot has no /proc. */
static void report_fds(FILE *out)
{
	for (int first = 0; first < FD_BOUND; first += FD_BATCH)
		if (may_be_open(first))
			for (int fd = first; fd < first + FD_BATCH; fd++)
				report_fd(out, fd);
}

static long long limit_value(const struct rlimit *limit)
{
	return limit->rlim_cur == RLIM_INFINITY ? -1 : (long long)limit->rlim_cur;
}

static void report_limits(FILE *out)
{
	struct rlimit core, files;

	if (getrlimit(RLIMIT_CORE, &core) == -1 || getrlimit(RLIMIT_NOFILE, &files) == -1)
		fail("getrlimit");
	fprintf(out, "core=%lld\nnofile=%lld\n", limit_value(&core), limit_value(&files));
}

static void report_identity(FILE *out)
{
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid, groups[MOST_GROUPS];
	int count = getgroups(MOST_GROUPS, groups);

	if (getresuid(&ruid, &euid, &suid) == -1 || getresgid(&rgid, &egid, &sgid) == -1)
		fail("getresuid");
	fprintf(out, "uid=%u:%u:%u\n", (unsigned)ruid, (unsigned)euid, (unsigned)suid);
	fprintf(out, "gid=%u:%u:%u\n", (unsigned)rgid, (unsigned)egid, (unsigned)sgid);
	fprintf(out, "groups=");
	for (int i = 0; i < count; i++)
		fprintf(out, "%s%u", i == 0 ? "" : ",", (unsigned)groups[i]);
	fputc('\n', out);
}

/* Destructive if it succeeds, so it comes after all that it could disturb. */
static void report_regained_privilege(FILE *out)
{
	if (getuid() != 0)
		fprintf(out, "setuid0=%s\n", setuid(0) == 0 || seteuid(0) == 0 ? "yes" : "no");
}

/* -1 where there are no terminals, as in a chroot. */
static int open_terminal_master(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	return master != -1 && grantpt(master) == 0 && unlockpt(master) == 0 ? master : -1;
}

static int has_controlling_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY);

	if (fd == -1)
		return 0;
	close(fd);
	return 1;
}

/* What daemon(7) warns of: a session leader without a terminal gets the first one that it opens. */
static int acquires_terminal_by_opening_one(void)
{
	int master = open_terminal_master();
	int slave = master == -1 ? -1 : open(ptsname(master), O_RDWR);
	int acquired = slave == -1 ? -1 : has_controlling_terminal();
	void (*hangup)(int) = signal(SIGHUP, SIG_IGN);

	close(slave);
	close(master);
	signal(SIGHUP, hangup);
	return acquired;
}

static void report_terminal(FILE *out)
{
	int has = has_controlling_terminal();
	int acquires = has ? 1 : acquires_terminal_by_opening_one();

	fprintf(out, "tty=%s\n", has ? "yes" : "none");
	fprintf(out, "acquires_tty=%s\n", acquires == -1 ? "unknown" : acquires ? "yes" : "no");
}

static void report_line(FILE *out, const char *key, const char *value)
{
	fputs(key, out);
	for (; *value != '\0'; value++) {
		if (*value == '\n')
			fputs("\\n", out);
		else
			fputc(*value, out);
	}
	fputc('\n', out);
}

static void report_process(FILE *out, char *const *arguments)
{
	char cwd[PATH_LENGTH];
	mode_t mask = umask(0);

	umask(mask);
	fprintf(out, "pid=%ld\nppid=%ld\n", (long)getpid(), (long)getppid());
	fprintf(out, "sid=%ld\npgid=%ld\n", (long)getsid(0), (long)getpgrp());
	fprintf(out, "umask=%03o\n", (unsigned)mask);
	report_line(out, "cwd=", getcwd(cwd, sizeof cwd) != NULL ? cwd : strerror(errno));
	report_link(out, "root=", "/proc/self/root");
	report_link(out, "exe=", "/proc/self/exe");
	for (int i = 0; arguments[i] != NULL; i++) {
		char key[32];

		snprintf(key, sizeof key, "argv.%d=", i);
		report_line(out, key, arguments[i]);
	}
	for (char **variable = environ; *variable != NULL; variable++)
		report_line(out, "env.", *variable);
}

/* Collects in memory, so that it reports no fd of its own. */
static char *collect_report(char *const *arguments, pid_t child)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		fail("open_memstream");
	report_process(out, arguments);
	report_fds(out);
	report_signal_state(out);
	report_limits(out);
	report_identity(out);
	if (child > 0)
		fprintf(out, "child=%ld\n", (long)child);
	report_terminal(out);
	report_regained_privilege(out);
	if (fclose(out) != 0)
		fail("fclose");
	return text;
}

static void write_report(const char *file, char *const *arguments, pid_t child)
{
	char temporary[PATH_LENGTH];
	char *text = collect_report(arguments, child);
	FILE *out;

	snprintf(temporary, sizeof temporary, "%s.%ld", file, (long)getpid());
	out = fopen(temporary, "w");
	if (out == NULL || fputs(text, out) == EOF || fclose(out) != 0 ||
		rename(temporary, file) == -1)
		fail(file);
	free(text);
}

static _Noreturn void wait_to_be_killed(void)
{
	alarm(LONGEST_LIFE);
	for (;;)
		pause();
}

static _Noreturn void report_and_wait(const char *file, char *const *arguments)
{
	write_report(file, arguments, 0);
	wait_to_be_killed();
}

/* ---- Lists on the command line ---- */

static int parse_number(const char *text)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (end == text || *end != '\0' || number < 0 || number > FD_BOUND)
		usage(text);
	return (int)number;
}

static int parse_signal(const char *name)
{
	if (strncmp(name, "RTMIN+", 6) == 0)
		return SIGRTMIN + parse_number(name + 6);
	for (int i = 0; i < signal_names_count; i++)
		if (strcmp(signal_names[i].name, name) == 0)
			return signal_names[i].number;
	return parse_number(name);
}

/* ---- The odd caller ---- */

static void ignore_signal(const char *name)
{
	if (signal(parse_signal(name), SIG_IGN) == SIG_ERR)
		fail(name);
}

static void block_signal(const char *name)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, parse_signal(name));
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
		fail(name);
}

static void move_fd(int from, int to)
{
	if (from == to)
		return;
	if (from == -1 || dup2(from, to) == -1)
		fail("cannot open fd");
	close(from);
}

static void open_fd(const char *number)
{
	move_fd(open("/dev/null", O_RDWR), parse_number(number));
}

static void close_fd(const char *number)
{
	close(parse_number(number));
}

static void set_umask(char *mode)
{
	umask((mode_t)strtol(mode, NULL, 8));
}

static void limit_fds(char *number)
{
	rlim_t limit = (rlim_t)parse_number(number);
	struct rlimit old;

	if (getrlimit(RLIMIT_NOFILE, &old) == -1)
		fail("getrlimit");
	old.rlim_cur = limit;
	if (old.rlim_max < limit)
		old.rlim_max = limit;
	if (setrlimit(RLIMIT_NOFILE, &old) == -1)
		fail("setrlimit");
}

static void put_socket_on_stdin(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1)
		fail("socketpair");
	close(pair[1]);
	move_fd(pair[0], STDIN_FILENO);
}

static void lose_directory(void)
{
	char directory[] = "/tmp/target.XXXXXX";

	if (mkdtemp(directory) == NULL || chdir(directory) == -1 || rmdir(directory) == -1)
		fail(directory);
}

static _Noreturn void exit_as(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) == -1)
		if (errno != EINTR)
			fail("waitpid");
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* The parent holds the other end of the terminal, and hangs up when the command has exited. */
static void acquire_terminal(void)
{
	int master = open_terminal_master(), slave;
	pid_t child = master == -1 ? -1 : fork_or_fail();

	if (master == -1)
		fail("posix_openpt");
	if (child > 0)
		exit_as(child);
	if (setsid() == -1 || (slave = open(ptsname(master), O_RDWR)) == -1)
		fail("setsid");
	close(slave);
	close(master);
	if (!has_controlling_terminal())
		fail("/dev/tty");
}

static void become_orphan(void)
{
	pid_t parent = getpid();

	if (fork_or_fail() > 0)
		exit(EXIT_SUCCESS);
	while (getppid() == parent)
		usleep(1000);
}

/* Returns the first argument that comes after the option and its value. */
static char **apply_option(char **arguments)
{
	static const struct {
		const char *name;
		void (*apply)(void);
		void (*apply_value)(char *value);
		void (*apply_item)(const char *item);
	} options[] = {
		{"--ignore", .apply_item = ignore_signal},
		{"--block", .apply_item = block_signal},
		{"--open", .apply_item = open_fd},
		{"--close", .apply_item = close_fd},
		{"--umask", .apply_value = set_umask},
		{"--nofile", .apply_value = limit_fds},
		{"--ctty", .apply = acquire_terminal},
		{"--orphan", .apply = become_orphan},
		{"--rmcwd", .apply = lose_directory},
		{"--stdin-socket", .apply = put_socket_on_stdin},
	};
	size_t i = 0, count = sizeof options / sizeof options[0];

	while (i < count && strcmp(options[i].name, arguments[0]) != 0)
		i++;
	if (i == count || (options[i].apply == NULL && arguments[1] == NULL))
		usage(arguments[0]);
	if (options[i].apply != NULL) {
		options[i].apply();
		return arguments + 1;
	}
	if (options[i].apply_value != NULL)
		options[i].apply_value(arguments[1]);
	else
		for (char *item = strtok(arguments[1], ","); item != NULL; item = strtok(NULL, ","))
			options[i].apply_item(item);
	return arguments + 2;
}

static _Noreturn void become(char **arguments)
{
	while (*arguments != NULL && strcmp(*arguments, "--") != 0)
		arguments = apply_option(arguments);
	if (arguments[0] == NULL || arguments[1] == NULL)
		usage("with: no command");
	execvp(arguments[1], arguments + 1);
	fail(arguments[1]);
}

/* ---- Ways to behave ---- */

static _Noreturn void close_everything(const char *file, char *const *arguments)
{
	for (int fd = 0; fd < FD_BOUND; fd++)
		close(fd);
	report_and_wait(file, arguments);
}

static int live_in_a_thread(void *unused)
{
	(void)unused;
	wait_to_be_killed();
}

static _Noreturn void end_the_first_thread(const char *file, char *const *arguments)
{
	static _Alignas(64) char stack[65536];
	int flags =
		CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

	write_report(file, arguments, 0);
	if (clone(live_in_a_thread, stack + sizeof stack, flags, NULL) == -1)
		fail("clone");
	for (;;)
		syscall(SYS_exit, 0);
}

static _Noreturn void leave_a_child(const char *file, char *const *arguments)
{
	pid_t child = fork_or_fail();

	if (child > 0)
		write_report(file, arguments, child);
	wait_to_be_killed();
}

static void take_lock(const char *file, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
	int fd = open(file, type == F_RDLCK ? O_RDONLY : O_RDWR | O_CREAT, 0644);

	if (fd == -1 || fcntl(fd, F_SETLK, &lock) == -1)
		fail(file);
}

static int live(void *unused)
{
	(void)unused;
	wait_to_be_killed();
}

/* Lives on without the lock that it took: by then its own fd table lacks the file. */
static void deed_the_lock(const char *locked)
{
	static _Alignas(64) char stack[65536];

	take_lock(locked, F_RDLCK);
	if (clone(live, stack + sizeof stack, CLONE_FILES | SIGCHLD, NULL) == -1 ||
		unshare(CLONE_FILES) == -1)
		fail("clone or unshare");
	for (int fd = 3; fd < FD_BATCH; fd++)
		close(fd);
	move_fd(open("/dev/null", O_RDONLY), 10); /* where a daemon has its lock */
}

static _Noreturn void hold_terminal(const char *link)
{
	int master = open_terminal_master();

	if (master == -1 || symlink(ptsname(master), link) == -1)
		fail(link);
	wait_to_be_killed();
}

static void open_and_close(const char *file)
{
	int fd = open(file, O_RDONLY);

	if (fd == -1)
		fail(file);
	close(fd);
}

static void send_notification(const char *message)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = name == NULL ? 0 : strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	if (length == 0 || length > sizeof address.sun_path)
		usage("NOTIFY_SOCKET");
	memcpy(address.sun_path, name, length);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	length += offsetof(struct sockaddr_un, sun_path);
	if (fd == -1 || sendto(fd, message, strlen(message), 0, (const struct sockaddr *)&address,
				(socklen_t)length) == -1)
		fail(name);
	close(fd);
}

/* Until the socket is gone. */
static void flood_with(const char *message)
{
	for (;;)
		send_notification(message);
}

static int send_notifications(char *const *messages)
{
	for (; *messages != NULL; messages++)
		send_notification(*messages);
	return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
	const char *verb = argc > 1 ? argv[1] : "";
	const char *operand = argc > 2 ? argv[2] : "";
	const char *file = argc > 3 ? argv[3] : "";

	if (strcmp(verb, "dump") == 0)
		report_and_wait(operand, argv);
	if (strcmp(verb, "closeall") == 0)
		close_everything(operand, argv);
	if (strcmp(verb, "fork") == 0)
		leave_a_child(operand, argv);
	if (strcmp(verb, "leaderless") == 0)
		end_the_first_thread(operand, argv);
	if (strcmp(verb, "terminal") == 0)
		hold_terminal(operand);
	if (strcmp(verb, "with") == 0)
		become(argv + 2);
	if (strcmp(verb, "send") == 0)
		return send_notifications(argv + 2);
	if (strcmp(verb, "flood") == 0)
		flood_with(operand);
	if (strcmp(verb, "exit") == 0)
		return parse_number(operand);
	if (strcmp(verb, "lock") == 0)
		take_lock(operand, F_WRLCK);
	else if (strcmp(verb, "readlock") == 0)
		take_lock(operand, F_RDLCK);
	else if (strcmp(verb, "deedlock") == 0)
		deed_the_lock(operand);
	else if (strcmp(verb, "notify") == 0)
		send_notification(operand);
	else if (strcmp(verb, "openclose") == 0)
		open_and_close(operand);
	else if (strcmp(verb, "kill") == 0)
		return raise(parse_signal(operand));
	else
		usage(verb);
	report_and_wait(file, argv);
}
