/*
 * paths: names of files, and what stat(2) says about them.
 *
 * For the launcher; same_file, written_at and is_directory for the children too.
 */
#ifndef PATHS_H
#define PATHS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* Whether two stat(2)s are of one file. */
bool same_file(const struct stat *a, const struct stat *b);

/* When the file was written, in nanoseconds of the wall clock, which count to the year 2262. */
int64_t written_at(const struct stat *file);

/* Whether the fd is a directory. */
bool is_directory(int fd);

/* Writes path, made absolute by directory (NULL: the current one), without "./"; or dies. */
void path_absolute_or_die(char result[PATH_MAX], const char *directory, const char *path);

/* Writes the directory that path is in. */
void path_parent(char result[PATH_MAX], const char *path);

/* Whether two names mean one file, even one that does not exist yet. */
bool same_path(const char *a, const char *b);

/* Dies unless path can be written or created: so nothing is created before all can be. */
void path_writable_or_die(const char *what, const char *path);

#endif
