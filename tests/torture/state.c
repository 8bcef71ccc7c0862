/* The state of a process, from /proc; see state.h. */
#define _GNU_SOURCE
#include "state.h"
#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_LOCK_FD = 10 };

__attribute__((format(printf, 2, 3))) static void append(char text[LAB_TEXT], const char *format,
	...)
{
	const size_t length = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + length, LAB_TEXT - length, format, arguments);
	va_end(arguments);
}

static void read_link(pid_t pid, const char *name, char link[PATH_MAX])
{
	char path[300];
	ssize_t size;

	snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
	size = readlink(path, link, PATH_MAX - 1);
	link[size < 0 ? 0 : size] = '\0';
	link[strcspn(link, "[")] = '\0'; /* pipe:[number] */
}

/* The lines of /proc/PID/FILE that begin with one of the words. */
static void append_lines(char state[LAB_TEXT], pid_t pid, const char *file,
	const char *const *words)
{
	char path[300], text[LAB_TEXT], *rest = text;

	snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, file);
	read_text(path, text);
	for (char *line; (line = strsep(&rest, "\n"));)
		for (size_t i = 0; words[i]; i++)
			if (!strncmp(line, words[i], strlen(words[i])))
				append(state, "%s\n", line);
}

/* The name of the lab's file that carries a lock; NULL for any other file. */
static const char *lock_name(const char *path)
{
	const size_t length = strlen(lab_directory);

	if (strncmp(path, lab_directory, length) != 0)
		return NULL;
	if (!strcmp(path + length, "/pid") || !strcmp(path + length, "/lock"))
		return path + length + 1;
	return NULL;
}

/* The fds of that lock, without their numbers; or, with NULL, those of no lock. */
static void append_fds(char state[LAB_TEXT], pid_t pid, const char *lock)
{
	static const char *const flags[] = {"flags:", NULL};
	char path[300], link[PATH_MAX];
	const struct dirent *entry;
	const char *name;
	DIR *list;

	snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
	list = opendir(path);
	while (list && (entry = readdir(list))) {
		if (*entry->d_name == '.')
			continue;
		snprintf(path, sizeof path, "fd/%s", entry->d_name);
		read_link(pid, path, link);
		name = lock_name(link);
		if (lock ? !name || strcmp(name, lock) != 0 : name != NULL)
			continue;
		append(state, "fd %s %s ", lock ? "of a lock" : entry->d_name, link);
		snprintf(path, sizeof path, "fdinfo/%s", entry->d_name);
		append_lines(state, pid, path, flags);
	}
	if (list)
		closedir(list);
}

bool state_is_at_rest(pid_t pid)
{
	char path[32], text[LAB_TEXT];

	snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
	read_text(path, text);
	return strstr(text, "State:\tT") ||
	       (strstr(text, "State:\tS") && strstr(text, "SigPnd:\t0000000000000000") &&
		       strstr(text, "ShdPnd:\t0000000000000000"));
}

bool state_has_low_lock(pid_t pid)
{
	char path[32], link[PATH_MAX];

	for (int fd = 0; fd < FIRST_LOCK_FD; fd++) {
		snprintf(path, sizeof path, "fd/%d", fd);
		read_link(pid, path, link);
		if (lock_name(link))
			return true;
	}
	return false;
}

static void append_file(char state[LAB_TEXT], const char *path)
{
	struct stat status;

	if (stat(path, &status) == 0)
		append(state, "file %s %04o %u %u\n", path, status.st_mode & 07777U, status.st_uid,
			status.st_gid);
}

static const char *session_name(pid_t session, pid_t pid)
{
	if (session == getsid(0))
		return "the caller's";
	return session == pid ? "its own, as leader" : "its own";
}

/* The fields 4 to 7 of /proc/PID/stat: proc_pid_stat(5). */
static void append_session(char state[LAB_TEXT], pid_t pid)
{
	enum { PARENT, GROUP, SESSION, TERMINAL, FIELDS };
	char path[32], text[LAB_TEXT], *field;
	long fields[FIELDS] = {0};

	snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
	read_text(path, text);
	field = strrchr(text, ')');
	field = field ? field + strlen(") S") : text;
	for (size_t i = 0; i < FIELDS; i++)
		fields[i] = strtol(field, &field, 10);
	append(state, "parent %s, session %s, group %s, terminal %ld\n",
		fields[PARENT] == getpid() ? "init" : "another",
		session_name((pid_t)fields[SESSION], pid),
		fields[GROUP] == fields[SESSION] ? "the session's" : "another", fields[TERMINAL]);
}

/* Hides in a keeper's title its command's PID and number of starts, and the blanks that they leave. */
static void hide_title(char *line)
{
	char *from = strstr(line, "keeper of pid "), *end = from ? strchr(from, ':') : NULL;
	size_t length;

	if (!end)
		return;
	memmove(from, end, strlen(end) + 1);
	length = strlen(line);
	while (line[length - 1] == ' ' || line[length - 1] == '\n')
		line[--length] = '\0';
	append(line, "\n");
}

/* Hides its name: mkdtemp chose that of its directory, or the kernel an abstract one. */
static void hide_notify_socket(char *state)
{
	static const char variable[] = "NOTIFY_SOCKET=";
	char *value = strstr(state, variable), *end;

	if (!value)
		return;
	value += strlen(variable);
	end = value + strcspn(value, " \n");
	memmove(value, end, strlen(end) + 1);
}

void state_of(pid_t pid, char state[LAB_TEXT])
{
	static const char *const links[] = {"exe", "cwd", "root"};
	static const char *const files[] = {"pid", "log", "log2", "lock"};
	static const char *const status[] = {"Umask:", "State:", "Uid:", "Gid:", "Groups:",
		"SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:", "Cap", "NoNewPrivs:", NULL};
	static const char *const limits[] = {"Max core", NULL};
	static const char *const all[] = {"", NULL};
	char link[PATH_MAX], *const begin = state + strlen(state);

	for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
		read_link(pid, links[i], link);
		append(state, "%s %s\n", links[i], link);
	}
	append_lines(state, pid, "status", status);
	append_lines(state, pid, "limits", limits);
	append_session(state, pid);
	append_lines(state, pid, "cmdline", all);
	hide_title(begin);
	append_lines(state, pid, "environ", all);
	hide_notify_socket(begin);
	append_fds(state, pid, NULL);
	append_fds(state, pid, "pid");
	append_fds(state, pid, "lock");
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		append_file(state, files[i]);
}
