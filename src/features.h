/*
 * features: what the system's headers declare. The first header settles it for all, so each .c of
 * the program includes this one before any other.
 */
#ifndef FEATURES_H
#define FEATURES_H

#define _GNU_SOURCE /* setresuid, setgroups, getgrouplist, syscall, O_NOFOLLOW */
#define _DARWIN_C_SOURCE
#define __BSD_VISIBLE 1
#define _FILE_OFFSET_BITS 64 /* 32 bits, glibc: logs beyond 2 GiB, for us and for the daemon */
#define _TIME_BITS 64

#endif
