/* The injector; see inject.h. For Linux 5.3 and later on x86-64. */
#define _GNU_SOURCE
#include "inject.h"
#include "lab.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALL_NUMBER orig_rax
#define RESULT rax
#define ARGUMENT_1 rdi
#define ARGUMENT_3 rdx

enum { MOST_PROCESSES = 64 };

/* ---- Which errors a call can return -------------------------------------------------------- */

/*
 * What is not here cannot fail, whatever the manual says: umask, getpid, exec's EFAULT. Nor does the
 * kernel ever deny that a living process exists: no ESRCH.
 */
static const struct {
	long number;
	long command;
	const char *name, *errors;
} kinds[] = {
#define CALL(name) SYS_##name, 0, #name
#define FCNTL(command) SYS_fcntl, command, "fcntl:" #command
	{CALL(access), "EACCES EIO ELOOP ENOENT ENOMEM ENOTDIR EROFS"},
	{CALL(bind), "EACCES EADDRINUSE EINVAL ENOMEM EPERM"},
	{CALL(brk), "ENOMEM"},
	{CALL(chdir), "EACCES EIO ELOOP ENOENT ENOMEM ENOTDIR"},
	{CALL(chmod), "EIO EPERM EROFS"},
	{CALL(chroot), "EACCES EIO ENOENT ENOTDIR EPERM"},
	{CALL(clone), "EAGAIN ENOMEM EPERM"},
	{CALL(clone3), "EAGAIN ENOMEM ENOSYS EPERM"},
	{CALL(close), "EDQUOT EINTR EIO ENOSPC"},
	{CALL(close_range), "EINVAL EMFILE ENOMEM ENOSYS EPERM"},
	{CALL(connect), "EACCES EAGAIN ECONNREFUSED ENOENT EPERM"},
	{CALL(dup), "EMFILE"},
	{CALL(dup2), "EBUSY EINTR EMFILE"},
	{CALL(dup3), "EBUSY EINTR EMFILE"},
	{CALL(execve),
		"E2BIG EACCES EAGAIN EINVAL EIO EISDIR ELIBBAD ELOOP EMFILE ENAMETOOLONG ENFILE "
		"ENOENT ENOEXEC ENOMEM ENOTDIR EPERM ETXTBSY"},
	{CALL(execveat), "EACCES EAGAIN EIO EMFILE ENFILE ENOENT ENOMEM ENOSYS EPERM ETXTBSY"},
	{CALL(faccessat), "EACCES EIO ELOOP ENOENT ENOMEM ENOTDIR EROFS"},
	{CALL(faccessat2), "EACCES EIO ELOOP ENOENT ENOMEM ENOSYS ENOTDIR EPERM EROFS"},
	{CALL(fchmod), "EIO EPERM EROFS"},
	{CALL(fchmodat), "EIO EPERM EROFS"},
	{CALL(fchown), "EIO EPERM EROFS"},
	{CALL(fchownat), "EIO EPERM EROFS"},
	{FCNTL(F_DUPFD), "EINVAL EMFILE"},
	{FCNTL(F_DUPFD_CLOEXEC), "EINVAL EMFILE"},
	{FCNTL(F_GETLK), "EINVAL EIO ENOLCK"},
	{FCNTL(F_SETFL), "EINVAL EPERM"},
	{FCNTL(F_SETLK), "EACCES EAGAIN EINTR EINVAL EIO ENOLCK"},
	{FCNTL(F_SETLKW), "EDEADLK EINTR EINVAL EIO ENOLCK"},
	{CALL(flock), "EAGAIN EINTR EINVAL ENOLCK"},
	{CALL(fork), "EAGAIN ENOMEM"},
	{CALL(fstat), "EIO ENOMEM"},
	{CALL(fstatfs), "EINTR EIO ENOMEM ENOSYS"},
	{CALL(ftruncate), "EINTR EIO EPERM"},
	{CALL(futex), "EAGAIN EINTR"},
	{CALL(getcwd), "EACCES ENOENT ENOMEM"},
	{CALL(getdents64), "EIO ENOMEM"},
	{CALL(getgroups), "EINVAL"},
	{CALL(getpgid), "EPERM ESRCH"},
	{CALL(getrandom), "EAGAIN EINTR ENOSYS"},
	{CALL(getsockname), "ENOBUFS"},
	{CALL(ioctl), "EIO ENOTTY"},
	{CALL(kill), "EPERM"},
	{CALL(lstat), "EACCES EIO ELOOP ENOENT ENOMEM ENOTDIR"},
	{CALL(mkdir), "EACCES EEXIST EIO ENOMEM ENOSPC EROFS"},
	{CALL(mmap), "EACCES EAGAIN ENODEV ENOMEM EPERM"},
	{CALL(mprotect), "EACCES ENOMEM"},
	{CALL(mremap), "EAGAIN ENOMEM"},
	{CALL(munmap), "ENOMEM"},
	{CALL(nanosleep), "EINTR"},
	{CALL(clock_nanosleep), "EINTR"},
	{CALL(newfstatat), "EACCES EIO ELOOP ENOENT ENOMEM ENOTDIR"},
	{CALL(open),
		"EACCES EINTR EIO ELOOP EMFILE ENFILE ENOENT ENOMEM ENOSPC ENOTDIR EPERM EROFS"},
	{CALL(openat),
		"EACCES EINTR EIO ELOOP EMFILE ENFILE ENOENT ENOMEM ENOSPC ENOTDIR EPERM EROFS"},
	{CALL(pidfd_open), "EINVAL EMFILE ENFILE ENODEV ENOMEM ENOSYS EPERM"},
	{CALL(pidfd_send_signal), "EINVAL ENOSYS EPERM"},
	{CALL(pipe), "EMFILE ENFILE ENOMEM"},
	{CALL(pipe2), "EMFILE ENFILE ENOMEM"},
	{CALL(poll), "EINTR EINVAL ENOMEM"},
	{CALL(ppoll), "EINTR EINVAL ENOMEM"},
	{CALL(prctl), "EINVAL EPERM"},
	{CALL(pread64), "EINTR EIO ENOMEM"},
	{CALL(prlimit64), "EPERM"},
	{CALL(pwrite64), "EDQUOT EFBIG EINTR EIO ENOSPC " SHORT},
	{CALL(read), "EINTR EIO ENOMEM"},
	{CALL(readlink), "EACCES EIO ENOENT ENOMEM"},
	{CALL(readlinkat), "EACCES EIO ENOENT ENOMEM"},
	{CALL(readv), "EINTR EIO ENOMEM"},
	{CALL(recvmsg), "EAGAIN EINTR ENOMEM"},
	{CALL(rseq), "ENOSYS EPERM"},
	{CALL(rmdir), "EACCES EBUSY EIO ENOTEMPTY EPERM EROFS"},
	{CALL(rt_sigaction), "EINVAL"},
	{CALL(rt_sigprocmask), "EINVAL"},
	{CALL(sendto), "EAGAIN ECONNREFUSED ENOBUFS EPIPE"},
	{CALL(set_robust_list), "ENOSYS"},
	{CALL(setgid), "EPERM"},
	{CALL(setgroups), "EINVAL ENOMEM EPERM"},
	{CALL(setitimer), "EINVAL"},
	{CALL(setpgid), "EPERM"},
	{CALL(setresgid), "EAGAIN EPERM"},
	{CALL(setresuid), "EAGAIN EPERM"},
	{CALL(setrlimit), "EPERM"},
	{CALL(setsid), "EPERM"},
	{CALL(setsockopt), "EINVAL ENOMEM EPERM"},
	{CALL(setuid), "EAGAIN"},
	{CALL(socket), "EACCES EAFNOSUPPORT EMFILE ENFILE ENOBUFS ENOMEM"},
	{CALL(stat), "EACCES EIO ELOOP ENOENT ENOMEM ENOTDIR"},
	{CALL(statfs), "EACCES EIO ENOMEM ENOSYS"},
	{CALL(statx), "EACCES EIO ELOOP ENOENT ENOMEM ENOSYS ENOTDIR"},
	{CALL(rename), "EACCES EBUSY EDQUOT EIO ENOENT ENOSPC EPERM EROFS"},
	{CALL(unlink), "EACCES EBUSY EIO ENOENT EPERM EROFS"},
	{CALL(unlinkat), "EACCES EBUSY EIO ENOENT EPERM EROFS"},
	{CALL(vfork), "EAGAIN ENOMEM"},
	{CALL(wait4), "ECHILD EINTR"},
	{CALL(waitid), "ECHILD EINTR"},
	{CALL(write), "EAGAIN EINTR EIO ENOSPC EPIPE"},
	{CALL(writev), "EAGAIN EINTR EIO ENOSPC EPIPE"},
	/* These cannot fail, but need a name. */
	{CALL(exit_group), ""},
	{CALL(tgkill), ""},
	{CALL(tkill), ""},
	{CALL(rt_sigreturn), ""},
	{CALL(arch_prctl), ""},
	{FCNTL(F_GETFD), ""},
	{FCNTL(F_SETFD), ""},
	{CALL(getegid), ""},
	{CALL(geteuid), ""},
	{CALL(getgid), ""},
	{CALL(getpid), ""},
	{CALL(getppid), ""},
	{CALL(gettid), ""},
	{CALL(getuid), ""},
	{CALL(lseek), ""},
	{CALL(set_tid_address), ""},
	{CALL(umask), ""},
};

