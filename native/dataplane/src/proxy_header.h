/* SPDX-License-Identifier: Apache-2.0 */
/* The header of the PROXY protocol, versions 1 (text) and 2 (binary), as HAProxy's doc/proxy-protocol.txt describes it: read and
 * written, nothing else. A connection begins with one; what follows it is the connection's own. */
#ifndef MLBD_PROXY_HEADER_H
#define MLBD_PROXY_HEADER_H
#include <stddef.h>
#include <marllb/types.h>

#define MLBD_PROXY_V1_MOST 107u /* bytes, CR LF included */
#define MLBD_PROXY_MOST 4096u   /* bytes of a version 2 header with what it carries beyond addresses */
/* A written header is never longer: the longest is one of version 1. */
#define MLBD_PROXY_WRITE_MOST MLBD_PROXY_V1_MOST

struct mlbd_proxy_header {
	bool has_addresses; /* false: LOCAL, UNKNOWN or a family that is no IP; the connection's own addresses hold */
	struct mlb_endpoint source, destination;
};

/* The header at the front of the first `n` bytes of a connection. Returns its length, 0 where the bytes so far may be the
 * beginning of one, or -EPROTO where they cannot. MLBD_PROXY_MOST bytes are enough to tell. */
int mlbd_proxy_parse(const uint8_t *data, size_t n, struct mlbd_proxy_header *);
/* A header of version 1 or 2; returns its length. Where one address is IPv4 and the other IPv6, the IPv4 one is written as an
 * IPv4-mapped IPv6 address, since a header has one family. */
uint32_t mlbd_proxy_write(uint8_t out[MLBD_PROXY_WRITE_MOST], unsigned version, const struct mlb_endpoint *source,
			  const struct mlb_endpoint *destination);
#endif
