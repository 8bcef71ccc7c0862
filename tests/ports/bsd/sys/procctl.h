/* What src/system-bsd.c asks of FreeBSD's procctl(2), and no more, made of Linux's prctl(2). */
#ifndef PROCCTL_H
#define PROCCTL_H

#include <errno.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROC_REAP_ACQUIRE 2
#define PROC_PDEATHSIG_CTL 11

static inline int procctl(idtype_t type, pid_t id, int command, void *data)
{
	errno = EINVAL;
	if (type == P_PID && id == 0 && command == PROC_PDEATHSIG_CTL && data != NULL)
		return prctl(PR_SET_PDEATHSIG, *(int *)data, 0, 0, 0);
	if (type != P_PID || id != getpid() || command != PROC_REAP_ACQUIRE || data != NULL)
		return -1;
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

#endif
