#include "features.h"

#include "interrupts.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

static const int interrupts[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM};

volatile sig_atomic_t interrupted_by;

void on_interrupt(int number)
{
	interrupted_by = number;
}

void catch_interrupts(void (*handler)(int), sigset_t *mask)
{
	struct sigaction action = {.sa_handler = handler}, old;

	sigfillset(mask);
	for (size_t i = 0; i < sizeof interrupts / sizeof *interrupts; i++)
		if (sigaction(interrupts[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
			sigaction(interrupts[i], &action, NULL);
			sigdelset(mask, interrupts[i]);
		}
}

/* The interrupt that is pending while it is blocked; 0: none. */
static int interrupt_pending(void)
{
	struct sigaction action;
	sigset_t pending;

	sigpending(&pending);
	for (size_t i = 0; i < sizeof interrupts / sizeof *interrupts; i++)
		if (sigismember(&pending, interrupts[i]) &&
			sigaction(interrupts[i], NULL, &action) == 0 &&
			action.sa_handler != SIG_IGN)
			return interrupts[i];
	return 0;
}

ssize_t write_or_give_up(int fd, const char *text, size_t size)
{
	enum { MILLISECONDS = 50 }; /* between two looks at the signals */
	struct pollfd event = {.fd = fd, .events = POLLOUT};

	while (poll(&event, 1, interrupted_by ? 0 : MILLISECONDS) == 0) {
		if (!interrupted_by)
			interrupted_by = interrupt_pending();
		if (interrupted_by) {
			errno = EINTR;
			return -1;
		}
	}
	return write(fd, text, size);
}

_Noreturn void die_of_signal(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	signal(number, SIG_DFL);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(EXIT_FAILURE);
}
