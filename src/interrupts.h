/*
 * interrupts: the signals that ask the launcher to give up, such as Ctrl-C, unless the caller has
 * them ignored. An alarm(2) may be the caller's time limit.
 *
 * For the launcher. From the fork of a daemon on, it blocks all signals, lest it die and leave
 * behind a daemon that nobody knows of; so it checks for them where it may have to wait.
 */
#ifndef INTERRUPTS_H
#define INTERRUPTS_H

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

/* The signal that has come; 0: none. */
extern volatile sig_atomic_t interrupted_by;

/*
 * From now on, they call `handler`. `mask` becomes the signal mask to wait for them with: all
 * others are blocked. sigaction(2), ppoll(2)
 */
void catch_interrupts(void (*handler)(int), sigset_t *mask);

/* The handler that sets interrupted_by. */
void on_interrupt(int number);

/*
 * write(2), but an interrupt ends the wait for a full pipe, with EINTR: otherwise the launcher
 * would be deaf to all signals until somebody reads.
 */
ssize_t write_or_give_up(int fd, const char *text, size_t size);

/* Dies of the signal, so that our caller sees which. */
__attribute__((noreturn)) void die_of_signal(int number);

#endif
