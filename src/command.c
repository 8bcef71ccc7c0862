#include "features.h"

#include "command.h"

#include "descriptors.h"
#include "environment.h"
#include "options.h"
#include "paths.h"
#include "say.h"
#include "signals.h"
#include "steps.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char **callers_environment;
static mode_t callers_umask;

/* 0, or the errno with which execve(2) would refuse the file. */
static int file_executable(const char *path)
{
	struct stat status;

	if (stat(path, &status) == -1)
		return errno;
	if (S_ISDIR(status.st_mode))
		return EISDIR;
	if (!S_ISREG(status.st_mode))
		return EACCES;
	return access(path, X_OK) == 0 ? 0 : errno;
}

/* After EACCES: whether it is the file's directory that cannot be searched. */
static bool is_hidden(const char *path)
{
	struct stat status;

	return lstat(path, &status) == -1 && errno == EACCES;
}

/* "directory/name", false if that is too long: for each directory of PATH, hence no snprintf(3). */
static bool path_join(char path[PATH_MAX], const char *directory, size_t length, const char *name)
{
	const size_t size = strlen(name) + 1;

	if (length + 1 + size > PATH_MAX)
		return false;
	memcpy(path, directory, length);
	path[length] = '/';
	memcpy(path + length + 1, name, size);
	return true;
}

int command_find(const char *name, char path[PATH_MAX])
{
	static const char default_path[] = "/usr/bin:/bin";
	const char *directories = getenv("PATH");
	char hidden[PATH_MAX] = "";
	int error, worst = ENOENT;
	size_t length;

	if (strchr(name, '/'))
		return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX ? file_executable(path)
								       : ENAMETOOLONG;
	for (const char *next = directories ? directories : default_path; next;) {
		length = strcspn(next, ":");
		/* An empty element is the current directory. */
		if (path_join(path, length ? next : ".", length ? length : 1, name)) {
			error = file_executable(path);
			if (error == 0)
				return 0;
			if (error == EACCES && !is_hidden(path))
				worst = EACCES;
			else if (error == EACCES && !*hidden)
				path_parent(hidden, path);
		}
		next = next[length] ? next + length + 1 : NULL;
	}
	memcpy(path, hidden, sizeof hidden);
	return worst;
}

enum step find_step(int error)
{
	return error == ENOENT ? STEP_FIND : STEP_EXEC;
}

enum step command_resolve(const struct options *opt, bool changes_user, char file[PATH_MAX])
{
	static char zeroth[PATH_MAX], directory[PATH_MAX];
	int error;

	if (strchr(opt->command[0], '/') && *opt->command[0] != '/') {
		if (opt->root)
			path_absolute_or_die(directory, "/", opt->directory ? opt->directory : "/");
		path_absolute_or_die(zeroth, opt->root ? directory : NULL, opt->command[0]);
		opt->command[0] = zeroth;
	}
	if (opt->root)
		return STEP_DONE;
	error = command_find(opt->command[0], file);
	if (error == ENOENT && !strchr(opt->command[0], '/') && *file)
		die(EXIT_NOT_FOUND,
			"cannot find '%s': command not found (directory '%s' of PATH cannot be searched)",
			opt->name, file);
	/* NFS may keep root from a file that the daemon's user can read: execve will tell. */
	if (error && !(error == EACCES && changes_user && strchr(opt->command[0], '/'))) {
		errno = error;
		return find_step(error);
	}
	if (*file != '/') {
		char found[PATH_MAX];

		memcpy(found, file, sizeof found);
		path_absolute_or_die(file, NULL, found);
	}
	verbose("the command '%s' is %s", opt->name, file);
	return STEP_DONE;
}

bool is_text(const char *path)
{
	char text[FIRST_LINE_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd == -1 ? -1 : read(fd, text, sizeof text);
	const char *end = size > 0 ? memchr(text, '\n', (size_t)size) : NULL;

	if (fd != -1)
		close(fd);
	if (size >= 2 && !memcmp(text, "#!", 2))
		return false;
	return size >= 0 && (size == 0 || !memchr(text, '\0', (size_t)(end ? end - text : size)));
}

void command_execute(char *path, char **command)
{
	static char shell[] = "/bin/sh";

	execv(path, command);
	if (errno != ENOEXEC)
		return;
	if (is_text(path)) {
		command[0] = path;
		command[-1] = shell;
		execv(shell, command - 1);
	}
	errno = ENOEXEC;
}

void callers_environment_keep(void)
{
	callers_environment = environment_copy_or_die();
}

void callers_umask_keep(mode_t mask)
{
	callers_umask = mask;
}

_Noreturn void become_shell_command(const char *text, char *setting, int input_fd, int output_fd)
{
	const struct fds keep_none = {.count = 0};
	sigset_t ignore_none;

	sigemptyset(&ignore_none);
	environ = callers_environment;
	umask(callers_umask);
	if (setting)
		environment_put(setting);
	if (dup2(input_fd, STDIN_FILENO) != -1 && dup2(output_fd, STDOUT_FILENO) != -1 &&
		dup2(output_fd, STDERR_FILENO) != -1 && close_others(&keep_none) == 0 &&
		reset_signals(&ignore_none) == 0)
		execl("/bin/sh", "sh", "-c", text, (char *)NULL);
	_exit(EXIT_CANNOT_EXECUTE);
}
