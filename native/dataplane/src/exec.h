/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MLBD_EXEC_H
#define MLBD_EXEC_H
#include "host.h"
#include "text.h"

/* Acts on a command that concerns VIPs, servers or settings. draining: what changes something is refused. */
int mlbd_exec(struct mlbd_host *, const struct mlbd_cmd *, bool draining, struct mlbd_text *out, char err[512]);
#endif
