/* SPDX-License-Identifier: MIT */
/* How many digits the numbers of a JSON document need. */
#ifndef QN_RUNTIME_JSON_DIGITS_H
#define QN_RUNTIME_JSON_DIGITS_H

#include <jansson.h>
#include <stddef.h>

/** Return: the fewest significant digits, 15 to 17, with which every real number of @value is read
 * back as it was, for JSON_REAL_PRECISION. 15 are always in a double, and 17 always tell it from
 * its neighbours (IEEE 754-2008, 5.12.2). */
size_t json_digits(const json_t *value);

#endif
