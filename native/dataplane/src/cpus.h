/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MLBD_CPUS_H
#define MLBD_CPUS_H
#include <stdint.h>

/* Processors that this process may use, at least 1: the affinity mask, and the quota of its control groups (v1 and v2) rounded
 * down, since a thread more than the quota holds would stand still for the rest of each period. */
uint32_t mlbd_cpus(void);
/* The quota alone, in processors; 0: none. The files are read below `root` ("" for the machine's own; tests have others). */
double mlbd_cpus_quota(const char *root);
#endif
