/* SPDX-License-Identifier: Apache-2.0 */
/* --supervise: a process that serves nobody, and holds the listening sockets beside the data plane, which is its child. Where
 * that one dies, clients wait in the sockets' queues instead of being refused, and the next one is started at once with the same
 * sockets. A supervisor that dies leaves its data plane serving; the next one takes over from it. A supervisor whose data plane
 * was taken over from by another supervisor's ends with it.
 *
 * SIGTERM and SIGINT: the data plane drains, and both end. SIGHUP: it reads its configuration again. SIGUSR2: the supervisor
 * ends, the data plane serves on until another takes over from it (a restart by systemd, without a moment in which nobody
 * serves). */
#ifndef MLBD_SUPERVISE_H
#define MLBD_SUPERVISE_H

/* argv: of the data plane, --supervise among it. Returns the exit status; < 0: it could not begin, err says why. */
int mlbd_supervise(int argc, char **argv, char err[512]);
#endif
