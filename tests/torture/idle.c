/*
 * idle: the command that is daemonized here. It runs until it is terminated; after half a minute it
 * exits by itself.
 *
 *   -n FD        first writes a newline to FD, and closes it: --notify-fd
 *   -N           first says READY=1: --notify
 *   -a           must be alone: if another runs at the same time, leaves a witness, ".two" added to
 *                its own path
 *   -c           closes every fd from 3 to 99, and so loses the pidfile's lock
 *   -m MS        exits by itself after that many milliseconds
 *   -r           exits at once in its first run, which it marks by a file, ".run" added to its own path; in
 *                the next it terminates its keeper, whose PID is in the file "pid" beside itself
 *   -t           has two children, one of them in a session of its own
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LIFE = 30000, FD_BOUND = 100 };

/* The reader may be dead: that is no reason to die, too. */
static void say_ready(int fd)
{
	signal(SIGPIPE, SIG_IGN);
	(void)!write(fd, "\n", 1);
	signal(SIGPIPE, SIG_DFL);
	close(fd);
}

static void notify(const char *name)
{
	static const char message[] = "READY=1";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const size_t length = name ? strlen(name) : sizeof address.sun_path;
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1 || length >= sizeof address.sun_path)
		exit(EXIT_FAILURE);
	memcpy(address.sun_path, name, length);
	if (*name == '@')
		*address.sun_path = '\0';
	sendto(fd, message, sizeof message - 1, 0, (struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	close(fd);
}

/* The kernel releases this lock, on a lower fd, before the pidfile's. */
static void be_alone(const char *program)
{
	char witness[4096];

	if (flock(open(program, O_RDONLY | O_CLOEXEC), LOCK_EX | LOCK_NB) == 0)
		return;
	snprintf(witness, sizeof witness, "%s.two", program);
	close(open(witness, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

/* Not just any parent: the keeper may have been killed, and we adopted. */
static void end_keeper(const char *program)
{
	char path[4096], text[32] = "";
	int fd;
	pid_t number;

	snprintf(path, sizeof path, "%s.run", program);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd != -1)
		exit(EXIT_SUCCESS);
	snprintf(path, sizeof path, "%.*s/pid", (int)(strrchr(program, '/') - program), program);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd != -1 && read(fd, text, sizeof text - 1) > 0) {
		number = (pid_t)strtol(text, NULL, 10);
		if (number > 1 && number == getppid())
			kill(number, SIGTERM);
	}
}

static void have_children(void)
{
	const bool is_first = fork() == 0;

	if (!is_first && fork() == 0)
		setsid();
}

int main(int argc, char **argv)
{
	int letter, life = LIFE;
	bool alone = false, tree = false, ends_keeper = false;

	while ((letter = getopt(argc, argv, "acm:n:Nrt")) != -1) {
		switch (letter) {
		case 'a': alone = true; break;
		case 'c':
			for (int fd = STDERR_FILENO + 1; fd < FD_BOUND; fd++)
				close(fd);
			break;
		case 'm': life = (int)strtol(optarg, NULL, 10); break;
		case 'n': say_ready((int)strtol(optarg, NULL, 10)); break;
		case 'N': notify(getenv("NOTIFY_SOCKET")); break;
		case 'r': ends_keeper = true; break;
		case 't': tree = true; break;
		default: return EXIT_FAILURE;
		}
	}
	if (alone)
		be_alone(argv[0]);
	if (ends_keeper)
		end_keeper(argv[0]);
	if (tree)
		have_children();
	if (life > 0)
		nanosleep(&(struct timespec){life / 1000, life % 1000 * 1000000L}, NULL);
	return EXIT_SUCCESS;
}
