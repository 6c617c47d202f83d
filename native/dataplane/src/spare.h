/* SPDX-License-Identifier: Apache-2.0 */
/* Out of descriptors: one kept in reserve, and listeners that pause until there is room again. Worker thread.
 *
 * A client accepted with the last descriptor still needs one for its server. The reserve is lent for that, and all listeners
 * pause: the kernel keeps who comes waiting. */
#ifndef MLBD_SPARE_H
#define MLBD_SPARE_H
#include "worker.h"

/* Watches a listener, for the first time or again; where that fails it pauses. */
void mlbd_spare_watch(struct mlbd_worker *, struct mlbd_listener *);
/* accept found no descriptor or memory: this listener pauses. */
void mlbd_spare_pause(struct mlbd_worker *, struct mlbd_listener *, int error);
/* There is no descriptor for a server's socket: pauses all listeners and sets the reserve free. False: it was lent already. */
bool mlbd_spare_lend(struct mlbd_worker *, int error);
/* A client of the listener could not be accepted. */
void mlbd_spare_count(struct mlbd_worker *, const struct mlbd_listener *);
/* Takes the reserve, where it is not there. */
void mlbd_spare_keep(struct mlbd_worker *);
/* Something that needs descriptors is tried again soon. */
void mlbd_spare_later(struct mlbd_worker *);
/* Tries the paused listeners again; called when w->resume_us has come. */
void mlbd_spare_resume(struct mlbd_worker *);
#endif
