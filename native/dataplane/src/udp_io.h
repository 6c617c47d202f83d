/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams in batches: recvmmsg and sendmmsg, with the kernel's segmentation offload (UDP_GRO, UDP_SEGMENT). Datagrams of equal
 * length that go one behind the other to one place leave as one train: the way through the kernel is paid once. Worker thread. */
#ifndef MLBD_UDP_IO_H
#define MLBD_UDP_IO_H
#include <marllb/types.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define MLBD_UDP_BATCH 32u
#define MLBD_UDP_MOST 65536u /* bytes of one message: the longest datagram, or a train */

union mlbd_udp_control { /* a destination address and a segment's size, aligned as control messages must be */
	struct cmsghdr hdr;
	char buf[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))];
};

struct mlbd_udp_batch {
	uint32_t count;
	struct mmsghdr msg[MLBD_UDP_BATCH];
	struct iovec iov[MLBD_UDP_BATCH];
	struct sockaddr_storage peer[MLBD_UDP_BATCH];
	union mlbd_udp_control control[MLBD_UDP_BATCH];
	uint16_t segment[MLBD_UDP_BATCH]; /* bytes of a datagram of the train; 0: one datagram */
	uint8_t *data;                    /* MLBD_UDP_BATCH pieces, touched only as far as they are used */
	/* What is given to the kernel: `go[j]` stands for `stands[j]` messages one behind the other. */
	struct mmsghdr go[MLBD_UDP_BATCH];
	uint8_t stands[MLBD_UDP_BATCH];
	uint32_t apart; /* messages that go without trains, since the kernel could not cut one on this path */
};

/* 0 or -ENOMEM. */
int mlbd_udp_batch_init(struct mlbd_udp_batch *);
void mlbd_udp_batch_free(struct mlbd_udp_batch *);

/* Options of every UDP socket of ours; a kernel that lacks one serves without. wildcard: the local address of each datagram is
 * wanted. */
void mlbd_udp_socket(int fd, int family, bool wildcard);

/* Receives at most `most` messages into the batch behind what it holds, as far as there is room. from: who sent each is wanted.
 * Number of new messages, 0 where nothing waits, -errno. */
int mlbd_udp_receive(int fd, struct mlbd_udp_batch *, uint32_t most, bool from);
/* Datagrams of message i, and its bytes. */
uint32_t mlbd_udp_datagrams(const struct mlbd_udp_batch *, uint32_t i);
uint32_t mlbd_udp_bytes(const struct mlbd_udp_batch *, uint32_t i);
/* The address that message i was sent to; *local is left as it is where the socket does not tell. */
void mlbd_udp_local(struct mlbd_udp_batch *, uint32_t i, struct mlb_addr *local);

/* Makes message i, as received, ready to be sent: over a connected socket (to NULL), or to `to` from `local` (NULL: the socket's
 * own address). */
void mlbd_udp_address(struct mlbd_udp_batch *, uint32_t i, const struct mlb_addr *to, uint16_t port,
		      const struct mlb_addr *local);
/* Sends messages first .. first+n-1, in trains where that is possible. 0: all went; else -errno of the first that did not (those
 * behind it were not tried), and *sent says how many went. */
int mlbd_udp_send(int fd, struct mlbd_udp_batch *, uint32_t first, uint32_t n, uint32_t *sent);
#endif
