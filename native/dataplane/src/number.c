/* SPDX-License-Identifier: Apache-2.0 */
#include "number.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "0123456789";

const char *mlbd_decimal(const char *text, double *value)
{
	size_t n = strspn(text, digits);

	if (n == 0)
		return NULL;
	if (text[n] == '.' && strspn(text + n + 1, digits) > 0)
		n += 1 + strspn(text + n + 1, digits);
	*value = strtod(text, NULL); /* stops at or before text + n, or at an exponent, which the caller sees */
	return text + n;
}

int mlbd_whole(const char *text, uint64_t *value)
{
	size_t n = strspn(text, digits);

	if (n == 0 || text[n])
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, NULL, 10);
	return errno ? -EINVAL : 0;
}

char *mlbd_number_text(float value, char text[MLBD_NUMBER_LEN])
{
	int precision = 0;
	char *e;

	do
		snprintf(text, MLBD_NUMBER_LEN, "%.*g", ++precision, (double)value);
	while (strtof(text, NULL) != value && precision < 9);
	e = strchr(text, 'e');
	if (e) {
		int decimals = precision - 1 - atoi(e + 1);

		snprintf(text, MLBD_NUMBER_LEN, "%.*f", decimals > 0 ? decimals : 0, (double)value);
	}
	return text;
}
