/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end of a Unix socket. */
#ifndef MLBD_PEER_H
#define MLBD_PEER_H

/* 0: this process's user, or root. -EPERM: another user, named in err with what the peer is; a path in a folder that others may
 * write to can be anybody's. */
int mlbd_peer_check(int fd, const char *what, char err[256]);
#endif
