#include "features.h"

#include "daemon.h"

#include "command.h"
#include "descriptors.h"
#include "identity.h"
#include "instance.h"
#include "keeper.h"
#include "options.h"
#include "paths.h"
#include "pidfile.h"
#include "process.h"
#include "say.h"
#include "signals.h"
#include "steps.h"
#include "streams.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* No launcher will clear up: we remove the pidfile that we have locked, if we still may. */
static _Noreturn void die_in_foreground(const struct plan *plan, enum step step, int error)
{
	const char *path = plan->opt->pidfile;
	const char *slash = path ? strrchr(path, '/') : NULL;
	const char *name = slash ? slash + 1 : path;
	struct stat ours, now;

	if (path && plan->lock_fd != -1 && fstat(plan->lock_fd, &ours) == 0 &&
		fstatat(plan->pidfile_parent_fd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
		same_file(&ours, &now))
		unlinkat(plan->pidfile_parent_fd, name, 0);
	die_of_step(&plan->objects, step, error);
}

/* Returns if the step was done. If not, reports the failure and exits. */
static void must(const struct plan *plan, enum step step, bool done)
{
	int error = errno;

	if (!done && plan->keeper.failure_fd != -1)
		(void)!write(plan->keeper.failure_fd, "", 1);
	if (plan->channel_fd == -1 && !done)
		die_in_foreground(plan, step, error);
	else if (plan->channel_fd == -1)
		verbose_step(&plan->objects, step);
	else if (!done || (diagnostics.verbose && step_is_told(step)))
		/* A launcher that was killed hears nothing, which is no reason to give up. */
		(void)report(plan->channel_fd, step, !done, error);
	if (!done)
		_exit(EXIT_SETUP);
}

static int put_streams_in_place(const struct plan *plan)
{
	if (streams_redirect(&plan->streams) == -1)
		return -1;
	return plan->opt->notify_fd == -1 ? 0 : dup2(plan->ready_write_fd, plan->opt->notify_fd);
}

static void take_pidfile(struct plan *plan)
{
	enum step failed;
	int lock_fd, error;

	for (;;) {
		failed = pidfile_take(plan->opt->pidfile, plan->draft, &plan->id.uid,
			plan->launcher, &lock_fd);
		if (failed != STEP_PIDFILE_LOST || plan->channel_fd != -1)
			break;
		/* In the foreground no launcher does it. The fds behind the streams are closed. */
		instance_settle(&plan->instance);
		for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
			plan->streams.fd[i] = -1;
		streams_reopen_or_die(plan->opt, &plan->streams);
		if (put_streams_in_place(plan) == -1)
			die_in_foreground(plan, STEP_STREAMS, errno);
	}
	if (!failed)
		plan->lock_fd = lock_fd;
	else if (plan->channel_fd == -1) {
		error = errno;
		pidfile_remove(plan->opt->pidfile, &plan->id.uid, getpid());
		errno = error;
	}
	must(plan, failed ? failed : STEP_PIDFILE_WRITE, failed == STEP_DONE);
}

/* setuid(7): groups while we still may, the user last; then verify that there is no way back. */
static void assume_identity(const struct plan *plan)
{
	const struct identity *id = &plan->id;

	must(plan, STEP_GROUPS, set_groups(id->n_groups, id->groups) == 0);
	must(plan, STEP_GROUP, set_group_ids(id->gid) == 0);
	must(plan, STEP_USER, set_user_ids(id->uid) == 0);
	if (id->uid != 0)
		must(plan, STEP_REGAIN, setuid(0) == -1 && (id->gid == 0 || setgid(0) == -1));
}

/*
 * For --restart: forks. The child returns, to become the command as any daemon does. We become its
 * keeper once it has exec'd, or exit as it did. Signals wait for the keeper; orphans come to us.
 */
static void fork_command(struct plan *plan)
{
	sigset_t all;
	int failure[2], status;
	ssize_t size;
	char byte;
	pid_t command;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	become_subreaper();
	plan->keeper.pid = getpid();
	must(plan, STEP_CHANNEL, pipe_close_on_exec(failure) != -1);
	command = fork();
	if (command == -1)
		must(plan, STEP_FORK_COMMAND, false);
	if (command == 0) {
		plan->keeper.failure_fd = failure[1];
		if (plan->lock_fd != -1)
			fcntl(plan->lock_fd, F_SETFD, FD_CLOEXEC);
		if (plan->channel_fd == -1) {
			/* Not the name of a daemon that starts: the kernel's flag tells when we are executed. */
			process_set_name("daemonize");
			verbose_step(&plan->objects, STEP_FORK_COMMAND);
		} else
			(void)report(plan->channel_fd, STEP_FORK_COMMAND, false, 0);
		return;
	}
	close(failure[1]);
	size = read(failure[0], &byte, 1);
	/* One that is killed before it is executed tells nothing. */
	if ((size == 1 || (size == 0 && !process_has_execed(command))) &&
		waitpid(command, &status, 0) == command) {
		if (WIFEXITED(status))
			_exit(WEXITSTATUS(status));
		errno = ESRCH;
		must(plan, STEP_KEEPER, false);
	}
	keeper_execute(&plan->keeper, &plan->id, plan->path, plan->lock_fd, plan->channel_fd,
		command);
	must(plan, STEP_KEEPER, false);
}

_Noreturn void become_daemon(struct plan *plan)
{
	const struct options *opt = plan->opt;
	const char *directory = opt->directory ? opt->directory : "/";
	bool entered;

	must(plan, STEP_STREAMS, put_streams_in_place(plan) != -1);
	must(plan, STEP_CLOSE, close_others(&plan->keep) == 0);
	if (opt->pidfile)
		take_pidfile(plan);
	if (opt->restart >= 0)
		fork_command(plan);
	if (opt->root)
		must(plan, STEP_CHROOT, chroot(opt->root) == 0 && chdir("/") == 0);
	entered = chdir(directory) == 0;
	if (entered || !may_enter_later(&plan->id, errno))
		must(plan, STEP_CHDIR, entered);
	if (opt->no_core)
		must(plan, STEP_CORE, setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) == 0);
	if (plan->id.change)
		assume_identity(plan);
	if (!entered)
		must(plan, STEP_CHDIR, chdir(directory) == 0);
	if (opt->root) {
		const int error = command_find(opt->command[0], plan->path);

		errno = error;
		must(plan, find_step(error), error == 0);
	}
	/* Only now: a failed start leaves them as they are. */
	if (opt->truncate)
		must(plan, STEP_TRUNCATE, streams_truncate(&plan->streams) == 0);
	/*
	 * Last, and reported before it is done: until then we ignore SIGPIPE, so that
	 * the launcher's death does not kill us. Ignoring it again drops one that
	 * came while it was blocked.
	 */
	must(plan, STEP_SIGNALS, true);
	signal(SIGPIPE, SIG_IGN);
	if (opt->restart >= 0) {
		die_with_parent();
		errno = ESRCH; /* the keeper exited before that */
		must(plan, STEP_KEEPER, getppid() == plan->keeper.pid);
	}
	if (reset_signals(&opt->ignore) == -1)
		must(plan, STEP_SIGNALS, false);
	command_execute(plan->path, opt->command);
	must(plan, STEP_EXEC, false);
	_exit(EXIT_SETUP);
}

/*
 * The second child. Without its PID, the launcher would not notice its death. It leads its process
 * group, so that "kill -- -PID" also kills what it has forked.
 */
static _Noreturn int be_born(void *argument)
{
	struct plan *plan = argument;

	if (!report(plan->channel_fd, STEP_BORN, false, 0))
		_exit(EXIT_SETUP);
	must(plan, STEP_PROCESS_GROUP, setpgid(0, 0) != -1);
	become_daemon(plan);
}

_Noreturn int detach(void *argument)
{
	const struct plan *plan = argument;

	/*
	 * We would be that namespace's init, and it would die with us; or our PID would mean
	 * nothing outside.
	 */
	must(plan, STEP_PID_NAMESPACE, getppid() != 0);
	must(plan, STEP_SESSION, setsid() != -1);
	must(plan, STEP_FORK_AGAIN, fork_lending(DAEMON, be_born, argument) != -1);
	_exit(EXIT_UP);
}
