// SPDX-License-Identifier: Apache-2.0
// watch-main LOAD-BALANCERS SERVERS: prints watch()'s result.
import { watch } from "./watch.js";

const [loadBalancers, servers] = process.argv.slice(2).map(Number) as [number, number];
process.stdout.write(`${JSON.stringify(await watch(loadBalancers, servers))}\n`);
process.exit(0);
