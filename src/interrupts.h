/*
 * interrupts: the signals that ask a launcher to give up, such as Ctrl-C, unless the caller has them
 * ignored. An alarm(2) may be the caller's limit.
 *
 * All of this is for the launcher. From the fork of a daemon on it has all signals blocked, lest it
 * end and leave one behind that nobody has heard of; so it looks for them where it may have to wait.
 */
#ifndef INTERRUPTS_H
#define INTERRUPTS_H

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

/* The one that has come; 0: none. */
extern volatile sig_atomic_t interrupted_by;

/*
 * From now on `handler` is called for them. `mask` becomes what is blocked while they are waited for:
 * all but them. sigaction(2), ppoll(2)
 */
void catch_interrupts(void (*handler)(int), sigset_t *mask);

/* The handler that sets interrupted_by. */
void on_interrupt(int number);

/*
 * write(2) to what may be a full pipe, to which the launcher would be deaf to all signals for as long
 * as nobody reads: an interrupt ends it, with EINTR.
 */
ssize_t write_or_give_up(int fd, const char *text, size_t size);

/* Ends as the signal would have ended us, so that our caller sees it. */
__attribute__((noreturn)) void die_of_signal(int number);

#endif
