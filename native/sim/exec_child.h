/* SPDX-License-Identifier: Apache-2.0 */
/* An outside policy as a child process that speaks lines over a pipe. One a thread and command, shared by the load balancers of
 * a run, gone with the last of them. */
#ifndef MARLLB_SIM_EXEC_CHILD_H
#define MARLLB_SIM_EXEC_CHILD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

struct exec_child {
	pid_t pid;
	int in, out;      /* its stdin and stdout, our ends */
	char *line;       /* one line of input */
	size_t have, cap; /* bytes read of this and the following lines */
	size_t used;      /* of those, the length of the line handed out */
	int wait_ms;      /* how long it may take to read a line, and to answer one; 60 s from the start on */
	int status;       /* as waitpid gave it, once it has ended */
	bool ended;
};

int exec_child_start(struct exec_child *, const char *command, char err[256]);
/* -ETIMEDOUT if it does not read for wait_ms. */
int exec_child_send(struct exec_child *, const char *text, size_t len, char err[256]);
/* The next line, NUL-terminated, valid until the next call; waits wait_ms at most. */
int exec_child_receive(struct exec_child *, const char **line, char err[256]);
/* Ends its input, waits 2 s for it, then kills it. */
void exec_child_stop(struct exec_child *);
#endif
