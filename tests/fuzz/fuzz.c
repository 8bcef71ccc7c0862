/*
 * Everything that daemonize reads from outside, made up by libFuzzer. FUZZ names the target, one of
 * parsers[] below: "FUZZ=notify tests/fuzz/fuzz FILE ..." repeats single inputs.
 *
 * It links the rooms. The sanitizers notice misuse of memory; the targets work out, in their own
 * way, what each parser should make of its input. A call of exit(3) comes back here.
 */
#include "../../src/features.h" /* memfd_create, sigabbrev_np */

#include "../../src/clock.h"
#include "../../src/command.h"
#include "../../src/notify.h"
#include "../../src/options.h"
#include "../../src/pidfile.h"
#include "../../src/process.h"
#include "../../src/say.h"
#include "../../src/signals.h"
#include "../../src/steps.h"
#include "../../src/streams.h"
#include "../../src/system.h"
#include "../../src/values.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* The linker redirects all calls of exit(3) and read(2), in every room, to __wrap_. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
ssize_t __wrap_read(int fd, void *buffer, size_t size);
ssize_t __real_read(int fd, void *buffer, size_t size);
_Noreturn void __wrap_exit(int status);
_Noreturn void __real_exit(int status);

enum { FIRST_FREE_FD = 20 };

#define claim(condition) claim_that(condition, #condition, __LINE__)

static void claim_that(bool holds, const char *condition, int line)
{
	if (holds)
		return;
	fprintf(stderr, "line %d: not so: %s\n", line, condition);
	abort();
}

static jmp_buf after_exit;
static bool may_die;
static int died_with;

_Noreturn void __wrap_exit(int status)
{
	if (!may_die)
		__real_exit(status);
	may_die = false;
	died_with = status;
	longjmp(after_exit, 1);
}

/* What read(2) returns once, after this many true reads. */
static struct {
	const char *text;
	size_t size;
	int after;
} feed;

ssize_t __wrap_read(int fd, void *buffer, size_t size)
{
	size_t fed = feed.size < size ? feed.size : size;

	if (!feed.text || feed.after-- > 0)
		return __real_read(fd, buffer, size);
	memcpy(buffer, feed.text, fed);
	feed.text = NULL;
	return (ssize_t)fed;
}

static void feed_after(int reads, const char *text, size_t size)
{
	feed.text = text;
	feed.size = size;
	feed.after = reads;
}

