#include "features.h"

#include "ready.h"

#include "clock.h"
#include "command.h"
#include "family.h"
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RETRY (NANOSECONDS / 10) /* from the end of a try to the next */

static _Noreturn void become_try(const struct tries *tries)
{
	char setting[40];

	setsid(); /* no terminal can stop it, and we can kill it with all that it has started */
	snprintf(setting, sizeof setting, "DAEMONIZE_PID=%ld", (long)tries->daemon);
	become_shell_command(tries->command, setting, open("/dev/null", O_RDONLY | O_CLOEXEC),
		tries->output[1]);
}

int64_t ready_try(struct tries *tries, struct notice *notice)
{
	if (!tries->command || tries->pid || notice->ready)
		return NEVER;
	if (clock_read(CLOCK_MONOTONIC) < tries->next)
		return tries->next;
	tries->said = 0;
	tries->line_is_over = false;
	tries->pid = fork();
	if (tries->pid == 0)
		become_try(tries);
	if (tries->pid > 0)
		return NEVER;
	snprintf(notice->status, sizeof notice->status, "cannot fork: %s", strerror(errno));
	tries->pid = 0;
	tries->next = deadline_in(RETRY);
	return tries->next;
}

static void hear_letter(struct tries *tries, struct notice *notice, char letter)
{
	if (letter == '\n' || tries->said == sizeof notice->status - 1)
		tries->line_is_over = true;
	if (tries->line_is_over)
		return;
	if (!letter)
		letter = '?'; /* the line goes on after a NUL byte */
	notice->status[tries->said++] = letter;
	notice->status[tries->said] = '\0';
}

void ready_hear(struct tries *tries, struct notice *notice)
{
	enum { PIECES = 16 }; /* it can write faster than we read */
	char text[4096];
	ssize_t size;

	for (int i = 0; i < PIECES && poll_until(tries->output[0], 0); i++) {
		size = read(tries->output[0], text, sizeof text);
		for (ssize_t j = 0; j < size; j++)
			hear_letter(tries, notice, text[j]);
	}
}

void ready_note_end(struct tries *tries, struct notice *notice)
{
	siginfo_t end = {.si_pid = 0};

	if (!tries->pid ||
		(waitid(P_PID, (id_t)tries->pid, &end, WEXITED | WNOHANG | WNOWAIT) == 0 &&
			end.si_pid == 0))
		return;
	kill(-tries->pid, SIGKILL); /* its group's ID is not reused before we reap the try */
	ready_hear(tries, notice);
	tries->line_is_over = true;
	notice->status[tries->said] = '\0'; /* it may have said nothing */
	waitpid(tries->pid, NULL, WNOHANG);
	tries->pid = 0;
	tries->next = deadline_in(RETRY);
	notice->ready = end.si_code == CLD_EXITED && end.si_status == 0;
}

void ready_end(struct tries *tries)
{
	const struct family family = {.daemon = tries->pid, .session = tries->pid, .leads = true};

	if (!tries->command)
		return;
	close(tries->output[0]);
	close(tries->output[1]);
	if (!tries->pid)
		return;
	family_kill(&family);
	waitpid(tries->pid, NULL, WNOHANG);
}
