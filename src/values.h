/*
 * values: text that is a number, a duration, or a list. Each parser takes the whole text or returns
 * false, and says nothing: the caller knows what to tell the user.
 *
 * For the launcher and the children; but parse_element uses stdio, and is for the launcher only.
 */
#ifndef VALUES_H
#define VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* '0' to '9', in any locale, and without its tables. */
bool is_digit(char c);

/* Digits of this base, without a blank or a sign, and at most `max`. */
bool parse_number(const char *text, int base, unsigned long long max, unsigned long long *value);

/* Seconds, with or without a fraction, or "inf"; in nanoseconds, or NEVER. */
bool parse_duration(const char *text, int64_t *duration);

/*
 * Copies the first element of a comma-separated list into `word`, or "" if it is too long for that.
 * Returns the rest of the list, or NULL.
 */
const char *parse_element(const char *list, char *word, size_t size);

#endif
