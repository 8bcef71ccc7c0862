/*
 * command: which file to execute, found as execvp(3) finds it, and its execution; and shell commands that
 * the caller has us run.
 *
 * command_find and command_execute are for the children too. Who becomes a shell command has been forked
 * with a memory of its own.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include "options.h"
#include "steps.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

/*
 * Writes the file that name means, by PATH if it has no slash. 0, or ENOENT, EACCES, ... A name
 * that PATH does not have leaves the first directory that cannot be searched in path, or "".
 */
int command_find(const char *name, char path[PATH_MAX]);

enum step find_step(int error);

/*
 * Settles which file to execute, while relative names still mean what the user meant. What
 * --chroot changes is found after it, by become_daemon(). Returns the failed step, errno set.
 */
enum step command_resolve(const struct options *opt, bool changes_user, char file[PATH_MAX]);

/*
 * Becomes the command, whose argv[-1] exists: what the kernel does not know is handed to the shell,
 * as execvp(3) does it. Returns if it cannot, errno set.
 */
void command_execute(char *path, char **command);

/*
 * A script without "#!" is text. Not for the shell is what the kernel refuses although it has one,
 * nor a broken binary: it has a NUL byte in what would be its first line.
 */
bool is_text(const char *path);

/* For shell commands: to be called before what is the daemon's takes its place. */
void callers_environment_keep(void);

/* The same for the umask. */
void callers_umask_keep(mode_t mask);

/*
 * Becomes a shell that runs the text as the caller would: with the caller's environment, and `setting`,
 * NAME=VALUE, if it is not NULL; with the caller's umask, these streams and no other fd, and all signals
 * as a login has them.
 */
__attribute__((noreturn)) void become_shell_command(const char *text, char *setting, int input_fd,
	int output_fd);

#endif
