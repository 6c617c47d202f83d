/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: a command a line in, an answer that ends with `ok` or `error: ...` out. Main thread. */
#ifndef MLBD_CONTROL_H
#define MLBD_CONTROL_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "text.h"

struct mlbd_app;
struct mlbd_client;

struct mlbd_control {
	int fd; /* -1: none */
	char path[216];
	dev_t dev; /* of the socket file that is ours */
	ino_t ino;
	struct mlbd_client *clients;
	int spare_fd; /* kept aside for a client that comes when there is no other descriptor; -1: lent */
	bool paused;  /* nobody is accepted until a descriptor is free */
};

/* In place of a dead process's socket, or (replace) of a living one's that hands over. err names the path. */
int mlbd_control_open(struct mlbd_app *, const char *path, bool replace, char err[256]);
/* An event on the socket (client NULL) or a client. */
void mlbd_control_event(struct mlbd_app *, struct mlbd_client *, uint32_t events);
/* Once a second: descriptors may be free again. */
void mlbd_control_poll(struct mlbd_app *);
void mlbd_control_close(struct mlbd_app *);
#endif
