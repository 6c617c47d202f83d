/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that a data plane and its supervisor have no use for. */
#ifndef MLBD_SIGNALS_H
#define MLBD_SIGNALS_H

/* What a log rotation, a terminal, a timer of a parent or a mistyped kill may send must not end the process. */
void mlbd_signals_ignore(void);
#endif
