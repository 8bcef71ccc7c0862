/*
 * first FIFO [ARGUMENT ...]: the command that the benchmark starts. The first thing it does is look
 * at the clock. It writes the time and its PID into the FIFO, and lives until it is killed.
 *
 * It has no libc, whose start-up we do not want to measure: cc -nostdlib -static.
 */
#define _GNU_SOURCE
#include "first.h"
#include <fcntl.h>
#include <sys/syscall.h>

#if defined(__x86_64__)

static long call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

/* The stack as the kernel made it: argc, then argv. */
__attribute__((used)) static _Noreturn void run(const long *stack)
{
	struct timespec now;
	struct first first;
	long fd;

	call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0);
	first.begun = now.tv_sec * NANOSECONDS + now.tv_nsec;
	first.pid = (pid_t)call(SYS_getpid, 0, 0, 0);
	fd = call(SYS_open, stack[2], O_WRONLY, 0);
	call(SYS_write, fd, (long)&first, sizeof first);
	for (;;)
		call(SYS_pause, 0, 0, 0);
}

__asm__(".globl _start\n"
	"_start: mov %rsp, %rdi\n"
	"and $-16, %rsp\n"
	"call run\n");

#else
#error "write the start of a program without libc for this machine"
#endif
