/*
 * system-choice: the means by which this build keeps the promises of system.h; for src/system-*.c
 * only. What a system HAVEs is used in its own file; system-posix.c stands in for what it lacks.
 *
 * -DNO_PROC and the like build without it, so that the tests reach what stands in.
 */
#ifndef SYSTEM_CHOICE_H
#define SYSTEM_CHOICE_H

#include "system.h"

#include <sys/socket.h>
#include <sys/types.h>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

#if defined(__linux__) && !defined(NO_ABSTRACT_SOCKETS)
#define HAVE_ABSTRACT_SOCKETS
#endif

#if defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__)
#define HAVE_CLOSEFROM
#endif

#if defined(__linux__) && defined(SYS_close_range) && !defined(NO_CLOSE_RANGE) /* 5.9 */
#define HAVE_CLOSE_RANGE
#endif

#if defined(__linux__) && !defined(NO_CREDENTIALS)
#define HAVE_CREDENTIALS
#endif

#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__)
#define HAVE_KQUEUE
#endif

#if defined(__linux__) && !defined(__hppa__) && !defined(NO_LENDING) /* stacks grow upwards there */
#define HAVE_LENDING
#endif

#if (defined(__linux__) || defined(__FreeBSD__)) && !defined(NO_FEXECVE)
#define HAVE_FEXECVE
#endif

#if (defined(__linux__) || defined(__FreeBSD__)) && !defined(NO_PARENT_DEATH)
#define HAVE_PARENT_DEATH
#endif

#if defined(__linux__) && defined(SYS_pidfd_open) && !defined(NO_PIDFD) /* 5.3 */
#define HAVE_PIDFD
#endif

#if !defined(__APPLE__) && !defined(NO_PIPE2)
#define HAVE_PIPE2
#endif

#if !defined(__APPLE__) && !defined(NO_PPOLL)
#define HAVE_PPOLL
#endif

#if defined(__linux__) && !defined(NO_PROC)
#define HAVE_PROC
#endif

#if !defined(__APPLE__) && !defined(__NetBSD__) && !defined(NO_SETRESUID)
#define HAVE_SETRESUID
#endif

#if (defined(__linux__) || defined(__FreeBSD__)) && !defined(NO_SUBREAPER)
#define HAVE_SUBREAPER
#endif

/* The part of receive_from() that differs between systems: recvmsg(2), and who sent it. */
ssize_t receive_message(int fd, struct msghdr *message, struct sender *sender);

#endif
