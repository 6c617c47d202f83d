/* SPDX-License-Identifier: Apache-2.0 */
/* A region's file can be truncated by whoever may write it; the next access would kill the process by SIGBUS. Guarded mappings
 * become zeros instead, and say so: the agent detaches, the data plane makes its region again. */
#ifndef MARLLB_REGION_GUARD_H
#define MARLLB_REGION_GUARD_H
#include <stdbool.h>
#include <stdint.h>

/* From the first call on, this process handles SIGBUS; one for another address goes to the handler before. -ENOSPC beyond 16. */
int region_guard_add(void *base, uint64_t size);
void region_guard_remove(void *base);
/* The mapping lost its file, and reads as zeros. */
bool region_guard_lost(const void *base);
/* It has a file again. */
void region_guard_renew(void *base);
#endif