/* 0: it is not an errno's name, but one of the words of inject.h. */
static int error_number(const char *name, size_t length)
{
	enum { LAST = 133 };
	const char *found;

	for (int number = 1; number <= LAST; number++) {
		found = strerrorname_np(number);
		if (found && strlen(found) == length && !strncmp(found, name, length))
			return number;
	}
	return 0;
}

const char *call_error(const struct call *call, size_t n)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const char *word = kinds[i].errors;
		int number;

		if (kinds[i].number != call->number || kinds[i].command != call->command)
			continue;
		for (; *word && n > 0; n--) {
			word += strcspn(word, " ");
			word += strspn(word, " ");
		}
		if (!*word)
			return NULL;
		number = error_number(word, strcspn(word, " "));
		return number ? strerrorname_np(number) : SHORT;
	}
	return NULL;
}

bool call_is_known(const struct call *call)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kinds[i].number == call->number && kinds[i].command == call->command)
			return true;
	return false;
}

bool call_is_same(const struct call *a, const struct call *b)
{
	return a->role == b->role && a->number == b->number && a->command == b->command;
}

void call_name(const struct call *call, char *name, size_t size)
{
	snprintf(name, size, "call-%ld", call->number);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kinds[i].number == call->number && kinds[i].command == call->command)
			snprintf(name, size, "%s", kinds[i].name);
}

