/*
 * environment: what the daemon is told in its environment.
 *
 * For the launcher; environment_put also for who has been forked with a memory of its own.
 */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

#include <pwd.h>
#include <stddef.h>

/*
 * What the caller's own service manager told the caller is not for the daemon: it would report
 * to, or take sockets from, a manager that does not know it. sd_notify(3), sd_listen_fds(3).
 */
void environment_clean(void);

/* The list alone: putenv(3) and setenv(3) put other strings into it, and leave the old ones be. */
char **environment_copy_or_die(void);

/* Sets NAME=VALUE, which becomes part of the environment: putenv(3), whose result it returns. */
int environment_put(char *setting);

/* The same for each. */
void environment_set_or_die(char **settings, size_t count);

/* As login(1) sets it: below -E. */
void set_login_environment(const struct passwd *user);

#endif