/* A nameless file with this content, and nothing else. */
static void refill(int fd, const char *text, size_t size)
{
	claim(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	claim(write(fd, text, size) == (ssize_t)size);
}

static int content_fd = -1;

/* All that was said since the last call: lines that start like this, without control characters. */
static const char *heard(const char *prefix, size_t lines)
{
	static char text[1 << 16];
	ssize_t size = pread(diagnostics.fd, text, sizeof text - 1, 0);
	const char *next;

	claim(size >= 0);
	text[size] = '\0';
	claim(strlen(text) == (size_t)size);
	for (const char *line = text; *line; line = next + 1, lines--) {
		next = strchr(line, '\n');
		claim(lines > 0 && next && !strncmp(line, prefix, strlen(prefix)));
		for (const char *c = line; c < next; c++) {
			claim(!iscntrl((unsigned char)*c) || *c == '\t');
			claim(memcmp(c, "\xC2\x80", 2) < 0 || memcmp(c, "\xC2\x9F", 2) > 0);
		}
	}
	claim(lines == 0);
	refill(diagnostics.fd, "", 0);
	return text;
}

/* ---- Numbers, durations, signals, lists ----------------------------------------------------- */

static const char *significant(const char *digits)
{
	digits += strspn(digits, "0");
	return is_digit(*digits) ? digits : "0";
}

/* Compares text: no arithmetic that could be wrong in the same way. */
static bool at_most(const char *digits, size_t length, const char *limit)
{
	return length < strlen(limit) ||
	       (length == strlen(limit) && strncmp(digits, limit, length) <= 0);
}

static void expect_number(const char *text, int base, unsigned long long max)
{
	const char *digits = significant(text);
	char limit[32], again[32];
	unsigned long long value = 0;
	bool good;

	snprintf(limit, sizeof limit, base == 8 ? "%llo" : "%llu", max);
	good = *text && !text[strspn(text, base == 8 ? "01234567" : "0123456789")] &&
	       at_most(digits, strlen(digits), limit);
	claim(parse_number(text, base, max, &value) == good);
	snprintf(again, sizeof again, base == 8 ? "%llo" : "%llu", value);
	claim(!good || !strcmp(again, digits));
}

static void expect_duration(const char *text)
{
	const size_t before = strspn(text, "0123456789");
	const char *point = text + before, *fraction = point + (*point == '.'), *digits;
	const size_t after = strspn(fraction, "0123456789");
	char again[64], expected[64];
	int64_t duration;
	bool good;

	if (!strcmp(text, "inf")) {
		claim(parse_duration(text, &duration) && duration == NEVER);
		return;
	}
	digits = before ? significant(text) : "0";
	good = (before || after) && !fraction[after] &&
	       at_most(digits, strspn(digits, "0123456789"), "1000000000");
	claim(parse_duration(text, &duration) == good);
	if (!good)
		return;
	snprintf(again, sizeof again, "%" PRId64 ".%09" PRId64, duration / NANOSECONDS,
		duration % NANOSECONDS);
	snprintf(expected, sizeof expected, "%.*s.%-9.9s", (int)strspn(digits, "0123456789"),
		digits, fraction);
	for (char *c = expected; *c; c++)
		if (*c == ' ')
			*c = '0';
	claim(!strcmp(again, expected));
}

static void expect_signal(const char *text)
{
	const char *name = text + (strncasecmp(text, "SIG", 3) ? 0 : 3);
	char again[32];
	int number, same = 0, expected = 0;
	bool good = parse_signal(text, &number);

	for (int i = 1; i <= STANDARD_LAST; i++)
		if (!strcasecmp(name, sigabbrev_np(i)))
			expected = i;
	claim(!expected || (good && number == expected));
	if (!good)
		return;
	if (number > STANDARD_LAST)
		snprintf(again, sizeof again, "RTMAX-%d", SIGRTMAX - number);
	else
		snprintf(again, sizeof again, "sig%s", signal_name(number));
	claim(parse_signal(again, &same) && same == number);
	snprintf(again, sizeof again, "%d", number);
	claim(parse_signal(again, &same) && same == number);
	claim(sigaction(number, NULL, NULL) == 0); /* libc and the kernel know it */
}

static void expect_list(const char *list)
{
	char word[32];

	for (const char *rest = list, *next; rest; rest = next) {
		next = parse_element(rest, word, sizeof word);
		if (strcspn(rest, ",") < sizeof word)
			claim(strlen(word) == strcspn(rest, ",") &&
				!strncmp(rest, word, strlen(word)));
		else
			claim(!*word);
		claim(!next || next[-1] == ',');
	}
}

static void fuzz_values(char *text, size_t size)
{
	(void)size;
	expect_number(text, 8, 0777);
	expect_number(text, 10, INT_MAX);
	expect_number(text, 10, ULLONG_MAX);
	expect_duration(text);
	expect_signal(text);
	expect_list(text);
}

/* ---- Options: a line is a word --------------------------------------------------------------- */

enum { MOST_WORDS = 1000 };

struct command_line {
	char *words[MOST_WORDS + 1];
	int count;
	char text[1 << 16];
	size_t size;
};

static struct options asked;
static struct command_line spelled, respelled;

__attribute__((format(printf, 2, 3))) static void add(struct command_line *line, const char *format,
	...)
{
	char *word = line->text + line->size;
	va_list arguments;

	va_start(arguments, format);
	line->size +=
		(size_t)vsnprintf(word, sizeof line->text - line->size, format, arguments) + 1;
	va_end(arguments);
	claim(line->size <= sizeof line->text && line->count < MOST_WORDS);
	line->words[line->count++] = word;
	line->words[line->count] = NULL;
}

static void add_text(struct command_line *line, const char *option, const char *text)
{
	if (text)
		add(line, "--%s=%s", option, text);
}

static void add_duration(struct command_line *line, const char *option, int64_t duration)
{
	if (duration == NEVER)
		add(line, "--%s=inf", option);
	else if (duration >= 0)
		add(line, "--%s=%" PRId64 ".%09" PRId64, option, duration / NANOSECONDS,
			duration % NANOSECONDS);
}

static void add_flag(struct command_line *line, const char *option, bool given)
{
	if (given)
		add(line, "--%s", option);
}

/* What the parser has understood, in long options. */
static void spell(struct command_line *line)
{
	line->count = 0;
	line->size = 0;
	add(line, "daemonize");
	add_text(line, "chdir", asked.directory);
	add_text(line, "chroot", asked.root);
	add_text(line, "group", asked.group);
	add_text(line, "lock", asked.lockfile);
	add_text(line, "ready", asked.ready);
	add_text(line, "stderr", asked.stream[2]);
	add_text(line, "stdin", asked.stream[0]);
	add_text(line, "stdout", asked.stream[1]);
	add_text(line, "user", asked.user);
	for (size_t i = 0; i < asked.n_pidfiles; i++)
		add_text(line, "pidfile", asked.pidfiles[i]);
	for (size_t i = 0; i < asked.n_env; i++)
		add_text(line, "env", asked.env[i]);
	for (size_t i = 0; i < asked.keep.count; i++)
		add(line, "--keep-fd=%d", asked.keep.fd[i]);
	add(line, "--default-signal=TSTP,TTIN,TTOU");
	for (int i = 1; i <= SIGRTMAX; i++)
		if (sigismember(&asked.ignore, i))
			add(line, "--ignore-signal=%d", i);
	add(line, "--umask=%o", (unsigned int)asked.umask);
	add_duration(line, "kill-after", asked.kill_after);
	add_duration(line, "restart", asked.restart);
	add_duration(line, "startsecs", asked.startsecs);
	add_duration(line, "timeout", asked.timeout);
	if (asked.if_running_given && asked.if_running == IF_RUNNING_WAIT)
		add_duration(line, "wait-if-running", asked.wait);
	add_flag(line, "refuse-if-running",
		asked.if_running_given && asked.if_running == IF_RUNNING_REFUSE);
	add_flag(line, "ok-if-running", asked.if_running == IF_RUNNING_OK);
	add_flag(line, "foreground", asked.foreground);
	add_flag(line, "no-core", asked.no_core);
	add_flag(line, "notify", asked.notify);
	add_flag(line, "print-pid", asked.print_pid);
	add_flag(line, "truncate", asked.truncate);
	if (asked.notify_fd != -1)
		add(line, "--notify-fd=%d", asked.notify_fd);
	add_flag(line, "tree", asked.tree);
	if (asked.signal != NO_SIGNAL)
		add(line, "--signal=%d", asked.signal);
	add_flag(line, "status", asked.mode == MODE_STATUS);
	add_flag(line, "stop", asked.mode == MODE_STOP);
	add_flag(line, "help", asked.mode == MODE_HELP);
	add_flag(line, "version", asked.mode == MODE_VERSION);
	add(line, "--");
	if (asked.mode == MODE_STATUS || asked.mode == MODE_STOP || asked.mode == MODE_SIGNAL)
		return; /* what follows are pidfiles, which came with the others */
	for (char **word = asked.command; *word; word++)
		add(line, "%s", *word);
}

/* False if the parser died. */
static bool parse(int count, char **words)
{
	static const struct option no_options[] = {{NULL, 0, NULL, 0}};
	char *none[] = {words[0], NULL};

	free(asked.keep.fd);
	free(asked.env);
	asked = (struct options){.env = NULL};
	diagnostics.verbose = false;
	diagnostics.failure = EXIT_SETUP;
	/* What it keeps of a cluster such as -vx may point to words that no longer exist. */
	optind = 0;
	getopt_long(1, none, "+:", no_options, NULL);
	if (setjmp(after_exit))
		return false;
	may_die = true;
	options_parse(&asked, count, words);
	may_die = false;
	return true;
}

static void expect_sense(void)
{
	const bool waits =
		asked.startsecs >= 0 || asked.notify || asked.notify_fd != -1 || asked.ready;

	claim(asked.umask <= 0777 && asked.startsecs != NEVER && asked.kill_after != NEVER);
	claim(!sigismember(&asked.ignore, SIGKILL) && !sigismember(&asked.ignore, SIGSTOP));
	for (size_t i = 0; i < asked.keep.count; i++) {
		claim(asked.keep.fd[i] > (i ? asked.keep.fd[i - 1] : 2));
		claim(fcntl(asked.keep.fd[i], F_GETFD) != -1);
	}
	for (size_t i = 0; i < asked.n_env; i++)
		claim(strcspn(asked.env[i], "=") > 0 && strchr(asked.env[i], '='));
	claim(asked.notify_fd == -1 || asked.notify_fd > 2);
	if (asked.mode == MODE_HELP || asked.mode == MODE_VERSION)
		return;
	claim(asked.kill_after == -1 || asked.mode == MODE_STOP);
	claim(!asked.tree || asked.mode == MODE_STOP || asked.mode == MODE_SIGNAL);
	claim(asked.missing_fd == -1 || asked.mode != MODE_START);
	if (asked.mode != MODE_START) {
		claim(asked.n_pidfiles > 0);
		return;
	}
	claim(asked.command[0] && *asked.command[0] && asked.name == asked.command[0]);
	claim(!asked.if_running_given || asked.n_pidfiles > 0 || asked.lockfile);
	claim(asked.notify + (asked.notify_fd != -1) + (asked.ready != NULL) <= 1);
	claim(!(waits && asked.foreground));
	claim(asked.timeout == -1 || waits);
}

static void fuzz_options(char *text, size_t size)
{
	static struct command_line given;

	(void)size;
	given.count = 0;
	given.size = 0;
	add(&given, "daemonize");
	for (char *word = text, *next; word && given.count < MOST_WORDS / 2; word = next) {
		next = strchr(word, '\n');
		add(&given, "%.*s", next ? (int)(next - word) : -1, word);
		next = next && next[1] ? next + 1 : NULL;
	}
	memcpy(respelled.text, given.text, given.size);
	if (parse(given.count, given.words)) {
		claim(!memcmp(respelled.text, given.text, given.size));
		expect_sense();
		spell(&spelled);
		claim(parse(spelled.count, spelled.words));
		expect_sense();
		spell(&respelled);
		claim(respelled.size == spelled.size);
		claim(!memcmp(respelled.text, spelled.text, spelled.size));
		heard("", 0);
	} else {
		bool usage = died_with == EXIT_USAGE;
		const char *line = heard("daemonize: ", 1);

		claim(usage || died_with == diagnostics.failure);
		claim(usage == !!strstr(line, " Try 'daemonize --help'.\n"));
	}
}

/* ---- The number in a pidfile ----------------------------------------------------------------- */

static void fuzz_pidfile(char *text, size_t size)
{
	const char *first = text + strspn(text, " \t"), *digits = significant(first);
	const char *last = first + strspn(first, "0123456789"), *end = last + strspn(last, " \t\r");
	char number[16];
	bool good, pure;

	/* Blanks or digits to the end: too much to read, and must not be cut short. */
	good = last > first && end - text < 31 && (end == text + size || *end == '\n') &&
	       at_most(digits, strspn(digits, "0123456789"), "2147483647");
	refill(content_fd, text, size);
	snprintf(number, sizeof number, "%ld", (long)pidfile_number(content_fd, &pure));
	if (good)
		claim(strlen(number) == strspn(digits, "0123456789") &&
			!strncmp(number, digits, strlen(number)));
	else
		claim(!strcmp(number, "0"));
	/* A file with more in it than is read is never removed. */
	claim(!good || pure == (size < 31 && first == text &&
				       last - text + (*last == '\n') == (ptrdiff_t)size));
}

/* ---- Readiness: sd_notify(3), and s6's newline ------------------------------------------------ */

/* What lines of NAME=VALUE say; the last of a kind counts. */
static const char *last_value(const char *text, const char *name, bool numbers_only)
{
	static char value[8192];
	const char *found = NULL;
	size_t length = strlen(name), end;

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		end = strcspn(line, "\n");
		if (end <= length || strncmp(line, name, length) != 0 || line[length] != '=')
			continue;
		if (numbers_only && strspn(line + length + 1, "0123456789") != end - length - 1)
			continue;
		if (numbers_only &&
			(end == length + 1 ||
				!at_most(significant(line + length + 1),
					strspn(significant(line + length + 1), "0123456789"),
					"2147483647")))
			continue;
		snprintf(value, sizeof value, "%.*s", (int)(end - length - 1), line + length + 1);
		found = value;
	}
	return found;
}

