/*
 * command: which file to execute, found as execvp(3) finds it, and its execution.
 *
 * command_find and command_execute are for the children too.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include "options.h"
#include "steps.h"

#include <limits.h>
#include <stdbool.h>

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

#endif