const char *role_name(enum role role)
{
	static const char *const names[ROLES] = {"launcher", "middle", "daemon", "command",
		"keeper"};

	return names[role];
}

/* ---- The processes under trace ------------------------------------------------------------- */

struct process {
	pid_t pid;
	enum role role;
	bool gone;	/* it has exited, or become the command */
	bool disturbed; /* it is in the call of the fault, and more is to be done at its end */
	struct user_regs_struct registers; /* before that */
};

struct tracer {
	struct run *run;
	pid_t root;
	bool begun; /* the root has become the program */
	struct process processes[MOST_PROCESSES];
	size_t count;
	size_t n_traced; /* those that are not gone */
};

/* ptrace(2) takes numbers as pointers. */
static void *as_word(long number)
{
	return (void *)number; /* NOLINT(performance-no-int-to-ptr) */
}

static struct process *process_find(struct tracer *t, pid_t pid)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->processes[i].pid == pid)
			return &t->processes[i];
	return NULL;
}

static pid_t process_parent(pid_t pid)
{
	char path[32], text[512] = "";
	const char *end;
	FILE *file;
	long parent = 0;

	snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
	file = fopen(path, "re");
	if (file && fgets(text, sizeof text, file) && (end = strrchr(text, ')')))
		parent = strtol(end + 3, NULL, 10);
	if (file)
		fclose(file);
	return (pid_t)parent;
}

/*
 * A child may be seen before its parent reports the fork, and may even have exited by then: so none
 * is forgotten.
 */
static struct process *process_add(struct tracer *t, pid_t pid)
{
	const struct process *parent = process_find(t, process_parent(pid));
	struct process *process = process_find(t, pid);

