/*
 * daemonize: run a command as a daemon, and say truthfully whether it is up.
 *
 * Who forks whom, and who holds what:
 *
 *   launcher   what the user typed. Does everything that can fail in front of the user: checks
 *      |       options, resolves names and paths, opens the logs, looks at the pidfile. Then it
 *      |       forks, stays as the subreaper of its descendants, and exits last, with the verdict.
 *      +- middle child    setsid(2): a session without a terminal. Forks again and exits.
 *            +- daemon    does not lead the session, so no terminal it opens can become its own.
 *                         Takes the pidfile's lock, assumes its identity, execs the command.
 *
 * With --restart, the daemon forks once more when it holds the lock: the child becomes the command,
 * and the daemon execs our own program as its keeper, see src/keeper.h.
 *
 * After the first fork there are only system calls on what was settled before. Every one that
 * fails goes one way: {step, errno} down the status channel, a close-on-exec pipe, and _exit.
 * What the launcher may conclude from the channel:
 *
 *   a report with an errno     the start failed at that step
 *   end of file                the daemon has exec'd or has died: either closes the pipe, so we
 *                              ask the kernel which (PF_FORKNOEXEC), see process_has_execed()
 *
 * Invariants:
 *   - fds 0-2 are open before we open anything, so that no file of ours becomes a stream;
 *   - the pidfile carries a POSIX record lock that belongs to the daemon itself: it survives
 *     exec, no child inherits it, and it ends with the process, however that dies;
 *   - so the daemon closes its fds before it takes the lock: closing any fd of a file drops
 *     every record lock that the process holds on it;
 *   - whoever writes or removes a pidfile holds its write lock; the daemon keeps a read lock, on
 *     a read-only fd.
 *
 * This file tells the story of a start: read it from start(), near the end. Each idea below it has
 * a room of its own in src/, whose header says what it promises: src/launcher.h forks and listens,
 * src/daemon.h is what the children do, src/readiness.h waits until the daemon is ready,
 * src/pidfile.h has the two sides of the lock, src/control.h has --status, --stop and --signal.
 * What differs between systems is behind src/system.h.
 *
 * References: PEP 3143; daemon(7); Stevens, Fenner, Rudoff, "UNIX Network Programming", 13.4;
 * fcntl_locking(2).
 */
#include "src/features.h"

#include "src/checks.h"
#include "src/clock.h"
#include "src/command.h"
#include "src/control.h"
#include "src/daemon.h"
#include "src/descriptors.h"
#include "src/environment.h"
#include "src/family.h"
#include "src/identity.h"
#include "src/instance.h"
#include "src/interrupts.h"
#include "src/keeper.h"
#include "src/launcher.h"
#include "src/loggers.h"
#include "src/notify.h"
#include "src/options.h"
#include "src/paths.h"
#include "src/pidfile.h"
#include "src/readiness.h"
#include "src/say.h"
#include "src/signals.h"
#include "src/steps.h"
#include "src/streams.h"
#include "src/system.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define VERSION "1.0.0"

/* The daemon is up, but we cannot say so: terminates it and exits. */
static _Noreturn void give_up(const struct options *opt, const struct identity *id,
	const struct family *family)
{
	if (!family_end(family))
		complain("pid %ld cannot be terminated", (long)family->daemon);
	if (interrupted_by)
		complain("interrupted by signal %d (%s) while starting %s", (int)interrupted_by,
			signal_name((int)interrupted_by), opt->name);
	bury(opt->pidfile, id->uid, family);
	if (interrupted_by)
		die_of_signal((int)interrupted_by);
	exit(EXIT_SETUP);
}

/* Whether we have children from before our exec: the caller forked them. */
static bool has_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static struct objects objects_of(const struct options *opt)
{
	return (struct objects){.pidfile = opt->pidfile,
		.root = opt->root,
		.directory = opt->directory ? opt->directory : "/",
		.user = opt->user ? opt->user : opt->group,
		.command = opt->name};
}

/* Looks up users and groups, prepares the environment, finds the command, and sets the umask. */
static void settle_who_and_what(struct plan *plan)
{
	const struct options *opt = plan->opt;
	enum step failed;

	environment_clean();
	if (has_loggers(opt) || opt->ready) {
		environment_set_or_die(opt->env, opt->n_env);
		callers_environment_keep();
	}
	failed = identity_resolve(opt, &plan->id); /* sets HOME and the like; -E overrides them */
	if (failed)
		die_of_step(&plan->objects, failed, errno);
	environment_set_or_die(opt->env, opt->n_env);
	if (!opt->root)
		plan->objects.file = plan->path;
	failed = command_resolve(opt, plan->id.change, plan->path);
	if (failed)
		die_of_step(&plan->objects, failed, errno);
	callers_umask_keep(umask(opt->umask));
}

/*
 * Looks at the pidfile: if the daemon runs already, it refuses, waits, or exits with 0.
 * Checks that all files can be opened or created; opens the logs that exist, takes the lock
 * of -l, creates the other logs.
 */
