/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: a command a line in, an answer that ends with `ok` or `error: ...` out. Main thread. */
#ifndef MLBD_CONTROL_H
#define MLBD_CONTROL_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "text.h"

struct mlbd_client;

/* What its owner does with what comes over it. fd: the client's socket. */
struct mlbd_control_hooks {
	void *arg;
	/* Acts on one line. 0: `ok` follows what it added to `out`; -errno: `error: ` and err; MLBD_CONTROL_SAID: the owner has
	 * sent the whole answer by itself. */
	int (*run)(void *arg, int fd, const char *line, struct mlbd_text *out, char err[512]);
	void (*gone)(void *arg, int fd); /* before its socket is closed */
	bool (*keep)(void *arg, int fd); /* it is in the middle of something: others go first where there are too many */
};
#define MLBD_CONTROL_SAID 1

struct mlbd_control {
	int epfd; /* events of the socket carry this record's address, events of a client the client's */
	struct mlbd_control_hooks hooks;
	int fd; /* -1: none */
	char path[216];
	dev_t dev; /* of the socket file that is ours */
	ino_t ino;
	bool named, lost;
	bool handed_over;            /* the name is about to be another process's, who took over: left alone at the close */
	struct mlbd_client *clients; /* the one that spoke last first */
	int spare_fd;                /* kept aside for a client that comes when there is no other descriptor; -1: lent */
	bool paused;                 /* nobody is accepted until a descriptor is free */
};

void mlbd_control_init(struct mlbd_control *, int epfd, const struct mlbd_control_hooks *);
/* -EADDRINUSE: a living process serves `path`. err names the path. */
int mlbd_control_unused(const char *path, char err[256]);
/* Listens under a temporary name. -EADDRINUSE as above, not asked with `replace`. */
int mlbd_control_open(struct mlbd_control *, const char *path, bool replace, char err[256]);
/* Gives it its name, in place of whatever socket has it: at no moment is there no socket, or one that nobody serves. */
int mlbd_control_name(struct mlbd_control *, char err[256]);
/* An event on the socket (client NULL) or a client. */
void mlbd_control_event(struct mlbd_control *, struct mlbd_client *, uint32_t events);
/* Once a second: makes the socket again where its name was removed. What another process put there is left, and told once. */
void mlbd_control_look(struct mlbd_control *);
/* Once a second: descriptors may be free again. */
void mlbd_control_poll(struct mlbd_control *);
void mlbd_control_close(struct mlbd_control *);
#endif
