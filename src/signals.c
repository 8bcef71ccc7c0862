#include "features.h"

#include "signals.h"

#include "system.h"
#include "values.h"

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <strings.h>

static const struct {
	const char *name;
	int number;
} signal_names[] = {
	{"HUP", SIGHUP},
	{"INT", SIGINT},
	{"QUIT", SIGQUIT},
	{"ILL", SIGILL},
	{"TRAP", SIGTRAP},
	{"ABRT", SIGABRT},
	{"BUS", SIGBUS},
	{"FPE", SIGFPE},
	{"KILL", SIGKILL},
	{"USR1", SIGUSR1},
	{"SEGV", SIGSEGV},
	{"USR2", SIGUSR2},
	{"PIPE", SIGPIPE},
	{"ALRM", SIGALRM},
	{"TERM", SIGTERM},
	{"CHLD", SIGCHLD},
	{"CONT", SIGCONT},
	{"STOP", SIGSTOP},
	{"TSTP", SIGTSTP},
	{"TTIN", SIGTTIN},
	{"TTOU", SIGTTOU},
	{"URG", SIGURG},
	{"XCPU", SIGXCPU},
	{"XFSZ", SIGXFSZ},
	{"VTALRM", SIGVTALRM},
	{"PROF", SIGPROF},
	{"WINCH", SIGWINCH},
	{"IO", SIGIO},
	{"SYS", SIGSYS},
	{"IOT", SIGABRT},
	{"CLD", SIGCHLD},
#ifdef SIGPOLL
	{"POLL", SIGPOLL},
#endif
#ifdef SIGPWR
	{"PWR", SIGPWR},
#endif
#ifdef SIGSTKFLT
	{"STKFLT", SIGSTKFLT},
#endif
#ifdef SIGEMT
	{"EMT", SIGEMT},
#endif
#ifdef SIGINFO
	{"INFO", SIGINFO},
#endif
};

const char *signal_name(int number)
{
	for (size_t i = 0; i < sizeof signal_names / sizeof *signal_names; i++)
		if (signal_names[i].number == number)
			return signal_names[i].name;
	return "real-time";
}

bool parse_signal(const char *text, int *number)
{
	unsigned long long value;
	bool from_end;

	if (parse_number(text, 10, INT_MAX, &value)) {
		*number = (int)value;
		return *number > 0 && *number <= REALTIME_LAST &&
		       (*number <= STANDARD_LAST || *number >= REALTIME_FIRST);
	}
	if (!strncasecmp(text, "SIG", 3))
		text += 3;
	for (size_t i = 0; i < sizeof signal_names / sizeof *signal_names; i++)
		if (!strcasecmp(text, signal_names[i].name)) {
			*number = signal_names[i].number;
			return true;
		}
	from_end = !strncasecmp(text, "RTMAX", 5);
	if (!from_end && strncasecmp(text, "RTMIN", 5) != 0)
		return false;
	text += 5;
	value = 0;
	if (*text && (*text != "+-"[from_end] || !parse_number(text + 1, 10, 64, &value)))
		return false;
	*number = from_end ? REALTIME_LAST - (int)value : REALTIME_FIRST + (int)value;
	return *number >= REALTIME_FIRST && *number <= REALTIME_LAST;
}

int reset_signals(const sigset_t *ignore)
{
	struct sigaction action = {.sa_flags = 0};
	sigset_t none;

	for (int number = 1; number <= REALTIME_LAST; number++) {
		if (number == SIGKILL || number == SIGSTOP)
			continue;
		if (number > STANDARD_LAST && number < REALTIME_FIRST) {
			reset_reserved_signal(number);
			continue;
		}
		action.sa_handler = sigismember(ignore, number) ? SIG_IGN : SIG_DFL;
		if (sigaction(number, &action, NULL) == -1)
			return -1;
	}
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL);
}
