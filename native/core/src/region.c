/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* open-file-description locks */
#include "marllb/region.h"
#include "marllb/leftovers.h"
#include "region_guard.h"
#include "region_layout.h"

#include <fcntl.h>
#include <grp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* One byte of the file per writer, held as an open-file-description lock for as long as it lives. */
enum { LOCK_DP = 0, LOCK_AGENT = 1, LOCK_PEER = 2 };

static int fail(char err[256], int code, const char *what, const char *path, int errnum)
{
	int len = snprintf(err, 256, "shared memory %.160s: %s%s%s", path, what, errnum ? ": " : "",
			   errnum ? strerror(errnum) : "");
	return len < 0 ? -EIO : code; /* a sentence cut short is still good */
}

static int lock_byte(int fd, int byte)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
	return fcntl(fd, F_OFD_SETLK, &l) == 0 ? 0 : -errno;
}

static bool same_file(int fd, const char *path)
{
	struct stat a, b;
	return fstat(fd, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static void unmap(struct mlb_region *r)
{
	region_guard_remove(r->hdr);
	munmap(r->hdr, r->size);
}

static int map(struct mlb_region *r, int fd, uint64_t size, int prot)
{
	void *p = mmap(NULL, size, prot, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	int rc = region_guard_add(p, size);
	if (rc != 0) {
		munmap(p, size);
		return rc;
	}
	r->hdr = p;
	r->size = size;
	r->fd = fd;
	return 0;
}

static void place_blocks(struct mlb_region *r, const struct mlb_limits *limits)
{
	struct mlb_block_ref ref[MLB_BLK_COUNT];
	r->limits = *limits;
	region_blocks(limits, ref);
	for (int i = 0; i < MLB_BLK_COUNT; i++) {
		r->blk[i].msg = (struct mlb_msg *)((uint8_t *)r->hdr + ref[i].off);
		r->blk[i].base = (uint8_t *)(r->blk[i].msg + 1);
		r->blk[i].buf_size = ref[i].buf_size;
	}
}

int mlb_limits_settle(struct mlb_limits *l, char err[256])
{
	l->vips = l->vips ? l->vips : MLB_DEFAULT_MAX_VIPS;
	l->servers = l->servers ? l->servers : MLB_DEFAULT_MAX_SERVERS;
	if (region_limits_good(l))
		return 0;
	int len = snprintf(err, 256, "a region holds at most %u VIPs and %u servers, not %u and %u", MLB_MAX_VIPS,
			   MLB_MAX_SERVERS, l->vips, l->servers);
	return len < 0 ? -EIO : -EINVAL;
}

/* A new file under `tmp` with the group and mode asked for, its memory reserved, so that no later write meets a full /dev/shm.
 * Errors name the path that it will have. */
static int make_file(const char *tmp, const char *path, const char *group, uint64_t size, char err[256])
{
	int fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(err, -errno, "cannot create", path, errno);
	int rc = 0;
	if (group) {
		struct group *g = getgrnam(group);
		if (!g)
			rc = fail(err, -EINVAL, "no such group as configured for it", path, 0);
		else if (fchown(fd, (uid_t)-1, g->gr_gid) != 0 || fchmod(fd, 0660) != 0)
			rc = fail(err, -errno, "cannot give it to the configured group", path, errno);
	}
	if (rc == 0) {
		int e = posix_fallocate(fd, 0, (off_t)size);
		if (e)
			rc = fail(err, -e, "cannot reserve its memory", path, e);
	}
	if (rc != 0) {
		close(fd);
		unlink(tmp);
		return rc;
	}
	return fd;
}

static void fill(struct mlb_region *r, const struct mlb_region_conf *c)
{
	struct mlb_region_hdr *h = r->hdr;
	h->layout_version = MLB_LAYOUT_VERSION;
	h->header_size = sizeof(*h);
	h->frame_hdr_size = sizeof(struct mlb_frame_hdr);
	h->server_rec_size = sizeof(struct mlb_server_rec);
	h->limits = r->limits;
	h->region_size = region_blocks(&r->limits, h->block);
	snprintf(h->instance, sizeof(h->instance), "%s", c->instance ? c->instance : "");
	snprintf(h->dataplane, sizeof(h->dataplane), "%s", c->dataplane ? c->dataplane : "");
	h->dp_epoch = c->dp_epoch;
	h->frame_us = c->frame_us;
	h->lease_us = c->lease_us;
	h->workers = c->workers;
	h->dp_pid = (uint32_t)getpid();
	atomic_store_explicit(&h->magic, MLB_MAGIC, memory_order_release);
}

/* A file that this program did not write must not vanish because of a wrong path in a configuration. */
static bool looks_like_ours(int fd, const struct stat *st)
{
	uint64_t magic = 0;
	if (st->st_size == 0)
		return true;
	return pread(fd, &magic, sizeof(magic), 0) == sizeof(magic) && magic == MLB_MAGIC;
}

static int held(int fd, const char *path, char err[256])
{
	uint32_t pid = 0;
	char what[96];
	if (pread(fd, &pid, sizeof(pid), offsetof(struct mlb_region_hdr, dp_pid)) != sizeof(pid))
		pid = 0;
	snprintf(what, sizeof(what), "a live data plane holds it (pid %u): end that one, or choose another path", pid);
	return fail(err, -EBUSY, what, path, 0);
}

/* Gives the finished file its name. The old region's lock is held over the rename, so two data planes cannot both win. */
static int take_name(const char *tmp, const char *path, bool takeover, char err[256])
{
	for (int t = 0; t < 16; t++) {
		int old = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		if (old < 0 && errno == ENOENT) {
			if (link(tmp, path) == 0) {
				unlink(tmp);
				return 0;
			}
			if (errno == EEXIST)
				continue;
			return fail(err, -errno, "cannot give the region its name", path, errno);
		}
		if (old < 0)
			return fail(err, -errno, "cannot look at what is there", path, errno);
		struct stat st;
		int rc = 0;
		if (fstat(old, &st) != 0 || !S_ISREG(st.st_mode) || !looks_like_ours(old, &st))
			rc = fail(err, -EEXIST, "holds something that is no region of marllb; remove it or choose another path",
				  path, 0);
		else if (lock_byte(old, LOCK_DP) != 0 && !takeover)
			rc = held(old, path, err);
		else if (!same_file(old, path))
			rc = 1; /* replaced since it was opened: look again */
		else if (rename(tmp, path) != 0)
			rc = fail(err, -errno, "cannot replace the old region", path, errno);
		close(old);
		if (rc <= 0)
			return rc;
	}
	return fail(err, -EBUSY, "other data planes keep replacing it", path, 0);
}

/* path.tmp.PID */
#define TMP_LEN (sizeof(((struct mlb_region *)0)->path) + 24)
static const char *tmp_name(const char *path, char tmp[TMP_LEN])
{
	snprintf(tmp, TMP_LEN, "%s.tmp.%d", path, (int)getpid());
	return tmp;
}

int mlb_region_create(struct mlb_region *r, const struct mlb_region_conf *c, char err[256])
{
	struct mlb_block_ref ref[MLB_BLK_COUNT];
	struct mlb_limits limits = c->limits;
	char tmp[TMP_LEN], prefix[TMP_LEN];

	memset(r, 0, sizeof(*r));
	r->fd = -1;
	int rc = mlb_limits_settle(&limits, err);
	if (rc != 0)
		return rc;
	if (!c->path || c->path[0] != '/' || strlen(c->path) >= sizeof(r->path))
		return fail(err, -EINVAL, "the path must be absolute and shorter than 256 bytes", c->path ? c->path : "", 0);
	snprintf(r->path, sizeof(r->path), "%s", c->path);
	tmp_name(c->path, tmp);
	snprintf(prefix, sizeof(prefix), "%s.tmp.", c->path);
	mlb_leftovers_remove(prefix);

	uint64_t size = region_blocks(&limits, ref);
	int fd = make_file(tmp, c->path, c->group, size, err);
	if (fd == -EEXIST) { /* left by a dead process of the same pid */
		unlink(tmp);
		fd = make_file(tmp, c->path, c->group, size, err);
	}
	if (fd < 0)
		return fd;
	rc = map(r, fd, size, PROT_READ | PROT_WRITE);
	if (rc != 0) {
		fail(err, rc, "cannot map", c->path, -rc);
	} else {
		place_blocks(r, &limits);
		fill(r, c);
		rc = lock_byte(fd, LOCK_DP);
		if (rc != 0)
			fail(err, rc, "cannot lock", c->path, -rc);
	}
	r->unnamed = c->takeover;
	if (rc == 0 && !c->takeover)
		rc = take_name(tmp, c->path, false, err);
	if (rc != 0) {
		unlink(tmp);
		if (r->hdr)
			unmap(r);
		close(fd);
		memset(r, 0, sizeof(*r));
		r->fd = -1;
	}
	return rc;
}

int mlb_region_name(struct mlb_region *r, char err[256])
{
	char tmp[TMP_LEN];
	int rc = r->unnamed ? take_name(tmp_name(r->path, tmp), r->path, true, err) : 0;

	if (rc == 0)
		r->unnamed = false;
	return rc;
}

/* The new file's pages take the old ones' place at the same addresses, so whoever holds a pointer into the region keeps it. Who
 * waits on the old file's in_futex is woken, to wait on the new one's. */
static int move_in(struct mlb_region *r, struct mlb_region *fresh)
{
	bool lost = region_guard_lost(r->hdr);
	struct mlb_region_hdr *old = lost ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	void *p = mmap(r->hdr, r->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fresh->fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	region_guard_renew(r->hdr);
	if (old != MAP_FAILED) {
		mlb_futex_wake(&old->in_futex);
		munmap(old, 4096);
	}
	unmap(fresh);
	if (r->fd >= 0)
		close(r->fd);
	r->fd = fresh->fd;
	return 0;
}

int mlb_region_renew(struct mlb_region *r, const struct mlb_region_conf *c, char err[256])
{
	struct mlb_region fresh;
	struct mlb_region_conf conf = *c;
	uint64_t agent_epoch = atomic_load(&r->hdr->agent_epoch);
	if (same_file(r->fd, r->path)) { /* truncated: its lock, which is ours, would stand in the way */
		close(r->fd);
		r->fd = -1;
	}
	conf.path = r->path;
	conf.takeover = false;
	int rc = mlb_region_create(&fresh, &conf, err);
	if (rc != 0)
		return rc;
	atomic_store(&fresh.hdr->agent_epoch, agent_epoch); /* vectors of the next agent are newer than those applied */
	rc = move_in(r, &fresh);
	if (rc != 0) {
		fail(err, rc, "cannot map", r->path, -rc);
		mlb_region_close(&fresh, true);
	}
	return rc;
}

/* Everything that the header says, once; afterwards only our own numbers are used. */
static int check_header(struct mlb_region_hdr *h, uint64_t size, struct mlb_limits *limits, const char *path, char err[256])
{
	struct mlb_block_ref ref[MLB_BLK_COUNT];
	char what[160];

	if (atomic_load_explicit(&h->magic, memory_order_acquire) != MLB_MAGIC)
		return fail(err, -EPROTO, "is no region of marllb (wrong magic)", path, 0);
	if (h->layout_version != MLB_LAYOUT_VERSION) {
		snprintf(what, sizeof(what),
			 "has layout version %u, %s than the %u expected: data plane and agent must be of one release",
			 h->layout_version, h->layout_version < MLB_LAYOUT_VERSION ? "older" : "newer", MLB_LAYOUT_VERSION);
		return fail(err, -EPROTO, what, path, 0);
	}
	*limits = h->limits;
	if (!region_limits_good(limits)) {
		snprintf(what, sizeof(what), "says that it holds %u VIPs and %u servers, expected 1 to %u and 1 to %u",
			 limits->vips, limits->servers, MLB_MAX_VIPS, MLB_MAX_SERVERS);
		return fail(err, -EPROTO, what, path, 0);
	}
	uint64_t want = region_blocks(limits, ref);
	if (size != want || h->region_size != want) {
		snprintf(what, sizeof(what), "is %llu bytes and says %llu, expected %llu", (unsigned long long)size,
			 (unsigned long long)h->region_size, (unsigned long long)want);
		return fail(err, -EPROTO, what, path, 0);
	}
	if (h->header_size != sizeof(*h) || h->frame_hdr_size != sizeof(struct mlb_frame_hdr) ||
	    h->server_rec_size != sizeof(struct mlb_server_rec) || memcmp(h->block, ref, sizeof(ref)) != 0)
		return fail(err, -EPROTO, "has sizes or offsets that do not belong to its layout version", path, 0);
	return 0;
}

static int open_region(struct mlb_region *r, const char *path, bool write, char err[256])
{
	memset(r, 0, sizeof(*r));
	r->fd = -1;
	if (!path || strlen(path) >= sizeof(r->path))
		return fail(err, -EINVAL, "the path must be shorter than 256 bytes", path ? path : "", 0);
	int fd = open(path, (write ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail(err, -errno, "cannot open", path, errno);
	struct stat st;
	int rc;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		rc = fail(err, -EPROTO, "is no regular file", path, 0);
	else if (st.st_uid != geteuid() && st.st_uid != 0) /* its owner could truncate it under us, or make it up */
		rc = fail(err, -EPERM, "belongs to another user; expected this one's or root's", path, 0);
	else if ((uint64_t)st.st_size < sizeof(struct mlb_region_hdr))
		rc = fail(err, -EPROTO, "is too short to be a region of marllb", path, 0);
	else {
		struct mlb_limits limits;
		rc = map(r, fd, (uint64_t)st.st_size, write ? PROT_READ | PROT_WRITE : PROT_READ);
		if (rc != 0)
			fail(err, rc, "cannot map", path, -rc);
		else
			rc = check_header(r->hdr, r->size, &limits, path, err);
		if (rc == 0)
			place_blocks(r, &limits);
	}
	if (rc != 0) {
		if (r->hdr)
			unmap(r);
		close(fd);
		memset(r, 0, sizeof(*r));
		r->fd = -1;
		return rc;
	}
	snprintf(r->path, sizeof(r->path), "%s", path);
	return 0;
}

int mlb_region_attach(struct mlb_region *r, const char *path, char err[256])
{
	int rc = open_region(r, path, true, err);
	if (rc != 0)
		return rc;
	rc = lock_byte(r->fd, LOCK_AGENT);
	if (rc != 0) {
		char what[96];
		snprintf(what, sizeof(what), "another agent is attached (pid %u)",
			 atomic_load_explicit(&r->hdr->agent_pid, memory_order_relaxed));
		mlb_region_close(r, false);
		return fail(err, rc == -EAGAIN || rc == -EACCES ? -EBUSY : rc, what, path, 0);
	}
	atomic_fetch_add_explicit(&r->hdr->agent_epoch, 1, memory_order_acq_rel);
	atomic_store_explicit(&r->hdr->agent_pid, (uint32_t)getpid(), memory_order_relaxed);
	return 0;
}

int mlb_region_attach_peer(struct mlb_region *r, const char *path, char err[256])
{
	int rc = open_region(r, path, true, err);
	if (rc != 0)
		return rc;
	rc = lock_byte(r->fd, LOCK_PEER);
	if (rc != 0) {
		mlb_region_close(r, false);
		return fail(err, rc == -EAGAIN || rc == -EACCES ? -EBUSY : rc, "another process writes the peers' counts", path,
			    0);
	}
	return 0;
}

int mlb_region_open_ro(struct mlb_region *r, const char *path, char err[256])
{
	return open_region(r, path, false, err);
}

bool mlb_region_replaced(const struct mlb_region *r)
{
	return region_guard_lost(r->hdr) || !same_file(r->fd, r->path);
}

void mlb_region_close(struct mlb_region *r, bool unlink_it)
{
	if (!r->hdr)
		return;
	char tmp[TMP_LEN];
	if (r->unnamed)
		unlink(tmp_name(r->path, tmp));
	else if (unlink_it && same_file(r->fd, r->path))
		unlink(r->path);
	unmap(r);
	close(r->fd);
	memset(r, 0, sizeof(*r));
	r->fd = -1;
}
