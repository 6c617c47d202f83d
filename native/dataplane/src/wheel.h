/* SPDX-License-Identifier: Apache-2.0 */
/* Timing wheel of one worker. Time-outs are lazy: an entry sits where its deadline was when it was put in; whoever takes it out
 * looks at the real deadline and puts it back if that is later. So activity on a connection costs nothing here. What brings a
 * deadline nearer moves the entry. */
#ifndef MLBD_WHEEL_H
#define MLBD_WHEEL_H
#include <stdbool.h>
#include <stdint.h>

#define MLBD_WHEEL_SLOTS 4096u   /* a power of two */
#define MLBD_WHEEL_TICK_US 4096u /* so about 16 s ahead; longer deadlines are looked at that often */

struct mlbd_link {
	struct mlbd_link *next, *prev;
};
struct mlbd_wheel {
	struct mlbd_link slot[MLBD_WHEEL_SLOTS];
	uint64_t used[MLBD_WHEEL_SLOTS / 64]; /* bit set: slot may hold something (cleared when it is looked at) */
	uint64_t words;                       /* bit set: that word of `used` is not 0 */
	uint64_t tick;                        /* last one looked at */
};

static inline void mlbd_link_init(struct mlbd_link *l)
{
	l->next = l->prev = l;
}
static inline bool mlbd_link_empty(const struct mlbd_link *l)
{
	return l->next == l;
}
static inline void mlbd_link_add(struct mlbd_link *head, struct mlbd_link *l)
{
	l->next = head;
	l->prev = head->prev;
	head->prev->next = l;
	head->prev = l;
}
static inline void mlbd_link_del(struct mlbd_link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
}

void mlbd_wheel_init(struct mlbd_wheel *, uint64_t now_us);
/* Comes out at or up to one tick after `deadline_us`, or earlier if that is beyond the horizon: not before the time returned. */
uint64_t mlbd_wheel_add(struct mlbd_wheel *, struct mlbd_link *, uint64_t deadline_us);
/* Takes all due entries out and hands each to fn, which may add it again. */
void mlbd_wheel_run(struct mlbd_wheel *, uint64_t now_us, void (*fn)(void *arg, struct mlbd_link *), void *arg);
/* Microseconds until the next slot that may hold something is due; UINT64_MAX: none. */
uint64_t mlbd_wheel_wait_us(const struct mlbd_wheel *, uint64_t now_us);
#endif
