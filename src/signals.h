/*
 * signals: their names and numbers, and the dispositions that the daemon gets.
 *
 * For the launcher; reset_signals is for the children.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* "HUP"; "real-time" for those that have no name of their own. */
const char *signal_name(int number);

/* Parses "HUP", "SIGHUP", "hup", "1", "RTMIN+3", "RTMAX-1"; false for anything else. */
bool parse_signal(const char *text, int *number);

/*
 * Sets each signal to ignored or default, and unblocks all: exec resets what is caught, but
 * preserves what is ignored, and the mask. -1, errno set, if it fails.
 */
int reset_signals(const sigset_t *ignore);

#endif
