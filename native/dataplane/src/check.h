/* SPDX-License-Identifier: Apache-2.0 */
/* What a start would find wrong with the machine, so that --check and the start say the same. */
#ifndef MLBD_CHECK_H
#define MLBD_CHECK_H
#include "settings.h"

/* Region, its group and the control socket: folders that are there, names that are free or ours, a group that exists. 0 or
 * -errno; err names the setting. */
int mlbd_check_names(const struct mlbd_settings *, char err[256]);
#endif
