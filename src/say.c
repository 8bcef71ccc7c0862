#include "features.h"

#include "say.h"

#include "interrupts.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct diagnostics diagnostics = {STDERR_FILENO, false, EXIT_SETUP};

/* A name with a line break or an escape in it must not pass for, or do, anything else. */
void make_harmless(char *line)
{
	for (unsigned char *c = (unsigned char *)line; *c; c++)
		if (iscntrl(*c) && *c != '\t')
			*c = '?';
		else if (c[0] == 0xC2 && c[1] >= 0x80 && c[1] <= 0x9F)
			c[0] = c[1] = '?'; /* the other control characters, in UTF-8 */
}

__attribute__((format(printf, 1, 0))) static void diagnose(const char *format, va_list arguments)
{
	static const char name[] = "daemonize: ";
	char line[2 * PATH_MAX];
	size_t size = sizeof name - 1;
	int n;

	memcpy(line, name, size);
	n = vsnprintf(line + size, sizeof line - size - 1, format, arguments);
	size += n < 0 ? 0 : (size_t)n;
	if (size > sizeof line - 2)
		size = sizeof line - 2;
	line[size] = '\0';
	make_harmless(line);
	line[size++] = '\n';
	if (write_or_give_up(diagnostics.fd, line, size) == -1)
		return; /* nobody is left to tell */
}

void verbose(const char *format, ...)
{
	va_list arguments;

	if (!diagnostics.verbose)
		return;
	va_start(arguments, format);
	diagnose(format, arguments);
	va_end(arguments);
}

void complain(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	diagnose(format, arguments);
	va_end(arguments);
}

_Noreturn void die(enum exit_status status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	diagnose(format, arguments);
	va_end(arguments);
	exit(status == EXIT_SETUP ? diagnostics.failure : (int)status);
}

void *allocate_or_die(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		die(EXIT_SETUP, "cannot allocate memory: %s", strerror(errno));
	return memory;
}

void *grow_or_die(void *array, size_t count, size_t size)
{
	void *grown = realloc(array, (count + 1) * size);

	if (!grown)
		die(EXIT_SETUP, "cannot allocate memory: %s", strerror(errno));
	return grown;
}

int print_or_die(const char *text)
{
	if (fputs(text, stdout) == EOF || fflush(stdout) == EOF || ferror(stdout))
		die(EXIT_SETUP, "cannot write to standard output: %s", strerror(errno));
	return EXIT_UP;
}
