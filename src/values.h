/*
 * values: text that is a number, a duration, or a list. Each parser takes the whole text or returns
 * false, and says nothing: the caller knows what to tell the user.
 *
 * The launcher and the children call these, except parse_element, which uses stdio and is for the
 * launcher.
 */
#ifndef VALUES_H
#define VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* '0' to '9', in any locale, and without its tables. */
bool is_digit(char c);

/* Digits of this base, without a blank or a sign, and no more than `max`. */
bool parse_number(const char *text, int base, unsigned long long max, unsigned long long *value);

/* Seconds, with a fraction or without, or "inf"; in nanoseconds, or NEVER. */
bool parse_duration(const char *text, int64_t *duration);

/*
 * Copies the first element of a comma-separated list into `word`, or "" if it is too long for that.
 * Returns what follows, or NULL.
 */
const char *parse_element(const char *list, char *word, size_t size);

#endif
