/* SPDX-License-Identifier: MIT */
#include "runtime/json_digits.h"

#include <stdio.h>
#include <stdlib.h>

#define LEAST 15
#define MOST 17

static size_t digits_of(double number)
{
    char text[32];
    size_t digits = LEAST;
    while (digits < MOST) {
        snprintf(text, sizeof(text), "%.*g", (int)digits, number);
        if (strtod(text, NULL) == number)
            break;
        digits++;
    }
    return digits;
}

static size_t greater(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t json_digits(const json_t *value)
{
    size_t digits = LEAST, i;
    const char *key;
    json_t *item;
    if (json_is_real(value))
        return digits_of(json_real_value(value));
    if (json_is_array(value))
        json_array_foreach(value, i, item) digits = greater(digits, json_digits(item));
    if (json_is_object(value))
        json_object_foreach((json_t *)value, key, item) digits = greater(digits, json_digits(item));
    return digits;
}
