/* SPDX-License-Identifier: Apache-2.0 */
/* --order LINE: one line for the control socket of a data plane that runs, and its answer. */
#ifndef MLBD_ORDER_H
#define MLBD_ORDER_H

/* Prints the answer. 0; -errno: it was refused, or nobody answers, and err says why. */
int mlbd_order(const char *path, const char *line, char err[512]);
#endif
