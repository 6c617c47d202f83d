/* SPDX-License-Identifier: Apache-2.0 */
#include "drawn.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

int sim_drawn_make(void *arg, uint32_t i, struct sim_scenario *sc, uint64_t *seed, char err[256])
{
	const struct sim_drawn *d = arg;
	int e = d->family->draw(sc, d->family, d->a->seed, i);

	if (e) {
		snprintf(err, 256, "scenario %u: %s", i, strerror(-e));
		return e;
	}
	snprintf(sc->name, sizeof(sc->name), "%s seed %llu index %u", d->family->name, (unsigned long long)d->a->seed, i);
	if (d->a->tick_s > 0)
		sc->tick_s = d->a->tick_s;
	if (d->a->horizon_s > 0)
		sc->end_s = d->a->horizon_s;
	*seed = sim_mix(~d->a->seed, i);
	return 0;
}

int sim_drawn_find(struct sim_drawn *d, const char *name, char err[256])
{
	d->family = sim_family_find(name);
	if (d->family)
		return 0;
	snprintf(err, 256, "family \"%.60s\": expected v1 or v2", name);
	return -EINVAL;
}
