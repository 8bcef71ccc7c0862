/*
 * command: finds the file to execute, as execvp(3) does, and executes it; and runs shell commands
 * for the caller.
 *
 * For the launcher; command_find and command_execute for the children too. A process that becomes a
 * shell command has been forked with memory of its own.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include "options.h"
#include "steps.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

/*
 * Writes to `path` the file that a name means, found in PATH if it has no slash. Returns 0,
 * or ENOENT, EACCES, ... If no directory of PATH has it, `path` becomes the first that
 * cannot be searched, or "".
 */
int command_find(const char *name, char path[PATH_MAX]);

enum step find_step(int error);

/*
 * Resolves the command to a file, while relative names still mean what the user meant; with
 * --chroot, become_daemon() resolves it inside. Returns the failed step, errno set.
 */
enum step command_resolve(const struct options *opt, bool changes_user, char file[PATH_MAX]);

/*
 * Executes the command; command[-1] must exist. A file in a format unknown to the kernel goes to
 * the shell, as with execvp(3). Returns only if it fails, errno set.
 */
void command_execute(char *path, char **command);

/*
 * Whether the file is a script without "#!". What the kernel refuses despite a "#!" is not for the
 * shell, nor is a broken binary, which has a NUL byte in what would be its first line.
 */
bool is_text(const char *path);

/* Keeps the environment for shell commands: call it before the daemon's replaces it. */
void callers_environment_keep(void);

/* The same for the umask. */
void callers_umask_keep(mode_t mask);

/*
 * Becomes a shell that runs the text as the caller would: with the caller's umask and
 * environment, and `setting`, NAME=VALUE, unless it is NULL; with these streams and no other fd,
 * and signals as a login has them.
 */
__attribute__((noreturn)) void become_shell_command(const char *text, char *setting, int input_fd,
	int output_fd);

#endif
