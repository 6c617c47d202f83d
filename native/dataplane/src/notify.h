/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MLBD_NOTIFY_H
#define MLBD_NOTIFY_H
/* systemd's readiness protocol; does nothing without NOTIFY_SOCKET. */
void mlbd_notify(const char *state);
#endif