	if (process)
		return process;
	if (t->count == MOST_PROCESSES)
		abort();
	process = &t->processes[t->count++];
	t->n_traced++;
	*process = (struct process){.pid = pid, .role = DAEMON};
	if (pid == t->root)
		process->role = LAUNCHER;
	else if (parent && parent->role == LAUNCHER)
		process->role = MIDDLE;
	else if (parent && parent->role >= DAEMON)
		process->role = COMMAND;
	return process;
}

static void process_let_go(struct tracer *t, pid_t pid)
{
	struct process *process = process_find(t, pid);

	if (!process || process->gone)
		return;
	process->gone = true;
	t->n_traced--;
}

static void detach(struct tracer *t, const struct process *process)
{
	ptrace(PTRACE_DETACH, process->pid, NULL, NULL);
	process_let_go(t, process->pid);
}

/*
 * Lets a process go on: to its next call if the fault may still come, otherwise at full speed.
 * ESRCH: it has been killed meanwhile, and its death will be reported.
 */
static void resume(const struct tracer *t, const struct process *process, int signal)
{
	const struct run *run = t->run;
	const bool at_full_speed = run->fault.what && !process->disturbed &&
				   (run->reached || process->role != run->fault.call.role);

	if (ptrace(at_full_speed ? PTRACE_CONT : PTRACE_SYSCALL, process->pid, NULL,
		    as_word(signal)) == -1 &&
		errno != ESRCH)
		fail("PTRACE_CONT");
}

/* ---- The fault ----------------------------------------------------------------------------- */

static bool is(const struct fault *fault, const char *what)
{
	return fault->what && !strcmp(fault->what, what);
}

static void disturb_entry(const struct fault *fault, struct process *process)
{
	struct user_regs_struct changed;
	const int error = error_number(fault->what, strlen(fault->what));

	if (ptrace(PTRACE_GETREGS, process->pid, NULL, &process->registers) == -1)
		return;
	process->disturbed = true;
	changed = process->registers;
	if (is(fault, SHORT))
		changed.ARGUMENT_3 = 1;
	else if (error && fault->call.number == SYS_brk)
		changed.ARGUMENT_1 = 0; /* it fails by leaving the break where it is */
	else if (is(fault, KILL_BEFORE) || (error && fault->call.number != SYS_close))
		/* A close that fails has closed all the same; any other call is not made. */
		changed.CALL_NUMBER = (unsigned long long)-1;
	ptrace(PTRACE_SETREGS, process->pid, NULL, &changed);
	if (is(fault, KILL_BEFORE))
		kill(process->pid, SIGKILL);
	else if (is(fault, INTERRUPT))
		kill(process->pid, SIGINT);
}

/* The program may rely on its arguments still being in their registers. */
static void disturb_exit(const struct fault *fault, struct process *process)
{
	struct user_regs_struct changed;
	const int error = error_number(fault->what, strlen(fault->what));

	process->disturbed = false;
	if (is(fault, KILL_AFTER))
		kill(process->pid, SIGKILL);
	if (ptrace(PTRACE_GETREGS, process->pid, NULL, &changed) == -1)
		return;
	changed.ARGUMENT_1 = process->registers.ARGUMENT_1;
	changed.ARGUMENT_3 = process->registers.ARGUMENT_3;
	if (error && fault->call.number != SYS_brk)
		changed.RESULT = (unsigned long long)-error;
	ptrace(PTRACE_SETREGS, process->pid, NULL, &changed);
}

/* ---- What they report ---------------------------------------------------------------------- */

static void call_record(struct run *run, struct call *call)
{
	for (size_t i = 0; i < run->n_calls; i++)
		call->nth += call_is_same(&run->calls[i], call);
	run->calls = realloc(run->calls, (run->n_calls + 1) * sizeof *call);
	if (!run->calls)
		fail("realloc");
	run->calls[run->n_calls++] = *call;
}

