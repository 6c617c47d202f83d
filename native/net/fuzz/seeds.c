/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the hostile graphs as files into a folder: seeds from which a fuzzer finds their relatives. */
#include <stdio.h>
#include "../test/hostile_graphs.h"

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	for (int i = 0; i < hostile_graph_count; i++) {
		char path[512];
		struct buf b;
		hostile_graph_build(&b, &hostile_graphs[i]);
		snprintf(path, sizeof(path), "%s/hostile-%02d.onnx", argv[1], i);
		FILE *f = fopen(path, "wb");
		if (!f || fwrite(b.b, 1, b.n, f) != b.n || fclose(f)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}
