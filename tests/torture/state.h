/* state: everything that a daemon is given, as lines of text, so that two can be compared. */
#ifndef STATE_H
#define STATE_H

#include "lab.h"

/*
 * Appends its program, identity, signals, limits, session, arguments, environment and fds, and the files in
 * the lab; without what differs from start to start: PIDs, times, the number of a lock's fd.
 */
void state_of(pid_t pid, char state[LAB_TEXT]);

/* It sleeps, and no signal is on the way; or it is stopped. */
bool state_is_at_rest(pid_t pid);

/* A lock's fd has to be 10 or above. */
bool state_has_low_lock(pid_t pid);

#endif