/* Returns whether it is still traced. */
static bool on_system_call(struct tracer *t, struct process *process)
{
	const bool is_to_be_let_go = process->role == KEEPER && !t->run->watched;
	struct __ptrace_syscall_info info;
	struct run *run = t->run;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, process->pid, as_word(sizeof info), &info) == -1)
		return true;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		struct call call = {.role = process->role,
			.number = (long)info.entry.nr,
			.command = info.entry.nr == SYS_fcntl ? (long)info.entry.args[1] : 0,
			.nth = 1};

		call_record(run, &call);
		if (run->fault.what && call_is_same(&run->fault.call, &call) &&
			run->fault.call.nth == call.nth) {
			run->reached = true;
			if (!strncmp(run->fault.what, MEANWHILE, strlen(MEANWHILE)))
				run->meanwhile(run->argument);
			else
				disturb_entry(&run->fault, process);
		}
		if (is_to_be_let_go && call.number == SYS_ppoll && !process->disturbed) {
			detach(t, process);
			return false;
		}
	} else if (process->disturbed) {
		disturb_exit(&run->fault, process);
		if (is_to_be_let_go) {
			detach(t, process);
			return false;
		}
	}
	return true;
}

/* The root's first makes it the program; any other makes a process the command, or its keeper. */
static void on_exec(struct tracer *t, struct process *process)
{
	const pid_t pid = process->pid;
	const bool is_keeper = t->run->kept && process->role == DAEMON;

	if (pid == t->root && !t->begun) {
		t->begun = true;
		resume(t, process, 0);
		return;
	}
	*(is_keeper ? &t->run->keeper : &t->run->execed) = pid;
	if (process->disturbed && is(&t->run->fault, KILL_AFTER)) {
		kill(pid, SIGKILL);
		resume(t, process, 0);
	} else if (is_keeper &&
		   (t->run->watched || !t->run->fault.what || t->run->fault.call.role == KEEPER)) {
		process->role = KEEPER;
		resume(t, process, 0);
	} else
		detach(t, process);
}

static void on_stop(struct tracer *t, pid_t pid, int status)
{
	struct process *process = process_add(t, pid);
	unsigned long child;

	switch (status >> 16) {
	case PTRACE_EVENT_EXEC: on_exec(t, process); return;
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE:
		if (ptrace(PTRACE_GETEVENTMSG, pid, NULL, &child) == 0)
			process_add(t, (pid_t)child);
		resume(t, process, 0);
		return;
	case PTRACE_EVENT_STOP: resume(t, process, 0); return;
	}
	if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
		if (on_system_call(t, process))
			resume(t, process, 0);
	} else
		resume(t, process, WSTOPSIG(status));
}

static void begin(struct tracer *t)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	const struct run *run = t->run;
	int gate[2];
	char byte = 0;

	if (pipe2(gate, O_CLOEXEC) == -1)
		fail("pipe2");
	t->root = fork();
	if (t->root == 0) {
		if (read(gate[0], &byte, 1) != 1)
			_exit(EXIT_FAILURE);
		run->prepare();
		execv(run->command[0], run->command);
		fail(run->command[0]);
	}
	if (t->root == -1 || ptrace(PTRACE_SEIZE, t->root, NULL, as_word(options)) == -1 ||
		write(gate[1], &byte, 1) != 1)
		fail("PTRACE_SEIZE");
	process_add(t, t->root);
	close(gate[0]);
	close(gate[1]);
}

void inject(struct run *run)
{
	struct tracer t = {.run = run};
	int status;
	pid_t pid;

	run->reached = run->hung = false;
	run->status = run->other_status = -1;
	run->execed = run->keeper = run->other = 0;
	run->calls = NULL;
	run->n_calls = 0;
	begin(&t);
	limit_wait(true);
	while (t.n_traced > 0) {
		pid = waitpid(-1, &status, __WALL);
		if (pid == -1) {
			run->hung = true;
			for (size_t i = 0; i < t.count; i++)
				if (!t.processes[i].gone)
					kill(t.processes[i].pid, SIGKILL);
		} else if (WIFSTOPPED(status))
			on_stop(&t, pid, status);
		else {
			if (pid == t.root)
				run->status = status;
			else if (pid == run->other)
				run->other_status = status;
			process_let_go(&t, pid);
		}
	}
	limit_wait(false);
	if (run->other && run->other_status == -1)
		run->other_status = await(run->other);
}
