/*
 * inject: runs a program under ptrace(2) and disturbs one system call of one of its processes.
 *
 * A call is named by who makes it, what it is, and which of its kind: "daemon openat 2". strace
 * could not tell them apart: it counts the calls of all processes together. A process is traced
 * until it exits, or has become the command: then it is let go.
 *
 * With --restart the daemon forks a child that becomes the command, and becomes its keeper. A keeper is
 * let go when it waits, or has been disturbed. A keeper that is watched is traced until it exits,
 * and each of its children until it has become the command.
 */
#ifndef INJECT_H
#define INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum role { LAUNCHER, MIDDLE, DAEMON, COMMAND, KEEPER, ROLES };

struct call {
	enum role role;
	long number;
	long command;	  /* of fcntl; else 0 */
	unsigned int nth; /* of its kind in its role, from 1 */
};

struct fault {
	struct call call;
	const char *what; /* an errno's name or one of the words below; NULL: no fault */
};

#define KILL_BEFORE "KILL-BEFORE" /* SIGKILL instead of the call */
#define KILL_AFTER "KILL-AFTER"	  /* SIGKILL when it is done */
#define INTERRUPT "INTERRUPT"	  /* SIGINT while it is done */
#define SHORT "SHORT"		  /* a pwrite(2) of one byte only */
#define MEANWHILE "MEANWHILE"	  /* before it is done, something else happens; a prefix */

struct run {
	char **command;
	void (*prepare)(void); /* called in the child, before it becomes the program */
	struct fault fault;
	void (*meanwhile)(void *argument);
	void *argument;
	bool kept, watched; /* there is a keeper; it is watched */
	/* What came of it: */
	bool reached; /* the call of the fault was made */
	bool hung;
	int status;	    /* of the launcher, as wait(2) has it; -1: it became the command */
	pid_t execed;	    /* became the command; 0: none did */
	pid_t keeper;	    /* became the keeper; 0: none did */
	pid_t other;	    /* a child that meanwhile() has left; 0: none */
	int other_status;   /* of that, as wait(2) has it */
	struct call *calls; /* all that were made; for free(3) */
	size_t n_calls;
};

void inject(struct run *run);

const char *role_name(enum role role);

/* Whether both are of one kind, and made by one role. */
bool call_is_same(const struct call *a, const struct call *b);

/* Whether we know how it can fail. */
bool call_is_known(const struct call *call);

/* "openat", "fcntl:F_SETLK"; "call-1234" for an unknown one. */
void call_name(const struct call *call, char *name, size_t size);

/* The n-th errno that the kernel can return from this call; NULL: there are no more. */
const char *call_error(const struct call *call, size_t n);

#endif
