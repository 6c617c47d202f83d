#include "cli.h"
int sim_cmd_run(int argc, char **argv, char err[256]){(void)argc;(void)argv;(void)err;return -1;}
int sim_cmd_named(int argc, char **argv, char err[256]){(void)argc;(void)argv;(void)err;return -1;}
