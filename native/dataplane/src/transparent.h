/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that may be bound to an address which is not this machine's (IP_TRANSPARENT; needs CAP_NET_ADMIN). */
#ifndef MLBD_TRANSPARENT_H
#define MLBD_TRANSPARENT_H

/* family: AF_INET or AF_INET6. 0 or -errno. */
int mlbd_transparent(int fd, int family);
/* May this process? 0 or -errno; err says what is missing. */
int mlbd_transparent_allowed(char err[256]);
#endif
