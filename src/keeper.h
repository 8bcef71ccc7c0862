/*
 * keeper: --restart. A process of ours stays: it has the daemon's PID and lock, and the command is its
 * child, which it starts again whenever that ends.
 *
 *   - The daemon-to-be forks, and its child becomes the command as any daemon does, with the same failures.
 *     Then it executes our own program as the keeper: by an fd, and before chroot(2), since there may be
 *     no libc in the new root. The keeper takes that step itself.
 *   - The keeper hands on each signal that it gets. TERM ends the command, and the keeper with it; so
 *     does INT or QUIT if the command ends of it.
 *   - Where the start waits until the command is ready, there is a token, which the launcher takes when it
 *     is, and the keeper if the first run ends: so either the start has failed, or the keeper goes on.
 *   - The command is killed if the keeper is.
 *
 * keeper_prepare_or_die and keeper_let_go are for the launcher, keeper_execute is for the daemon-to-be,
 * which borrows its memory; the rest is the keeper's own.
 */
#ifndef KEEPER_H
#define KEEPER_H

#include "identity.h"
#include "options.h"

#include <stdbool.h>
#include <sys/types.h>

struct keeper {
	const struct options *opt;
	pid_t pid;	     /* the command's parent */
	int failure_fd;	     /* where the command-to-be tells that it is none; -1: we are not */
	int program_fd;	     /* our own program; -1: there is to be no keeper */
	const char *program; /* its name, where it cannot be executed by an fd */
	int token_fd; /* a pipe with a single byte; -1: nobody waits until the command is ready */
	char **argv; /* settings, root, directory, the command's file, the command; NULL-terminated */
};

/* Finds our own program, and makes the token; or dies. */
void keeper_prepare_or_die(struct keeper *keeper, const struct options *opt);

/* Takes the token: false if the keeper has it, whose end is near. */
bool keeper_let_go(int token_fd);

/* Becomes the keeper of this command; if it cannot, it ends the command, and returns, errno set. */
void keeper_execute(const struct keeper *keeper, const struct identity *id, char *path, int lock_fd,
	pid_t command);

/* Whether we have been executed as a keeper: nobody types such an argv[0]. */
bool is_keeper(int argc, char **argv);

/* Keeps the command until it is stopped; exits as that has ended. */
__attribute__((noreturn)) void keeper_main(char **argv);

#endif
