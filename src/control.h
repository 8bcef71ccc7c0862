/*
 * control: --status, --signal and --stop.
 *
 * Who is meant is what the kernel says of the lock. The process is pinned by a pidfd before it
 * is asked for a second time, so that the signal cannot hit another that got its PID meanwhile.
 *
 * Each returns the exit status.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "options.h"

int control_status(const struct options *opt);

int control_signal(const struct options *opt);

int control_stop(const struct options *opt);

#endif
