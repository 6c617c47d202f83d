/* SPDX-License-Identifier: Apache-2.0 */
/* What a start would find wrong with the machine, so that --check and the start say the same. */
#ifndef MLBD_CHECK_H
#define MLBD_CHECK_H
#include "settings.h"
#include "text.h"

/* Region, its group and the control socket: folders that are there, names that are free or ours, a group that exists. 0 or
 * -errno; err names the setting. all (may be NULL): gets every error, a line each. */
int mlbd_check_names(const struct mlbd_settings *, struct mlbd_text *all, char err[512]);
#endif