static bool has_line(const char *text, const char *wanted)
{
	const size_t length = strlen(wanted);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, wanted, length) && (line[length] == '\n' || !line[length]))
			return true;
	}
	return false;
}

static void fuzz_notify(char *text, size_t size)
{
	const int64_t deadline = deadline_in(NANOSECONDS);
	struct notice r = {.deadline = deadline}, lines = {.deadline = NEVER};
	const char *status, *number;
	char text_status[sizeof r.status] = "";
	int ends[2];

	/*
	 * A datagram is cut after the last line that is whole in the program's buffer, and
	 * text at a NUL.
	 */
	claim(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
	claim(want_credentials(ends[0]) == 0);
	claim(send(ends[1], text, size, 0) == (ssize_t)size);
	claim(notify_receive(ends[0], geteuid(), &r));
	claim(!notify_receive(ends[0], geteuid(), &lines));
	close(ends[0]);
	close(ends[1]);
	if (size > 4095)
		for (size = 4095; size > 0 && text[size - 1] != '\n'; size--)
			;
	text[size] = '\0';
	claim(r.ready == has_line(text, "READY=1"));
	claim(!r.barrier || last_value(text, "BARRIER", false));
	claim(r.barrier || r.ready || !last_value(text, "BARRIER", false));
	status = last_value(text, "STATUS", false);
	snprintf(text_status, sizeof text_status, "%s", status ? status : "");
	claim(!strcmp(r.status, text_status));
	number = last_value(text, "ERRNO", true);
	claim(r.error == (number ? (int)strtol(number, NULL, 10) : 0));
	number = last_value(text, "MAINPID", true);
	claim(r.main_pid == (number ? (pid_t)strtol(number, NULL, 10) : 0));
	claim(r.deadline >= deadline);
	claim(r.deadline == deadline || strstr(text, "EXTEND_TIMEOUT_USEC="));
	notify_parse(text, &lines);
	claim(lines.deadline == NEVER);
}

static void fuzz_newline(char *text, size_t size)
{
	struct notice r = {.ready = false};

	refill(content_fd, text, size);
	claim(lseek(content_fd, 0, SEEK_SET) == 0);
	while (!r.closed)
		notify_read(content_fd, &r);
	claim(r.ready == (memchr(text, '\n', size) != NULL));
}

/* ---- What other processes can make /proc say --------------------------------------------------- */

/* A process can have any name; what follows it is the kernel's. */
static void fuzz_stat(char *text, size_t size)
{
	struct process process = {.state = '\0'};
	struct {
		int parent, session;
		unsigned int flags;
		int threads;
		unsigned long long start;
	} real = {0};
	const char *name = text, *last;
	char line[2048];
	int length;

	feed_after(0, text, size);
	if (process_read(getpid(), &process)) {
		if (size > 1023)
			text[1023] = '\0';
		last = strrchr(text, ')');
		for (int i = 0; i < 20; i++)
			claim(last && (last = strchr(last + 1, ' ')));
	}
	if (size < sizeof real)
		return;
	memcpy(&real, text, sizeof real);
	name += sizeof real;
	length = snprintf(line, sizeof line,
		"1 (%.64s) S %d 2 %d 4 5 %u 7 8 9 10 11 12 13 14 15 16 %d 18 %llu 20\n", name,
		real.parent, real.session, real.flags, real.threads, real.start);
	feed_after(0, line, (size_t)length);
	claim(process_read(getpid(), &process));
	claim(process.state == 'S' && process.parent == real.parent);
	claim(process.session == real.session && process.threads == real.threads);
	last = strrchr(line, ')') - strlen("(daemonize start");
	claim(process.start == real.start &&
		process.execed ==
			(!(real.flags & 0x40) &&
				(last < line || strncmp(last, "(daemonize start)", 17) != 0)));
}

/* --status -v shows it on a terminal. */
static void fuzz_cmdline(char *text, size_t size)
{
	static char details[1024];

	feed_after(2, text, size); /* before it, twice, /proc/PID/stat */
	process_describe(getpid(), details, sizeof details);
	claim(!feed.text && !strncmp(details, ", user ", 7) && strstr(details, ", command: "));
	claim(strlen(details) < sizeof details - 1);
	for (const char *c = details; *c; c++)
		claim(!iscntrl((unsigned char)*c));
}

/* ---- Files that are shown or judged ------------------------------------------------------------ */

static void fuzz_script(char *text, size_t size)
{
	static const char path[] = "/dev/null";
	const struct objects who = {.command = "name", .file = path};
	const size_t head = size < 256 ? size : 256;
	const char *end = memchr(text, '\n', head), *line, *name = text + 2;
	char expected[512];
	int length;

	feed_after(0, text, size);
	claim(is_text(path) == (!memchr(text, '\0', end ? (size_t)(end - text) : head) &&
				       (size < 2 || strncmp(text, "#!", 2) != 0)));

	feed_after(0, text, size);
	if (setjmp(after_exit) == 0) {
		may_die = true;
		die_of_step(&who, STEP_EXEC, ENOENT);
	}
	claim(died_with == EXIT_CANNOT_EXECUTE);
	line = heard("daemonize: cannot execute 'name': its interpreter ", 1);
	if (size > 255)
		text[255] = '\0';
	if (strncmp(text, "#!", 2) != 0) {
		claim(strstr(line, " its interpreter was not found\n"));
		return;
	}
	name += strspn(name, " \t");
	length = (int)strcspn(name, " \t\n");
	snprintf(expected, sizeof expected, " its interpreter '%.*s' was not found", length, name);
	make_harmless(expected);
	claim(strstr(line, expected));
}

/* The last ten lines, at most 4096 bytes, of what this start has written. */
static void fuzz_log(char *text, size_t size)
{
	static char path[32], expected[1 << 13];
	const struct options who = {.stream = {NULL, path, NULL}};
	struct streams streams = {.log_size = {-1, -1, -1}};
	size_t begin =
		size < 2 ? 0 : (size_t)(unsigned char)text[0] * (size_t)(unsigned char)text[1];
	size_t lines = 1, length = 0, end = size > 0 && text[size - 1] == '\n' ? size - 1 : size;

	refill(content_fd, text, size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", content_fd);
	streams.log_size[STDOUT_FILENO] = (off_t)begin;
	claim(fstat(content_fd, &streams.status[STDOUT_FILENO]) == 0);
	streams_show(&who, &streams);
	if (begin >= size) {
		heard("", 0);
		return;
	}
	if (size - begin > 4096)
		begin = size - 4096;
	for (size_t i = begin; i < end; i++)
		lines += text[i] == '\n';
	for (; lines > 10; lines--)
		begin = (size_t)((char *)memchr(text + begin, '\n', end - begin) - text) + 1;
	text[end] = '\n';
	for (size_t i = begin; i <= end; i++) {
		if (i == begin || text[i - 1] == '\n')
			length += (size_t)snprintf(expected + length, 5, "    ");
		if (!memcmp(text + i, "\xC2", 1) && (text[i + 1] & 0xE0) == 0x80)
			text[i] = text[i + 1] = '?';
		expected[length++] = text[i];
		if (iscntrl((unsigned char)text[i]) && text[i] != '\t' && text[i] != '\n')
			expected[length - 1] = '?';
	}
	expected[length] = '\0';
	claim(!strcmp(heard("    ", lines), expected));
}

/* ---- The fuzzer's side ------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*run)(char *text, size_t size); /* the text ends with a NUL, and may be modified */
} parsers[] = {
	{"cmdline", fuzz_cmdline},
	{"log", fuzz_log},
	{"newline", fuzz_newline},
	{"notify", fuzz_notify},
	{"options", fuzz_options},
	{"pidfile", fuzz_pidfile},
	{"script", fuzz_script},
	{"stat", fuzz_stat},
	{"values", fuzz_values},
};
static size_t chosen;

static void prepare(void)
{
	const char *name = getenv("FUZZ");

	while (!name || strcmp(name, parsers[chosen].name) != 0)
		if (++chosen == sizeof parsers / sizeof *parsers) {
			fputs("FUZZ names no target\n", stderr);
			_exit(EXIT_FAILURE);
		}
	/* Some numbers that -k and --notify-fd find open. */
	for (int fd = 3; fd < 8; fd++)
		dup2(STDIN_FILENO, fd);
	content_fd =
		fcntl(memfd_create("content", MFD_CLOEXEC), F_DUPFD_CLOEXEC, FIRST_FREE_FD - 2);
	diagnostics.fd =
		fcntl(memfd_create("said", MFD_CLOEXEC), F_DUPFD_CLOEXEC, FIRST_FREE_FD - 1);
	claim(content_fd != -1 && diagnostics.fd == FIRST_FREE_FD - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (content_fd == -1)
		prepare();
	if (!text)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	parsers[chosen].run(text, size);
	free(text);
	feed.text = NULL;
	close_span(FIRST_FREE_FD, INT_MAX); /* an exit leaves files open, --notify-fd an fd */
	return 0;
}
