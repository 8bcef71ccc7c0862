/* lab: a directory of its own, and the processes that are started in it. */
#ifndef LAB_H
#define LAB_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { LAB_TEXT = 8192, LAB_MOST_CHILDREN = 64 };

extern char lab_directory[]; /* where we are from lab_make to lab_remove */
extern char lab_program[], lab_idle[];

/* Takes the absolute paths of both, copies idle to where every user can execute it. */
void lab_make(const char *program, const char *idle);
void lab_remove(void);

_Noreturn void fail(const char *what);

/* NULs between words become blanks; "" for a file that is not there. */
void read_text(const char *path, char text[LAB_TEXT]);
void write_text(const char *path, const char *text);

void nap(long microseconds);

/* A wait(2) will be interrupted twenty seconds from now; or no longer. */
void limit_wait(bool limited);

/* The wait status of a child; one that does not exit is killed. */
int await(pid_t pid);

/*
 * Our living descendants, our children first; children that have exited are reaped. We are the subreaper of
 * all that is tried.
 */
size_t living(pid_t pids[LAB_MOST_CHILDREN]);
void end(pid_t pid);
void end_all(void);

/* The lock on the file "pid"; F_UNLCK if there is none. */
struct flock pidfile_lock(void);
pid_t pidfile_number(void);

/* Removes the files "pid.*", drafts of the pidfile; returns how many there were. */
size_t remove_drafts(void);

#endif
