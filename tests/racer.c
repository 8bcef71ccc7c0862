/*
 * racer COUNT command [argument ...]: starts the command COUNT times at the same moment,
 * and reports for each what came of it: its exit status (128 plus the signal for a
 * death), and what it wrote.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_STARTERS = 256, TEXT_LENGTH = 4096, STATUS_BROKEN = 99 };

struct starter {
	pid_t pid;
	FILE *output;
};

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(STATUS_BROKEN);
}

/* The flag is a pipe: all wait for its end of file, which comes when the only writer closes it. */
static _Noreturn void run_when_flag_falls(const int flag[2], FILE *output, char **command)
{
	char byte;

	close(flag[1]);
	if (dup2(fileno(output), STDOUT_FILENO) == -1 ||
		dup2(fileno(output), STDERR_FILENO) == -1 || read(flag[0], &byte, 1) == -1)
		fail("racer");
	execvp(command[0], command);
	fail(command[0]);
}

static struct starter line_up(const int flag[2], char **command)
{
	struct starter starter = {.output = tmpfile(), .pid = -1};

	if (starter.output != NULL)
		starter.pid = fork();
	if (starter.pid == -1) {
		if (starter.output != NULL)
			fclose(starter.output);
		fail("a starter");
	}
	if (starter.pid == 0)
		run_when_flag_falls(flag, starter.output, command);
	return starter;
}

static void print_result(const struct starter *starter)
{
	char text[TEXT_LENGTH];
	size_t length;
	int status;

	if (waitpid(starter->pid, &status, 0) == -1)
		fail("waitpid");
	rewind(starter->output);
	length = fread(text, 1, sizeof text, starter->output);
	if (length > 0 && text[length - 1] == '\n')
		length--;
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	printf("%d %.*s\n", status, (int)length, text);
	fclose(starter->output);
}

int main(int argc, char *argv[])
{
	size_t count = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
	struct starter starters[MOST_STARTERS];
	int flag[2];

	if (count == 0 || count > MOST_STARTERS || pipe(flag) == -1)
		fail("racer");
	for (size_t i = 0; i < count; i++)
		starters[i] = line_up(flag, argv + 2);
	close(flag[0]);
	close(flag[1]);
	for (size_t i = 0; i < count; i++)
		print_result(&starters[i]);
	return EXIT_SUCCESS;
}
