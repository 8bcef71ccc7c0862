#include "features.h"

#include "environment.h"

#include "say.h"
#include "system.h"

#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void environment_clean(void)
{
	static const char *const not_for_us[] = {"NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS",
		"LISTEN_FDNAMES", "LISTEN_PIDFDID", "WATCHDOG_PID", "WATCHDOG_USEC"};

	for (size_t i = 0; i < sizeof not_for_us / sizeof *not_for_us; i++)
		unsetenv(not_for_us[i]);
}

char **environment_copy_or_die(void)
{
	size_t count = 0;
	char **copy;

	while (environ && environ[count])
		count++;
	copy = allocate_or_die(count + 1, sizeof *copy);
	for (size_t i = 0; i < count; i++)
		copy[i] = environ[i];
	return copy;
}

int environment_put(char *setting)
{
	char *equals = setting + strcspn(setting, "=");

	/* If the caller has the name twice, putenv(3) would leave the second. */
	*equals = '\0';
	unsetenv(setting);
	*equals = '=';
	return putenv(setting);
}

void environment_set_or_die(char **settings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (environment_put(settings[i]) != 0)
			die(EXIT_SETUP, "cannot set '%s': %s", settings[i], strerror(errno));
}

/* A shell that refuses logins runs no commands, and a daemon wants $SHELL for that. */
static bool is_shell(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	return *name && strcmp(name, "nologin") != 0 && strcmp(name, "false") != 0;
}

void set_login_environment(const struct passwd *user)
{
	static const char *const names[] = {"HOME", "USER", "LOGNAME", "SHELL"};
	const char *values[] = {"/", NULL, NULL, NULL};

	if (user) {
		values[0] = user->pw_dir;
		values[1] = values[2] = user->pw_name;
		values[3] = is_shell(user->pw_shell) ? user->pw_shell : "/bin/sh";
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		unsetenv(names[i]); /* it may be there twice */
		if (values[i] && setenv(names[i], values[i], 1) == -1)
			die(EXIT_SETUP, "cannot set %s: %s", names[i], strerror(errno));
	}
}
