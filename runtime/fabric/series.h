/* SPDX-License-Identifier: MIT */
#ifndef QN_FABRIC_SERIES_H
#define QN_FABRIC_SERIES_H

#include "runtime/fabric/fabric.h"

#include <stdatomic.h>

struct link_series {
    atomic_uint refs; /* the control thread's and the fabric's */
    size_t n;
    int64_t values[];
};

#endif
