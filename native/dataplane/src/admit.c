/* SPDX-License-Identifier: Apache-2.0 */
#include "admit.h"

bool mlbd_admit(struct mlbd_vip *vip, const struct mlb_addr *client, bool *counted)
{
	uint32_t max = atomic_load_explicit(&vip->max_conns, memory_order_relaxed);
	uint32_t each = atomic_load_explicit(&vip->max_per_source, memory_order_acquire); /* behind it the table */
	uint32_t previous = atomic_load_explicit(&vip->previous, memory_order_relaxed);
	enum mlbd_admission a = MLBD_UNCOUNTED;

	if (atomic_fetch_add_explicit(&vip->conns, 1, memory_order_relaxed) + previous >= max && max)
		a = MLBD_OVER;
	else if (each)
		a = mlbd_per_source_enter(vip->per_source, client, each);
	*counted = a == MLBD_COUNTED;
	if (a == MLBD_OVER)
		atomic_fetch_sub_explicit(&vip->conns, 1, memory_order_relaxed);
	return a != MLBD_OVER;
}

void mlbd_admit_leave(struct mlbd_vip *vip, const struct mlb_addr *client, bool counted)
{
	atomic_fetch_sub_explicit(&vip->conns, 1, memory_order_relaxed);
	if (counted)
		mlbd_per_source_leave(vip->per_source, client);
}