static void settle_where(struct plan *plan)
{
	const struct options *opt = plan->opt;
	const bool may_wait = opt->if_running == IF_RUNNING_WAIT;

	plan->instance.deadline = may_wait ? deadline_in(opt->wait) : 0;
	if (may_wait)
		check_paths(opt, &plan->objects, &plan->id, plan->path,
			plan->launcher); /* before the wait, too */
	if (opt->pidfile)
		instance_settle(&plan->instance);
	check_paths(opt, &plan->objects, &plan->id, plan->path, plan->launcher);
	if (opt->pidfile)
		pidfile_name_draft(plan->draft, opt->pidfile);
	streams_open_or_die(opt, &plan->streams, false);
	if (opt->lockfile && !(opt->pidfile && same_path(opt->pidfile, opt->lockfile))) {
		plan->flock_fd = instance_lock_or_die(&plan->instance);
		if (may_wait)
			streams_reopen_or_die(opt, &plan->streams);
	}
	streams_open_or_die(opt, &plan->streams, true);
}

/* Becomes the subreaper of its descendants, and opens what the daemon reports through. */
static void prepare_to_listen(struct plan *plan, struct attempt *attempt)
{
	const struct options *opt = plan->opt;

	become_subreaper();
	if (waits_for_readiness(opt) || opt->print_pid || has_loggers(opt))
		attempt->family.adopts = !has_children();
	if (opt->notify)
		attempt->ready_fd = notify_open_or_die(opt->root, &plan->id);
	if (opt->notify_fd != -1 || opt->ready)
		attempt->ready_fd = notify_pipe_or_die(&plan->ready_write_fd);
}

/* The command has been executed: returns once it is up and the caller has been told. */
static void await_up_or_die(const struct plan *plan, const struct attempt *attempt)
{
	const struct options *opt = plan->opt;

	if (opt->notify_fd != -1)
		close(plan->ready_write_fd); /* with ours open, the daemon's close would not be seen */
	if (waits_for_readiness(opt))
		do
			await_ready_or_die(opt, &attempt->family, &plan->streams, plan->id.uid,
				attempt->ready_fd, plan->ready_write_fd);
		while (plan->keeper.token_fd != -1 && !keeper_let_go(plan->keeper.token_fd));
	/* By now, interrupted_by is set only if a message or the PID could not be written. */
	if (interrupted_by || loggers_ended(0, "before the daemon was up") ||
		(opt->print_pid && !tell_pid(attempt->family.daemon)))
		give_up(opt, &plan->id, &attempt->family);
	verbose("'%s' is up (pid %ld)", opt->name, (long)attempt->family.daemon);
	loggers_let_go();
}

/* The steps are those of the manual's "detach sequence", in its order. */
static int start(const struct options *opt, unsigned int missing_fds)
{
	struct plan plan = {.opt = opt,
		.objects = objects_of(opt),
		.streams = {.fd = {-1, -1, -1}, .log_size = {-1, -1, -1}},
		.flock_fd = -1,
		.channel_fd = -1,
		.lock_fd = -1,
		.ready_write_fd = -1,
		.keeper = {.program_fd = -1, .token_fd = -1, .failure_fd = -1},
		.launcher = getpid(),
		.instance = {.opt = opt, .objects = &plan.objects, .user = &plan.id.uid}};
	struct attempt attempt = {.ready_fd = -1};

	check_caller(opt, missing_fds);
	settle_who_and_what(&plan);
	settle_where(&plan);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a pidfile beyond RLIMIT_FSIZE is an error like any other */
	signal(SIGCHLD, SIG_DFL); /* an ignored SIGCHLD would reap our children unseen */
	if (!opt->foreground)
		prepare_to_listen(&plan, &attempt);
	if (opt->restart >= 0)
		keeper_prepare_or_die(&plan.keeper, opt);
	if (has_loggers(opt))
		loggers_start_or_die(opt, &plan.streams);
	if (opt->foreground)
		launch_in_foreground(&plan);
	while (!launch(&plan, &attempt)) {
		instance_settle(&plan.instance); /* another start was faster */
		streams_reopen_or_die(opt, &plan.streams);
	}
	await_up_or_die(&plan, &attempt);
	return EXIT_UP;
}

int main(int argc, char **argv)
{
	struct options opt;
	unsigned int missing_fds;

	if (is_keeper(argc, argv)) {
		check_set_user_id();
		keeper_main(argv);
	}
	options_parse(&opt, argc, argv); /* opens nothing */
	missing_fds = ensure_standard_fds();
	if (opt.mode != MODE_HELP && opt.mode != MODE_VERSION)
		check_set_user_id();
	switch (opt.mode) {
	case MODE_HELP: return print_or_die(options_help);
	case MODE_VERSION: return print_or_die("daemonize " VERSION "\n");
	case MODE_STATUS: return control_status(&opt);
	case MODE_STOP: return control_stop(&opt);
	case MODE_SIGNAL: return control_signal(&opt);
	case MODE_START: break;
	}
	return start(&opt, missing_fds);
}
