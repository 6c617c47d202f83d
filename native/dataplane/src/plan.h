/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration asks for, whole and checked, before anything runs. */
#ifndef MLBD_PLAN_H
#define MLBD_PLAN_H
#include "plan_types.h"
#include "text.h"

void mlbd_plan_init(struct mlbd_plan *);
void mlbd_plan_free(struct mlbd_plan *);
/* -ENOMEM. */
int mlbd_plan_copy(struct mlbd_plan *to, const struct mlbd_plan *from);
/* One line; -EINVAL, -ENOENT (no such vip), -EEXIST (an address is taken), -ELOOP (a server is a VIP), -ENOMEM; err without
 * place. */
int mlbd_plan_line(struct mlbd_plan *, const char *line, char err[256]);
/* All lines of a text or file; err begins with "NAME:LINE: ". The plan is then half filled: throw it away. all: gets every error,
 * a line each, err the first; NULL: reading stops at the first. */
int mlbd_plan_text(struct mlbd_plan *, const char *name, const char *text, struct mlbd_text *all, char err[512]);
int mlbd_plan_file(struct mlbd_plan *, const char *path, struct mlbd_text *all, char err[512]);
/* -ENOSPC: it has more VIPs or servers than its own max-vips and max-servers. */
int mlbd_plan_fits(const struct mlbd_plan *, char err[256]);
struct mlbd_plan_vip *mlbd_plan_find(struct mlbd_plan *, const char *name);
/* print.c: lines that make the same plan when read back. */
void mlbd_plan_print(const struct mlbd_plan *, struct mlbd_text *);
/* merge.c: a takeover. `file`, what the new data plane read, becomes what it is to run: with what was changed at run time in the
 * old one, that is where `run` differs from `base`, the old one's own file. `base` and `run` stay as they are. */
int mlbd_plan_merge(struct mlbd_plan *file, struct mlbd_plan *base, struct mlbd_plan *run, char err[256]);
#endif
