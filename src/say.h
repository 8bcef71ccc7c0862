/*
 * say: what the user is told: one line, in one write, on the caller's standard error; and the exit
 * status that goes with the last one.
 *
 * For the launcher. The children send reports instead. A start in the foreground has no children,
 * and may use it until it executes the command.
 *
 * A line begins with "daemonize: ". What could pass for another line, or control a terminal, is
 * shown as '?'. If a line cannot be written, nobody is left to tell.
 */
#ifndef SAY_H
#define SAY_H

#include <stdbool.h>
#include <stddef.h>

enum exit_status {
	EXIT_UP = 0,
	EXIT_SETUP = 1,
	EXIT_USAGE = 2,
	EXIT_RUNNING = 3,
	EXIT_DIED = 4,
	EXIT_GAVE_UP = 124,
	EXIT_CANNOT_EXECUTE = 126,
	EXIT_NOT_FOUND = 127,
};

/* LSB, "Init Script Actions". */
enum lsb_status { LSB_RUNNING = 0, LSB_DEAD = 1, LSB_NOT_RUNNING = 3, LSB_UNKNOWN = 4 };

struct diagnostics {
	int fd; /* in the foreground, a copy of the caller's */
	bool verbose;
	int failure; /* what EXIT_SETUP exits with: for --status, LSB's 1 means "dead" */
};

extern struct diagnostics diagnostics;

/* Replaces all control characters except tabs by '?': ASCII's, and UTF-8's others. */
void make_harmless(char *line);

/* Says a line, but only with -v. */
__attribute__((format(printf, 1, 2))) void verbose(const char *format, ...);

/* Says a line, and goes on. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

/*
 * Says a line, and exits with this status; for EXIT_SETUP, with diagnostics.failure. cppcheck does
 * not see a _Noreturn without a body.
 */
__attribute__((noreturn, format(printf, 2, 3))) void die(enum exit_status status,
	const char *format, ...);

/* The same for a usage error, with a pointer to --help. */
#define die_usage(format, ...) die(EXIT_USAGE, format ". Try 'daemonize --help'.", __VA_ARGS__)

/* Prints the text on standard output, flushed, and returns EXIT_UP; or dies. */
int print_or_die(const char *text);

/* Returns zeroed memory, or dies. calloc(3) */
void *allocate_or_die(size_t count, size_t size);

/* Makes room for one more behind `count` elements (NULL: none yet), or dies. realloc(3) */
void *grow_or_die(void *array, size_t count, size_t size);

#endif
