/*
 * environment: the variables that the daemon gets.
 *
 * For the launcher; environment_put also for a child with memory of its own.
 */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

#include <pwd.h>
#include <stddef.h>

/*
 * Removes what a service manager has told the caller: the daemon would report to, or take sockets
 * from, a manager that does not know it. sd_notify(3), sd_listen_fds(3).
 */
void environment_clean(void);

/*
 * Copies only the list: putenv(3) and setenv(3) replace its entries, but leave the old
 * strings alone.
 */
char **environment_copy_or_die(void);

/* Sets NAME=VALUE; the string joins the environment. putenv(3), whose result it returns. */
int environment_put(char *setting);

/* The same for each, or dies. */
void environment_set_or_die(char **settings, size_t count);

/* Sets HOME, USER, LOGNAME, SHELL as login(1) does, below -E. NULL: no such user, HOME is "/". */
void set_login_environment(const struct passwd *user);

#endif
