/* SPDX-License-Identifier: Apache-2.0 */
/* Files and sockets named `prefix` + pid whose process is dead. */
#ifndef MARLLB_LEFTOVERS_H
#define MARLLB_LEFTOVERS_H
#include <stdbool.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

/* Removes regular files and sockets of this user with such names, unless another process holds a lock on them. prefix is an
 * absolute path without the pid, "/dev/shm/lb_rl_shm.tmp.". Returns how many. */
uint32_t mlb_leftovers_remove(const char *prefix);

#ifdef __cplusplus
}
#endif
#endif
