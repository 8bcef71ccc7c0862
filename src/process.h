/*
 * process: what the kernel knows of a process.
 *
 * For the launcher, and for who controls a daemon; process_is_alive and process_is_younger for the
 * children too.
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
 * Whether the process has the file open, probably as `likely`; UNSEEN where we may not, or cannot,
 * know. proc_pid_fd(5)
 */
enum seen process_has_open(pid_t pid, int likely, const struct stat *file);

/* The effective user of a process; false where that cannot be known. */
bool process_user(pid_t pid, uid_t *uid);

/* A zombie has ended, unless it is but the first thread of a process that goes on without it. */
bool process_is_alive(pid_t pid);

/* The same of a process that has been read. */
bool process_lives(const struct process *process);

/*
 * Whether the process began after the file was written, so that the file cannot mean it. The
 * kernel counts the start in ticks, rounded down; the file's time may lag by its own tick, or is
 * of whole seconds, and FAT's even: inode(7).
 */
bool process_is_younger(pid_t pid, const struct stat *file);

/*
 * End of file alone is no proof: a child that is killed closes the channel as well, and before
 * it can be waited for. Linux keeps a flag from fork to exec, also for a zombie, and a zombie
 * it stays until we, its subreaper, reap it. Where the flag cannot be read, the end of file
 * without a report is taken for exec: only a SIGKILL in the last microseconds makes that wrong.
 */
bool process_has_execed(pid_t pid);

/* Asks without reaping, so that the PID stays the daemon's. Where init reaps, it is gone. */
bool process_has_died(pid_t pid);

/* Returns the wait status, or -1 if it went to init; either way the process is gone. */
int process_reap(pid_t pid);

/* Whether a child of one of its threads runs a program, as far as is known. proc_pid_task(5) */
bool process_has_program(pid_t pid);

/*
 * Whether it, or what descends from it, waits for input from a pipe; false where that cannot be
 * known. proc_pid_wchan(5)
 */
bool process_reads_pipe(pid_t pid);

/* Writes ", user www, since 2026-01-31 12:00:00 (3661 s), command: server --port 80", or "" where that is not known. For --status -v. */
void process_describe(pid_t pid, char *text, size_t size);

#endif
