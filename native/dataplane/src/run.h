/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MLBD_RUN_H
#define MLBD_RUN_H
/* The whole program; returns its exit status. */
int mlbd_run(int argc, char **argv);
#endif
