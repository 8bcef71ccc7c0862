/*
 * process: what the kernel knows about a process.
 *
 * For the launcher, and for --status, --stop and --signal; process_is_alive, process_is_younger and
 * process_has_execed for the children too.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

struct process;

enum seen { UNSEEN, SEEN_NOT, SEEN };

/*
 * Whether the process has the file open, probably as `likely`; UNSEEN where we may not, or
 * cannot, see that. proc_pid_fd(5)
 */
enum seen process_has_open(pid_t pid, int likely, const struct stat *file);

/* Finds the effective user of a process; false where that is unknown. */
bool process_user(pid_t pid, uid_t *uid);

/* Whether it is alive. A zombie is not, unless other threads of the process go on without it. */
bool process_is_alive(pid_t pid);

/* The same for a process that has been read. */
bool process_lives(const struct process *process);

/*
 * Whether the process started after the file was written, so that the file cannot mean it; false
 * where that is unknown. The kernel counts the start in ticks, rounded down; the file's time may
 * lag by a tick of its own, or be in whole seconds (on FAT, even ones): inode(7).
 */
bool process_is_younger(pid_t pid, const struct stat *file);

/*
 * Whether it has exec'd. End of file alone is no proof: a child that is killed closes the channel
 * as well, and before we can wait for it. Linux keeps a flag from fork to exec, also for a zombie,
 * and a zombie stays one until we, its subreaper, reap it. Where the flag cannot be read, we take
 * end of file without a report for exec: only a SIGKILL in the last microseconds makes that wrong.
 */
bool process_has_execed(pid_t pid);

/*
 * Whether it has exited, asked without reaping, so that the PID stays the daemon's until init
 * or we reap it.
 */
bool process_has_died(pid_t pid);

/* Waits for it. Returns the wait status, or -1 if init got that; either way the process is gone. */
int process_reap(pid_t pid);

/* Whether one of its children runs a program; true where that is unknown. proc_pid_task(5) */
bool process_has_program(pid_t pid);

/*
 * Whether it or a descendant waits for input from a pipe; false where that is unknown.
 * proc_pid_wchan(5)
 */
bool process_reads_pipe(pid_t pid);

/*
 * For --status -v: writes ", user www, since 2026-01-31 12:00:00 (3661 s), command: server -p 80",
 * or "" where that is unknown.
 */
void process_describe(pid_t pid, char *text, size_t size);

#endif
