/* SPDX-License-Identifier: Apache-2.0 */
/* A line of the configuration file or of the control socket, cut into words. */
#ifndef MLBD_WORDS_H
#define MLBD_WORDS_H

#define MLBD_MAX_WORDS 8192

/* A line cut into words. '#' begins a comment; double quotes keep spaces. */
struct mlbd_words {
	char *text;
	char **w;
	int n;
};
/* -EINVAL: a quote is not closed; -ENOMEM. Free it always. */
int mlbd_words_split(struct mlbd_words *, const char *line, char err[256]);
void mlbd_words_free(struct mlbd_words *);
#endif
