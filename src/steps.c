#include "features.h"

#include "steps.h"

#include "say.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum object { OF_NOTHING, OF_PIDFILE, OF_CHROOT, OF_CHDIR, OF_USER, OF_COMMAND };

static const struct {
	enum object object;
	const char *verb;
	const char *why;  /* in place of strerror(3), where that would say nothing */
	const char *done; /* NULL: -v does not show it */
} steps[] = {
	[STEP_BORN] = {OF_NOTHING, "tell the launcher the daemon's PID", NULL, NULL},
	[STEP_CHANNEL] = {OF_NOTHING, "hear from the daemon", NULL, NULL},
	[STEP_FORK] = {OF_NOTHING, "fork", NULL, NULL},
	[STEP_PID_NAMESPACE] = {OF_NOTHING, "fork",
		"children are in another PID namespace; unshare(1) needs --fork", NULL},
	[STEP_SESSION] = {OF_NOTHING, "start a session", NULL,
		"left the caller's session and terminal (setsid)"},
	[STEP_FORK_AGAIN] = {OF_NOTHING, "fork a second time", NULL,
		"forked again: not the session's leader, it can never acquire a terminal"},
	[STEP_PROCESS_GROUP] = {OF_NOTHING, "start a process group", NULL,
		"became the leader of a process group (setpgid)"},
	[STEP_STREAMS] = {OF_NOTHING, "redirect the standard streams", NULL,
		"redirected standard input, output and error"},
	[STEP_CLOSE] = {OF_NOTHING, "close the inherited file descriptors", NULL,
		"closed all file descriptors except those to keep"},
	[STEP_PIDFILE_OPEN] = {OF_PIDFILE, "open pidfile", NULL, NULL},
	[STEP_PIDFILE_SYMLINK] = {OF_PIDFILE, "use pidfile", "it is a symbolic link", NULL},
	[STEP_PIDFILE_TYPE] = {OF_PIDFILE, "use pidfile", "it is not a regular file", NULL},
	[STEP_PIDFILE_LINKS] = {OF_PIDFILE, "use pidfile", "it has another hard link", NULL},
	[STEP_PIDFILE_OWNER] = {OF_PIDFILE, "use pidfile", "it belongs to another user", NULL},
	[STEP_PIDFILE_READ] = {OF_PIDFILE, "read pidfile", NULL, NULL},
	[STEP_PIDFILE_LOCK] = {OF_PIDFILE, "lock pidfile", NULL, NULL},
	[STEP_PIDFILE_LOST] = {OF_PIDFILE, "lock pidfile", NULL, NULL},
	[STEP_PIDFILE_REPLACE] = {OF_PIDFILE, "replace pidfile", NULL, NULL},
	[STEP_PIDFILE_WRITE] = {OF_PIDFILE, "write pidfile", NULL,
		"locked, and wrote the PID to, pidfile"},
	[STEP_TRUNCATE] = {OF_NOTHING, "truncate the logs", NULL, "truncated the logs"},
	[STEP_CHROOT] = {OF_CHROOT, "change the root directory to", NULL,
		"changed the root directory to"},
	[STEP_CHDIR] = {OF_CHDIR, "change to directory", NULL, "changed the working directory to"},
	[STEP_CORE] = {OF_NOTHING, "disable core dumps", NULL, "disabled core dumps"},
	[STEP_GROUPS] = {OF_USER, "set the supplementary groups of", NULL, NULL},
	[STEP_GROUP] = {OF_USER, "set the group of", NULL, NULL},
	[STEP_USER] = {OF_USER, "become user", NULL, "set groups and group, and became user"},
	[STEP_REGAIN] = {OF_USER, "become user", "root's privileges could be regained",
		"verified that root's privileges cannot be regained by user"},
	[STEP_SIGNALS] = {OF_NOTHING, "reset the signals", NULL,
		"reset signal dispositions and mask"},
	[STEP_FORK_COMMAND] = {OF_COMMAND, "fork for", NULL, "forked, to supervise"},
	[STEP_KEEPER] = {OF_COMMAND, "supervise", NULL, NULL},
	[STEP_FIND] = {OF_COMMAND, "find", "command not found", NULL},
	[STEP_EXEC] = {OF_COMMAND, "execute", NULL, NULL},
};

static const char *step_object(const struct objects *objects, enum step step)
{
	switch (steps[step].object) {
	case OF_PIDFILE: return objects->pidfile;
	case OF_CHROOT: return objects->root;
	case OF_CHDIR: return objects->directory;
	case OF_USER: return objects->user;
	case OF_COMMAND: return objects->command;
	case OF_NOTHING: break;
	}
	return NULL;
}

/* As nohup(1) and env(1) do. */
static enum exit_status step_status(enum step step)
{
	return step == STEP_FIND   ? EXIT_NOT_FOUND
	       : step == STEP_EXEC ? EXIT_CANNOT_EXECUTE
				   : EXIT_SETUP;
}

static const char *step_why(enum step step, int error)
{
	return steps[step].why ? steps[step].why : strerror(error);
}

/* execve(2) has found the file, but not "its interpreter '/bin/foo'". */
static _Noreturn void die_without_interpreter(const struct objects *objects)
{
	char line[FIRST_LINE_MAX] = "", *name = line + 2;
	int fd = objects->file ? open(objects->file, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t size = fd == -1 ? -1 : read(fd, line, sizeof line - 1);

	line[size > 0 ? size : 0] = '\0';
	if (strncmp(line, "#!", 2) != 0)
		die(EXIT_CANNOT_EXECUTE, "cannot execute '%s': its interpreter was not found",
			objects->command);
	name += strspn(name, " \t");
	die(EXIT_CANNOT_EXECUTE, "cannot execute '%s': its interpreter '%.*s' was not found",
		objects->command, (int)strcspn(name, " \t\n"), name);
}

_Noreturn void die_of_step(const struct objects *objects, enum step step, int error)
{
	const char *object = step_object(objects, step);

	if (step == STEP_EXEC && error == ENOENT)
		die_without_interpreter(objects);
	if (step == STEP_FIND && strpbrk(objects->command, " \t\n"))
		die(EXIT_NOT_FOUND,
			"cannot find '%s': command not found; to run a shell command line, use sh -c",
			objects->command);
	if (object)
		die(step_status(step), "cannot %s '%s': %s", steps[step].verb, object,
			step_why(step, error));
	die(step_status(step), "cannot %s: %s", steps[step].verb, step_why(step, error));
}

void complain_of_step(const char *path, enum step step)
{
	complain("cannot %s '%s': %s", steps[step].verb, path, step_why(step, errno));
}

bool step_is_told(enum step step)
{
	return steps[step].done != NULL;
}

void verbose_step(const struct objects *objects, enum step step)
{
	const char *object = step_object(objects, step);

	if (!steps[step].done)
		return;
	if (object)
		verbose("%s '%s'", steps[step].done, object);
	else
		verbose("%s", steps[step].done);
}

bool report(int channel_fd, enum step step, bool failed, int error)
{
	struct report report = {.step = step, .failed = failed, .error = error, .pid = getpid()};

	return write(channel_fd, &report, sizeof report) == (ssize_t)sizeof report;
}
