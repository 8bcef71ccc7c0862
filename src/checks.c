#include "features.h"

#include "checks.h"

#include "identity.h"
#include "options.h"
#include "paths.h"
#include "say.h"
#include "steps.h"
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

void check_set_user_id(void)
{
	if (getuid() != geteuid() || getgid() != getegid())
		die(EXIT_SETUP, "%s", "refusing to run set-user-ID or set-group-ID");
}

void check_caller(const struct options *opt, unsigned int missing)
{
	if (opt->notify_fd != -1 && fcntl(opt->notify_fd, F_GETFD) == -1 &&
		dup2(STDIN_FILENO, opt->notify_fd) == -1)
		die(EXIT_SETUP, "cannot use file descriptor %d: %s", opt->notify_fd,
			strerror(errno));
	if (opt->print_pid && missing & 1U << STDOUT_FILENO)
		die(EXIT_SETUP, "%s", "cannot print the PID: standard output is closed");
}

/* What we write to must not be what we execute: "-p app ./app". */
static void not_the_command_or_die(const struct options *opt, const char *command, const char *path)
{
	char inside[PATH_MAX];

	if (opt->root) {
		if (!strchr(opt->command[0], '/'))
			return;
		snprintf(inside, sizeof inside, "%s/%s", opt->root, opt->command[0]);
		command = inside;
	}
	if (same_path(path, command))
		die_usage("cannot write to '%s': it is the command", path);
}

/* From a directory outside, openat(2) leads out of the root directory of -R. */
static void check_kept_fds(const struct options *opt)
{
	static const char message[] =
		"cannot keep file descriptor %d: with -R, it must not be a directory";

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (opt->stream[fd] && !strcmp(opt->stream[fd], "-") && is_directory(fd))
			die(EXIT_SETUP, message, fd);
	for (size_t i = 0; i < opt->keep.count; i++)
		if (is_directory(opt->keep.fd[i]))
			die(EXIT_SETUP, message, opt->keep.fd[i]);
}

void check_paths(const struct options *opt, const struct objects *objects,
	const struct identity *id, const char *path, pid_t launcher)
{
	struct stat status;

	/* pid_namespaces(7): the kernel would kill the daemon as soon as we exit. */
	if (launcher == 1 && !opt->foreground)
		die(EXIT_SETUP, "%s",
			"cannot detach: this is the first process of a PID namespace, which ends "
			"with it; use -f");
	if (is_file(opt, STDIN_FILENO) && access(opt->stream[STDIN_FILENO], R_OK) == -1)
		die(EXIT_SETUP, "cannot open '%s': %s", opt->stream[STDIN_FILENO], strerror(errno));
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		if (is_file(opt, i) && opt->pidfile && same_path(opt->stream[i], opt->pidfile))
			die_usage("cannot use '%s' as a stream: it is the pidfile", opt->stream[i]);
	for (int i = STDOUT_FILENO; i <= STDERR_FILENO; i++)
		if (is_file(opt, i)) {
			not_the_command_or_die(opt, path, opt->stream[i]);
			path_writable_or_die("log", opt->stream[i]);
			check_disk_or_die(opt->stream[i], opt->truncate);
		}
	if (opt->pidfile) {
		not_the_command_or_die(opt, path, opt->pidfile);
		path_writable_or_die("pidfile", opt->pidfile);
	}
	if (opt->lockfile && access(opt->lockfile, R_OK) == -1)
		path_writable_or_die("lock file", opt->lockfile);
	if (opt->root)
		check_kept_fds(opt);
	errno = ENOTDIR;
	if (opt->root && (stat(opt->root, &status) == -1 || !S_ISDIR(status.st_mode)))
		die_of_step(objects, STEP_CHROOT, errno);
	if (!opt->root && opt->directory &&
		(stat(opt->directory, &status) == -1 ? !may_enter_later(id, errno)
						     : !S_ISDIR(status.st_mode)))
		die_of_step(objects, STEP_CHDIR, errno);
}
