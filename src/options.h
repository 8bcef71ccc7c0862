/*
 * options: what the user asked for, and --help beside the table that it must match.
 *
 * For the launcher. Once parsed and checked, they are const.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "clock.h"
#include "descriptors.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define READY_TIMEOUT (60 * NANOSECONDS) /* -t of --notify, --notify-fd and --ready */

enum mode { MODE_START, MODE_STATUS, MODE_STOP, MODE_SIGNAL, MODE_HELP, MODE_VERSION };

enum { NO_SIGNAL = -1 };

enum if_running { IF_RUNNING_REFUSE, IF_RUNNING_WAIT, IF_RUNNING_OK };

/* What the user asked for: const once it has been parsed and checked. */
struct options {
	enum mode mode;
	const char *pidfile; /* of a start: the last of those below */
	char **pidfiles;     /* in argv, where the options were */
	size_t n_pidfiles;
	const char *lockfile;
	const char *user;
	const char *group;
	const char *root;
	const char *directory; /* NULL: not given, which means "/" */
	const char *stream[3]; /* NULL: /dev/null; "-": the caller's; "|command": a logger */
	bool truncate;
	bool foreground;
	bool no_core;
	bool print_pid;
	bool if_running_given;
	enum if_running if_running;
	int64_t wait; /* nanoseconds */
	mode_t umask;
	struct fds keep;
	int missing_fd;	 /* of -k, the first that is not open; -1: none */
	sigset_t ignore; /* what the daemon ignores; all else gets the default */
	char **env;	 /* NAME=VALUE, in the order given */
	size_t n_env;
	int64_t startsecs; /* nanoseconds, as the next three; -1: not given */
	int64_t timeout;
	int64_t kill_after;
	int64_t restart;
	bool tree;
	bool notify;
	int notify_fd;	     /* -1: not given */
	const char *ready;   /* a shell command; NULL: not given */
	int signal;	     /* of --signal; NO_SIGNAL: not given */
	const char *name;    /* the command as typed */
	const char *program; /* our own argv[0] */
	char **command;	     /* NULL-terminated; command[-1] exists: ours, or an option */
};

/* The text of --help. */
extern const char options_help[];

/* Whether the stream goes to a shell command: -o '|command'. */
bool is_logger(const struct options *opt, int number);

/* Whether an output goes to a shell command. */
bool has_loggers(const struct options *opt);

/* Whether the stream is a file that the user has named. */
bool is_file(const struct options *opt, int number);

/* Whether a start is to wait until the daemon is ready. */
bool waits_for_readiness(const struct options *opt);

/*
 * Parses and checks them all, or dies with a usage error. It opens nothing. argv stays in use.
 * getopt_long(3)
 */
void options_parse(struct options *opt, int argc, char **argv);

#endif
