/* SPDX-License-Identifier: Apache-2.0 */
#include "udp_io.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <marllb/endpoint.h>
#include "sys.h"

#ifndef SOL_UDP
#define SOL_UDP 17
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* Not a power of two apart: the heads of all pieces would meet in one set of the cache. */
#define STRIDE ((size_t)MLBD_UDP_MOST + 5 * MLB_CACHE_LINE)
#define DATA_SIZE (MLBD_UDP_BATCH * STRIDE)
/* A train that we make: so many datagrams (UDP_MAX_SEGMENTS was 64 before Linux 6.9), each no longer than an Ethernet frame
 * carries, together one message. */
#define TRAIN_MOST 64u
#define TRAIN_SEGMENT 1472u
#define TRAIN_BYTES 65000u
#define APART 1024u /* messages without trains after one that the kernel refused */

int mlbd_udp_batch_init(struct mlbd_udp_batch *b)
{
	memset(b, 0, sizeof(*b));
	b->data = mmap(NULL, DATA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b->data == MAP_FAILED) {
		b->data = NULL;
		return -ENOMEM;
	}
	return 0;
}

void mlbd_udp_batch_free(struct mlbd_udp_batch *b)
{
	if (b->data)
		munmap(b->data, DATA_SIZE);
	b->data = NULL;
}

void mlbd_udp_socket(int fd, int family, bool wildcard)
{
	int one = 1;

	setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(one));
	if (wildcard && family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	else if (wildcard)
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
}

static uint16_t segment_of(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			int size;

			memcpy(&size, CMSG_DATA(c), sizeof(size));
			return (uint16_t)size;
		}
	return 0;
}

int mlbd_udp_receive(int fd, struct mlbd_udp_batch *b, uint32_t most, bool from)
{
	int n;

	most = most < MLBD_UDP_BATCH - b->count ? most : MLBD_UDP_BATCH - b->count;
	for (uint32_t i = b->count; i < b->count + most; i++) {
		b->iov[i] = (struct iovec){ b->data + i * STRIDE, MLBD_UDP_MOST };
		b->msg[i].msg_hdr = (struct msghdr){ .msg_name = from ? &b->peer[i] : NULL,
						     .msg_namelen = from ? sizeof(b->peer[i]) : 0,
						     .msg_iov = &b->iov[i],
						     .msg_iovlen = 1,
						     .msg_control = &b->control[i],
						     .msg_controllen = sizeof(b->control[i]) };
	}
	do {
		if (most == 1 && (n = (int)mlbd_recvmsg(fd, &b->msg[b->count].msg_hdr, MSG_DONTWAIT)) >= 0) {
			b->msg[b->count].msg_len = (uint32_t)n;
			n = 1;
		} else if (most > 1) {
			n = mlbd_recvmmsg(fd, b->msg + b->count, most, MSG_DONTWAIT);
		}
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	for (int i = 0; i < n; i++, b->count++) {
		struct mmsghdr *m = &b->msg[b->count];
		uint16_t size = segment_of(&m->msg_hdr);

		b->segment[b->count] = size < m->msg_len ? size : 0;
	}
	return n;
}

uint32_t mlbd_udp_bytes(const struct mlbd_udp_batch *b, uint32_t i)
{
	return b->msg[i].msg_len;
}

uint32_t mlbd_udp_datagrams(const struct mlbd_udp_batch *b, uint32_t i)
{
	uint32_t size = b->segment[i];

	return size ? (b->msg[i].msg_len + size - 1) / size : 1;
}

void mlbd_udp_local(struct mlbd_udp_batch *b, uint32_t i, struct mlb_addr *local)
{
	struct msghdr *m = &b->msg[i].msg_hdr;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			*local = mlb_addr_of_v4(&info.ipi_addr);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memcpy(local->b, &info.ipi6_addr, sizeof(local->b));
		}
	}
}

/* Appends a control message; the buffer has room for one of each kind. */
static void attach(struct msghdr *m, int level, int type, const void *data, size_t size)
{
	struct cmsghdr *c = (struct cmsghdr *)((char *)m->msg_control + m->msg_controllen);

	memset(c, 0, CMSG_SPACE(size));
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), data, size);
	m->msg_controllen += CMSG_SPACE(size);
}

