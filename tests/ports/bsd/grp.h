/* The BSDs' setgroups(2) has an int where glibc's has a size_t. */
#include_next <grp.h>

#ifndef BSD_GRP_H
#define BSD_GRP_H
#define setgroups(count, groups) setgroups((size_t)(count), groups)
#endif
