#include "features.h"

#include "identity.h"

#include "environment.h"
#include "options.h"
#include "say.h"
#include "steps.h"
#include "system.h"
#include "values.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static const char passwd_file[] = "/etc/passwd", group_file[] = "/etc/group";

/* getpwnam(3): what errno may be where there is merely no entry, or no such file. */
static bool is_lookup_error(int error)
{
	return error && error != ENOENT && error != ESRCH && error != ERANGE && error != EBADF &&
	       error != ENOTTY;
}

/*
 * Returns the error for which a lookup that found nothing, or nothing more, cannot be
 * trusted; 0 if it can. Where nsswitch.conf(5) names a second service, libc does not say that
 * it could not read the file.
 */
static int lookup_error(int error, const char *database)
{
	char text[4096];
	ssize_t size = -1;
	int fd;

	if (is_lookup_error(error))
		return error;
	fd = open(database, O_RDONLY | O_CLOEXEC);
	while (fd != -1 && (size = read(fd, text, sizeof text)) > 0)
		;
	error = size == -1 ? errno : 0;
	if (fd != -1)
		close(fd);
	return is_lookup_error(error) ? error : 0;
}

static const struct passwd *user_or_die(const char *name, struct identity *id)
{
	unsigned long long number;
	bool is_number = parse_number(name, 10, UINT_MAX - 1, &number);
	const struct passwd *entry;
	int error;

	errno = 0;
	entry = getpwnam(name);
	if (!entry && is_number)
		entry = getpwuid((uid_t)number);
	/* Without its entry, a number would lack the supplementary groups. */
	error = entry ? 0 : lookup_error(errno, passwd_file);
	if (error)
		die(EXIT_SETUP, "cannot look up user '%s': %s", name, strerror(error));
	if (!entry && !is_number)
		die(EXIT_SETUP, "unknown user '%s'", name);
	id->uid = entry ? entry->pw_uid : (uid_t)number;
	id->gid = entry ? entry->pw_gid : (gid_t)-1;
	return entry;
}

/* NULL if there is no such entry. */
static const struct passwd *calling_user_or_die(uid_t uid)
{
	const struct passwd *entry;
	int error;

	errno = 0;
	entry = getpwuid(uid);
	error = entry ? 0 : lookup_error(errno, passwd_file);
	if (error)
		die(EXIT_SETUP, "cannot look up user %lu: %s", (unsigned long)uid, strerror(error));
	return entry;
}

static gid_t group_or_die(const char *name)
{
	unsigned long long number;
	const struct group *entry;
	int error;

	errno = 0;
	entry = getgrnam(name);
	if (entry)
		return entry->gr_gid;
	error = lookup_error(errno, group_file);
	if (error)
		die(EXIT_SETUP, "cannot look up group '%s': %s", name, strerror(error));
	if (parse_number(name, 10, UINT_MAX - 1, &number))
		return (gid_t)number;
	die(EXIT_SETUP, "unknown group '%s'", name);
}

static void identity_groups(struct identity *id, const struct passwd *user)
{
	static gid_t groups[NGROUPS_MAX];
	int error;

	id->groups = groups;
	id->groups[0] = id->gid;
	id->n_groups = user ? NGROUPS_MAX : 1;
	if (!user)
		return;
	/* glibc reports success even if it could not read the group database. */
	errno = 0;
	error = list_groups(user->pw_name, id->gid, groups, &id->n_groups) == -1
			? errno
			: lookup_error(errno, group_file);
	if (error)
		die(EXIT_SETUP, "cannot look up the groups of user '%s': %s", user->pw_name,
			strerror(error));
}

static bool groups_hold(const gid_t *groups, int count, gid_t group)
{
	for (int i = 0; i < count; i++)
		if (groups[i] == group)
			return true;
	return false;
}

/* Whether our supplementary groups are these. Either list may or may not have the primary group. */
static bool has_groups(const struct identity *id)
{
	static gid_t ours[NGROUPS_MAX];
	const int count = getgroups(NGROUPS_MAX, ours);

	for (int i = 0; i < count; i++)
		if (ours[i] != id->gid && !groups_hold(id->groups, id->n_groups, ours[i]))
			return false;
	for (int i = 0; i < id->n_groups; i++)
		if (id->groups[i] != id->gid && !groups_hold(ours, count, id->groups[i]))
			return false;
	return true;
}

enum step identity_resolve(const struct options *opt, struct identity *id)
{
	char name[LOGIN_NAME_MAX + 64];
	const char *group = opt->group, *colon = opt->user ? strchr(opt->user, ':') : NULL;
	const struct passwd *user = NULL;
	bool same;

	*id = (struct identity){.uid = geteuid(), .gid = (gid_t)-1};
	if (!opt->user && !opt->group)
		return STEP_DONE;
	if (colon && opt->group)
		die_usage("'%s' names a group, and so does -g", opt->user);
	if (colon && (!colon[1] || colon == opt->user))
		die_usage("'%s' is not of the form USER[:GROUP]", opt->user);
	if (colon)
		group = colon + 1;
	if (opt->user) {
		if (snprintf(name, sizeof name, "%.*s", (int)strcspn(opt->user, ":"), opt->user) >=
			(int)sizeof name)
			die(EXIT_SETUP, "unknown user '%s'", opt->user);
		user = user_or_die(name, id);
		set_login_environment(user);
	}
	if (group)
		id->gid = group_or_die(group);
	if (!opt->user)
		user = calling_user_or_die(id->uid);
	if (id->gid == (gid_t)-1)
		die(EXIT_SETUP, "user '%s' has no passwd entry: name a group too, as %s:GROUP",
			opt->user, opt->user);
	identity_groups(id, user);
	same = id->uid == geteuid() && id->gid == getegid();
	/* Only root can set groups; to become oneself, that is no reason to fail. */
	id->change = !same || (geteuid() == 0 && !has_groups(id));
	if (!id->change || may_set_groups() == 0)
		return STEP_DONE;
	return same ? STEP_GROUPS : STEP_USER;
}

bool may_enter_later(const struct identity *id, int error)
{
	return id->change && (error == EACCES || error == EPERM);
}