static void attach_source(struct msghdr *m, const struct mlb_addr *local)
{
	if (mlb_addr_is_v4(local)) {
		struct in_pktinfo info = { 0 };

		memcpy(&info.ipi_spec_dst, local->b + 12, 4);
		attach(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	} else {
		struct in6_pktinfo info = { 0 };

		memcpy(&info.ipi6_addr, local->b, sizeof(local->b));
		attach(m, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	}
}

void mlbd_udp_address(struct mlbd_udp_batch *b, uint32_t i, const struct mlb_addr *to, uint16_t port,
		      const struct mlb_addr *local)
{
	struct msghdr *m = &b->msg[i].msg_hdr;

	b->iov[i].iov_len = b->msg[i].msg_len;
	m->msg_flags = 0;
	m->msg_control = &b->control[i];
	m->msg_controllen = 0;
	m->msg_name = to ? &b->peer[i] : NULL;
	m->msg_namelen = to ? mlb_addr_to_sockaddr(to, port, &b->peer[i]) : 0;
	if (local)
		attach_source(m, local);
	if (b->segment[i])
		attach(m, SOL_UDP, UDP_SEGMENT, &b->segment[i], sizeof(b->segment[i]));
	if (m->msg_controllen == 0)
		m->msg_control = NULL;
}

/* Whether two messages go to one place from one place. */
static bool one_way(const struct msghdr *a, const struct msghdr *b)
{
	return a->msg_namelen == b->msg_namelen && a->msg_controllen == b->msg_controllen &&
	       (a->msg_namelen == 0 || memcmp(a->msg_name, b->msg_name, a->msg_namelen) == 0) &&
	       (a->msg_controllen == 0 || memcmp(a->msg_control, b->msg_control, a->msg_controllen) == 0);
}

/* How many of the n messages from i on can be one train: all as long as the first, the last one perhaps shorter. */
static uint32_t train_of(const struct mlbd_udp_batch *b, uint32_t i, uint32_t n)
{
	uint32_t size = b->msg[i].msg_len, whole = size, k = 1;

	if (b->apart || b->segment[i] || size == 0 || size > TRAIN_SEGMENT)
		return 1;
	while (k < n && k < TRAIN_MOST) {
		uint32_t len = b->msg[i + k].msg_len;

		if (b->segment[i + k] || len == 0 || len > size || whole + len > TRAIN_BYTES ||
		    !one_way(&b->msg[i].msg_hdr, &b->msg[i + k].msg_hdr))
			break;
		whole += len;
		k++;
		if (len < size)
			break;
	}
	return k;
}

/* Fills `go` with messages i .. i+n-1; how many entries they make. */
static uint32_t couple(struct mlbd_udp_batch *b, uint32_t i, uint32_t n)
{
	uint32_t made = 0;

	for (uint32_t end = i + n, k; i < end; i += k, made++) {
		struct msghdr *m = &b->go[made].msg_hdr;

		*m = b->msg[i].msg_hdr;
		k = train_of(b, i, end - i);
		b->stands[made] = (uint8_t)k;
		if (b->apart)
			b->apart--;
		if (k == 1)
			continue;
		uint16_t size = (uint16_t)b->msg[i].msg_len;

		m->msg_iovlen = k; /* the pieces of messages one behind the other are so too */
		m->msg_control = &b->control[i];
		attach(m, SOL_UDP, UDP_SEGMENT, &size, sizeof(size));
	}
	return made;
}

/* A train that the kernel cannot cut on this path: one datagram after the other. n: messages from i on that were coupled. */
static int send_apart(int fd, struct mlbd_udp_batch *b, uint32_t i, uint32_t n)
{
	for (uint32_t end = i + n; i < end; i++) {
		struct msghdr m = b->msg[i].msg_hdr;
		struct iovec piece;
		uint32_t whole = b->msg[i].msg_len, size = b->segment[i] ? b->segment[i] : whole;

		if (b->segment[i])
			m.msg_controllen -= CMSG_SPACE(sizeof(b->segment[i])); /* the last one attached */
		if (m.msg_controllen == 0)
			m.msg_control = NULL;
		m.msg_iov = &piece;
		for (uint32_t off = 0; off < whole; off += size) {
			piece.iov_base = b->data + i * STRIDE + off;
			piece.iov_len = whole - off < size ? whole - off : size;
			if (sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
				return -errno;
		}
	}
	return 0;
}

/* 1, or -1 with errno. */
static int send_one(int fd, const struct msghdr *m)
{
	ssize_t n = m->msg_name || m->msg_controllen || m->msg_iovlen > 1 ?
			    mlbd_sendmsg(fd, m, MSG_DONTWAIT | MSG_NOSIGNAL) :
			    mlbd_send(fd, m->msg_iov->iov_base, m->msg_iov->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n < 0 ? -1 : 1;
}

static bool is_train(const struct mlbd_udp_batch *b, uint32_t i, uint32_t n)
{
	return n > 1 || b->segment[i];
}

int mlbd_udp_send(int fd, struct mlbd_udp_batch *b, uint32_t first, uint32_t n, uint32_t *sent)
{
	uint32_t made = couple(b, first, n);

	*sent = 0;
	for (uint32_t j = 0; j < made;) {
		int rc = made - j == 1 ? send_one(fd, &b->go[j].msg_hdr) :
					 mlbd_sendmmsg(fd, b->go + j, made - j, MSG_DONTWAIT | MSG_NOSIGNAL);

		for (; rc > 0; rc--)
			*sent += b->stands[j++];
		if (rc >= 0 || errno == EINTR)
			continue;
		if (!is_train(b, first + *sent, b->stands[j]) || (errno != EINVAL && errno != EIO && errno != EMSGSIZE))
			return -errno;
		b->apart = APART;
		rc = send_apart(fd, b, first + *sent, b->stands[j]);
		if (rc < 0)
			return rc;
		*sent += b->stands[j++];
	}
	return 0;
}
