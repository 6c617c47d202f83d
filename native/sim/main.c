/* SPDX-License-Identifier: Apache-2.0 */
/* marllb-sim: the command line. Only this file exits or prints errors. */
#include "cli.h"
#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: marllb-sim run FILE [options]        one scenario file (native/sim/scenario.schema.json)\n"
	"       marllb-sim family v1|v2 [options]    many drawn scenarios, figures relative to --reference\n"
	"       marllb-sim named NAME|all [options]  the scenarios that docs/scenarios.md names; without NAME: lists them\n"
	"       marllb-sim counts v1|v2 [options]    what load balancers count in drawn scenarios, second by second\n"
	"       marllb-sim trace FILE|NAME [--seed S]  its arrivals and sizes, for arrivals of kind trace\n"
	"options\n";

int main(int argc, char **argv)
{
	char err[256] = "";
	int e = -1;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[1], "help") == 0) {
			fputs(usage, stdout);
			sim_args_help(stdout);
			sim_strategy_help(stdout);
			return 0;
		}
	if (argc > 2 && argv[2][0] == '-') {
		fprintf(stderr, "marllb-sim: %s %.60s: options come last; marllb-sim --help says what stands before them\n",
			argv[1], argv[2]);
		return 1;
	}
	if (argc > 2 && strcmp(argv[1], "family") == 0)
		e = sim_cmd_family(argc - 2, argv + 2, err);
	else if (argc > 2 && strcmp(argv[1], "run") == 0)
		e = sim_cmd_run(argc - 2, argv + 2, err);
	else if (argc > 1 && strcmp(argv[1], "named") == 0)
		e = sim_cmd_named(argc - 2, argv + 2, err);
	else if (argc > 2 && strcmp(argv[1], "counts") == 0)
		e = sim_cmd_counts(argc - 2, argv + 2, err);
	else if (argc > 2 && strcmp(argv[1], "trace") == 0)
		e = sim_cmd_trace(argc - 2, argv + 2, err);
	else
		fputs(usage, stderr);
	if (err[0])
		fprintf(stderr, "marllb-sim: %s\n", err);
	return e ? 1 : 0;
}
