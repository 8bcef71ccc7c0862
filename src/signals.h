/*
 * signals: their names and numbers, and the dispositions that the daemon gets.
 *
 * reset_signals is for the children.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* "HUP"; "real-time" for those that have no name of their own. */
const char *signal_name(int number);

/* "HUP", "SIGHUP", "hup", "1", "RTMIN+3", "RTMAX-1". */
bool parse_signal(const char *text, int *number);

/* exec resets what is caught, but hands on what is ignored, and the mask. */
int reset_signals(const sigset_t *ignore);

#endif
