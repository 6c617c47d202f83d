/* SPDX-License-Identifier: Apache-2.0 */
/* The named values of a graph while it is read. */
#ifndef MARLLB_NET_VALUE_H
#define MARLLB_NET_VALUE_H
#include "net_types.h"

/* Index of a name, made when it is new; -ENOMEM, -EPROTO with err when there are too many. */
int net_value(struct net *, const char *name, size_t len, char err[256]);
#endif
