#include "features.h"

#include "values.h"

#include "clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool parse_number(const char *text, int base, unsigned long long max, unsigned long long *value)
{
	char *end;

	if (!is_digit(*text))
		return false; /* strtoull takes blanks and a sign */
	errno = 0;
	*value = strtoull(text, &end, base);
	return *end == '\0' && errno == 0 && *value <= max;
}

bool parse_duration(const char *text, int64_t *duration)
{
	enum { SECONDS_MAX = 1000000000 };
	int64_t unit = NANOSECONDS;
	int64_t seconds = 0, fraction = 0;

	if (!strcmp(text, "inf")) {
		*duration = NEVER;
		return true;
	}
	if (!is_digit(text[*text == '.']))
		return false;
	for (; is_digit(*text) && seconds <= SECONDS_MAX; text++)
		seconds = 10 * seconds + (*text - '0');
	if (*text == '.')
		for (text++; is_digit(*text); text++)
			fraction += (unit /= 10) * (*text - '0');
	if (*text || seconds > SECONDS_MAX)
		return false;
	*duration = seconds * NANOSECONDS + fraction;
	return true;
}

const char *parse_element(const char *list, char *word, size_t size)
{
	size_t length = strcspn(list, ",");

	snprintf(word, size, "%.*s", length < size ? (int)length : 0, list);
	return list[length] ? list + length + 1 : NULL;
}
