/*
 * oldkernel [-p] command [argument ...]: runs the command with the system calls of Linux 3.13 of 2014: newer
 * calls fail with ENOSYS, for the command and all its descendants, for good. All but getrandom(2), which ssh
 * cannot do without, and memfd_create(2), for the races: we call neither.
 * With -p, as under the filter of an older container engine: close_range(2), pidfd_open(2) and
 * pidfd_send_signal(2) fail with EPERM. Other new calls are libc's, which takes that for an answer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PIDFD_SEND_SIGNAL = 424, PIDFD_OPEN = 434, CLOSE_RANGE = 436 }; /* on every architecture */

static int install(const struct sock_fprog *program)
{
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0);
}

int main(int argc, char **argv)
{
	const int filtered = argc > 1 && strcmp(argv[1], "-p") == 0;
	/* New calls get higher numbers: 3.14 began with this one. */
	struct sock_filter old[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getrandom, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYS_sched_setattr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_filter engine[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PIDFD_SEND_SIGNAL, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PIDFD_OPEN, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLOSE_RANGE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program =
		filtered ? (struct sock_fprog){sizeof engine / sizeof *engine, engine}
			 : (struct sock_fprog){sizeof old / sizeof *old, old};

	argv += 1 + filtered;
	if (!*argv) {
		fprintf(stderr, "usage: oldkernel [-p] command [argument ...]\n");
		return 2;
	}
	/* Without privilege, only a process that renounces set-user-ID programs may do this. */
	if (install(&program) == -1 &&
		(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 || install(&program) == -1)) {
		perror("oldkernel: cannot install the filter");
		return 1;
	}
	execvp(*argv, argv);
	perror(*argv);
	return 127;
}
