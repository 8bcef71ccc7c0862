/*
 * keeper: --restart. One process of ours stays: it has the daemon's PID and holds its lock. The
 * command is its child, which it starts again whenever that exits.
 *
 *   - The daemon-to-be forks, and the child becomes the command as any daemon does, with the same
 *     failures. The daemon-to-be then execs our own program as the keeper: by an fd, and before
 *     chroot(2), since the new root may have no libc. The keeper itself takes that step, and holds
 *     the status channel until then.
 *   - The keeper passes on each signal that it gets. TERM terminates the command, and the keeper
 *     with it; INT and QUIT do the same if they make the command exit.
 *   - Where the start waits until the command is ready, there is a token. The launcher takes it
 *     when the command is ready, the keeper when the first run exits. Whoever takes it decides: the
 *     keeper goes on, or the start has failed.
 *   - If the keeper is killed, so is the command.
 *
 * keeper_prepare_or_die is for the launcher, keeper_let_go for the launcher and the keeper,
 * keeper_execute for the daemon-to-be, which borrows the launcher's memory. The rest runs in the
 * keeper.
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
	int failure_fd;	     /* where the command-to-be reports a failure; -1: we are not it */
	int program_fd;	     /* our own program; -1: there will be no keeper */
	const char *program; /* its path, in case it cannot be executed by the fd */
	int token_fd; /* a pipe that holds one byte; -1: the start does not wait for readiness */
	char **argv; /* settings, root, directory, the command's file, the command; NULL-terminated */
};

/* Opens our own program and makes the token, or dies. */
void keeper_prepare_or_die(struct keeper *keeper, const struct options *opt);

/*
 * Takes the token; false if the other side has it. To the launcher that means that the keeper is
 * about to exit.
 */
bool keeper_let_go(int token_fd);

/* Becomes the keeper of this command. If it cannot, it kills the command and returns, errno set. */
void keeper_execute(const struct keeper *keeper, const struct identity *id, char *path, int lock_fd,
	int channel_fd, pid_t command);

/* Whether we were executed as a keeper: nobody types such an argv[0]. */
bool is_keeper(int argc, char **argv);

/* Keeps the command running until it is stopped, and exits as the command did. */
__attribute__((noreturn)) void keeper_main(char **argv);

#endif
