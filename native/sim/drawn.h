/* SPDX-License-Identifier: Apache-2.0 */
/* A family's scenarios as the command line asks for them; what a struct sim_batch makes them by. */
#ifndef MARLLB_SIM_DRAWN_H
#define MARLLB_SIM_DRAWN_H
#include "cli.h"
#include "family.h"

struct sim_drawn {
	const struct sim_args *a;
	const struct sim_family *family;
};

/* `arg` is a struct sim_drawn. */
int sim_drawn_make(void *arg, uint32_t i, struct sim_scenario *, uint64_t *seed, char err[256]);
/* The family of this name; -EINVAL where there is none. */
int sim_drawn_find(struct sim_drawn *, const char *name, char err[256]);
#endif
