#include "features.h"

#include "paths.h"

#include "clock.h"
#include "say.h"
#include "system.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int64_t written_at(const struct stat *file)
{
	const int64_t seconds = file->st_mtim.tv_sec, most = INT64_MAX / NANOSECONDS - 1;

	if (seconds > most || seconds < -most)
		return seconds > 0 ? INT64_MAX : INT64_MIN;
	return seconds * NANOSECONDS + file->st_mtim.tv_nsec;
}

bool is_directory(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

void path_absolute_or_die(char result[PATH_MAX], const char *directory, const char *path)
{
	char current[PATH_MAX];
	int length;

	while (!strncmp(path, "./", 2))
		path += 2 + strspn(path + 2, "/");
	if (*path == '/') {
		length = snprintf(result, PATH_MAX, "%s", path);
	} else {
		if (!directory)
			directory = getcwd(current, sizeof current);
		if (!directory)
			die(EXIT_SETUP, "cannot find '%s': no current directory: %s", path,
				strerror(errno));
		length = snprintf(result, PATH_MAX, "%s%s%s", directory,
			directory[strlen(directory) - 1] == '/' ? "" : "/", path);
	}
	if (length >= PATH_MAX)
		die(EXIT_CANNOT_EXECUTE, "cannot find '%s': %s", path, strerror(ENAMETOOLONG));
}

void path_parent(char result[PATH_MAX], const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		snprintf(result, PATH_MAX, ".");
	else
		snprintf(result, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* Of two files that do not exist yet: the same name in the same directory. */
static bool same_new_path(const char *a, const char *b)
{
	char a_parent[PATH_MAX], b_parent[PATH_MAX];
	const char *a_slash = strrchr(a, '/'), *b_slash = strrchr(b, '/');
	struct stat a_status, b_status;

	if (strcmp(a_slash ? a_slash + 1 : a, b_slash ? b_slash + 1 : b) != 0)
		return false;
	path_parent(a_parent, a);
	path_parent(b_parent, b);
	return stat(a_parent, &a_status) == 0 && stat(b_parent, &b_status) == 0 &&
	       same_file(&a_status, &b_status);
}

bool same_path(const char *a, const char *b)
{
	struct stat a_status, b_status;
	const bool has_a = stat(a, &a_status) == 0, has_b = stat(b, &b_status) == 0;

	if (has_a || has_b)
		return has_a && has_b && same_file(&a_status, &b_status);
	return same_new_path(a, b);
}

void path_writable_or_die(const char *what, const char *path)
{
	char parent[PATH_MAX];
	struct stat status;

	if (access(path, W_OK) == 0)
		return;
	if (errno == ENOENT) {
		int error;

		path_parent(parent, path);
		if (access(parent, W_OK | X_OK) == 0)
			return;
		error = errno;
		if (lstat(path, &status) == 0)
			return; /* a dangling symbolic link: open(2) will tell */
		if (error == ENOENT)
			die(EXIT_SETUP, "cannot open %s '%s': no such directory '%s'", what, path,
				parent);
		errno = error;
	}
	die(EXIT_SETUP, "cannot open %s '%s': %s", what, path, strerror(errno));
}
