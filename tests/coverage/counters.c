/*
 * Coverage of a program whose processes exec, _exit, are killed, and change their root and their
 * user: none of them could write a file when it exits. So gcov's counters are in shared memory,
 * System V's, which needs no file, and count for all processes at once.
 *
 * The linker puts them into a section of their own (counters.ld); a constructor maps the shared
 * memory over it. Called as "dump", the program writes the counts into .gcda files beside the
 * objects that it was linked from. shmat(2); gcc's "Freestanding environments" has the rest.
 */
#define _GNU_SOURCE /* SHM_REMAP */

#include <fcntl.h>
#include <gcov.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

extern char counters_begin[], counters_end[];
extern const struct gcov_info *const infos_begin[], *const infos_end[];

static int gcda_fd = -1;

static void begin(const char *name, void *unused)
{
	(void)unused;
	close(gcda_fd);
	gcda_fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (gcda_fd == -1)
		_exit(1);
}

static void put(const void *data, unsigned int size, void *unused)
{
	(void)unused;
	if (write(gcda_fd, data, size) != (ssize_t)size)
		_exit(1);
}

static void *allocate(unsigned int size, void *unused)
{
	(void)unused;
	return malloc(size);
}

/* If it fails, as in another IPC namespace, a process counts only for itself. */
__attribute__((constructor)) static void count_together(int argc, char **argv)
{
	int id = shmget(COUNTERS_KEY, (size_t)(counters_end - counters_begin), IPC_CREAT | 0666);

	if (id != -1)
		shmat(id, counters_begin, SHM_REMAP);
	if (argc != 1 || strcmp(argv[0], "dump") != 0)
		return;
	for (const struct gcov_info *const *info = infos_begin; info < infos_end; info++)
		__gcov_info_to_gcda(*info, begin, put, allocate, NULL);
	_exit(0);
}
