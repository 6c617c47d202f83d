/* SPDX-License-Identifier: Apache-2.0 */
#include "wheel.h"

#include <string.h>

void mlbd_wheel_init(struct mlbd_wheel *w, uint64_t now_us)
{
	memset(w->used, 0, sizeof(w->used));
	w->words = 0;
	for (uint32_t i = 0; i < MLBD_WHEEL_SLOTS; i++)
		mlbd_link_init(&w->slot[i]);
	w->tick = now_us / MLBD_WHEEL_TICK_US;
}

uint64_t mlbd_wheel_add(struct mlbd_wheel *w, struct mlbd_link *l, uint64_t deadline_us)
{
	uint64_t t = (deadline_us + MLBD_WHEEL_TICK_US - 1) / MLBD_WHEEL_TICK_US;

	if (t <= w->tick)
		t = w->tick + 1;
	if (t > w->tick + MLBD_WHEEL_SLOTS - 1)
		t = w->tick + MLBD_WHEEL_SLOTS - 1;
	uint32_t s = t & (MLBD_WHEEL_SLOTS - 1);

	mlbd_link_add(&w->slot[s], l);
	w->used[s / 64] |= UINT64_C(1) << (s % 64);
	w->words |= UINT64_C(1) << (s / 64);
	return t * MLBD_WHEEL_TICK_US;
}

void mlbd_wheel_run(struct mlbd_wheel *w, uint64_t now_us, void (*fn)(void *arg, struct mlbd_link *), void *arg)
{
	uint64_t now = now_us / MLBD_WHEEL_TICK_US;

	if (now > w->tick + MLBD_WHEEL_SLOTS - 1) /* slept past the horizon: every slot is due once */
		w->tick = now - (MLBD_WHEEL_SLOTS - 1);
	while (w->tick < now) {
		uint32_t s = ++w->tick & (MLBD_WHEEL_SLOTS - 1);
		uint64_t bit = UINT64_C(1) << (s % 64);
		struct mlbd_link due;

		if (!(w->used[s / 64] & bit))
			continue;
		w->used[s / 64] &= ~bit;
		if (w->used[s / 64] == 0)
			w->words &= ~(UINT64_C(1) << (s / 64));
		if (mlbd_link_empty(&w->slot[s]))
			continue;
		/* Move the whole list away first: fn may put an entry back into this slot. */
		due = w->slot[s];
		due.next->prev = &due;
		due.prev->next = &due;
		mlbd_link_init(&w->slot[s]);
		while (!mlbd_link_empty(&due)) {
			struct mlbd_link *l = due.next;

			mlbd_link_del(l);
			mlbd_link_init(l);
			fn(arg, l);
		}
	}
}

/* The first slot from s on, around the wheel, that may hold something; there is one. */
static uint32_t next_used(const struct mlbd_wheel *w, uint32_t s)
{
	uint32_t word = s / 64;
	uint64_t here = w->used[word] >> (s % 64);

	_Static_assert(MLBD_WHEEL_SLOTS == 64 * 64, "a word of words");
	if (here)
		return s + (uint32_t)__builtin_ctzll(here);
	/* The words behind this one, then those before it, this one last. */
	uint32_t by = (word + 1) % 64;
	uint64_t turned = by ? w->words >> by | w->words << (64 - by) : w->words;

	word = (by + (uint32_t)__builtin_ctzll(turned)) % 64;
	return word * 64 + (uint32_t)__builtin_ctzll(w->used[word]);
}

uint64_t mlbd_wheel_wait_us(const struct mlbd_wheel *w, uint64_t now_us)
{
	uint32_t from = (w->tick + 1) & (MLBD_WHEEL_SLOTS - 1);

	if (w->words == 0)
		return UINT64_MAX;
	uint64_t ahead = (next_used(w, from) - from) & (MLBD_WHEEL_SLOTS - 1);
	uint64_t due = (w->tick + 1 + ahead) * MLBD_WHEEL_TICK_US;

	return due > now_us ? due - now_us : 0;
}
