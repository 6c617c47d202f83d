/* SPDX-License-Identifier: Apache-2.0 */
/* The command line. Every configuration line is also a flag: `--idle-timeout 1m`, `--vip "web 127.0.0.1:8080"`. */
#ifndef MLBD_OPTIONS_H
#define MLBD_OPTIONS_H
#include "plan.h"

struct mlbd_options {
	const char *config; /* NULL: none */
	const char *order;  /* for the data plane that runs; NULL: this is to be one */
	char **line;        /* [lines] from flags, in order, after the file's */
	uint32_t lines;
	bool check, takeover, stop_with_stdin, supervise;
	bool wrong; /* the command line itself is wrong */
};

/* 0: run; 1: what was asked for is printed, exit 0; -EINVAL: err. */
int mlbd_options_parse(struct mlbd_options *, int argc, char **argv, char err[512]);
void mlbd_options_free(struct mlbd_options *);
/* File and flags together, checked. err names file and line, or the flag; all: as of mlbd_plan_text. */
int mlbd_options_plan(struct mlbd_options *, struct mlbd_plan *, struct mlbd_text *all, char err[512]);
#endif
