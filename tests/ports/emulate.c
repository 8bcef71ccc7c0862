/*
 * Compiled once for each program of another architecture: runs it in qemu's user mode, under the
 * name that it was called by. The suite copies and calls this one, which can be executed even if
 * the system does not know the architecture: binfmt_misc.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef EMULATOR /* tests/ports/run says which */
#define EMULATOR "/usr/bin/qemu-s390x-static"
#define PROGRAM "/bin/true"
#endif

enum { OURS = 4, STATUS_BROKEN = 99 }; /* arguments before the program's own */

int main(int argc, char **argv)
{
	char **command = calloc((size_t)argc + OURS + 1, sizeof *command);
	char emulator[] = EMULATOR, program[] = PROGRAM, zeroth[] = "-0";

	if (!command || argc < 1)
		return STATUS_BROKEN;
	command[0] = emulator;
	command[1] = zeroth;
	command[2] = argv[0];
	command[3] = program;
	for (int i = 1; i < argc; i++)
		command[OURS + i - 1] = argv[i];
	execv(emulator, command);
	perror(emulator);
	free(command);
	return STATUS_BROKEN;
}
