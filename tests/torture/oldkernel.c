/*
 * oldkernel [-p] command [argument ...]: the command, on a kernel of before 2019. close_range(2),
 * pidfd_open(2) and pidfd_send_signal(2) say that there is no such call: to the command and all
 * that descends from it, for good. Their numbers are the same on every architecture. With -p they
 * say EPERM, as the filters of older container engines do.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { PIDFD_SEND_SIGNAL = 424, PIDFD_OPEN = 434, CLOSE_RANGE = 436 };

int main(int argc, char **argv)
{
	const int filtered = argc > 1 && strcmp(argv[1], "-p") == 0;
	const unsigned int answer = filtered ? EPERM : ENOSYS;
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PIDFD_SEND_SIGNAL, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PIDFD_OPEN, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLOSE_RANGE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | answer),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

	argv += 1 + filtered;
	if (!*argv) {
		fprintf(stderr, "usage: oldkernel [-p] command [argument ...]\n");
		return 2;
	}
	/* Without a privilege, only one who renounces set-user-ID programs may do this. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == -1 &&
		(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
			prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == -1)) {
		perror("oldkernel: cannot install the filter");
		return 1;
	}
	execvp(*argv, argv);
	perror(*argv);
	return 127;
}
