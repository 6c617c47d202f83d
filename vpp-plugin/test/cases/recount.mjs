// SPDX-License-Identifier: Apache-2.0
// The recount of flows, beside flows that begin and end.
import { C4, range, s4 } from "../lib/bed.mjs";

const V = "10.9.0.1";
const syn = (sport, more) => ({ src: C4, dst: V, tcp: "S", sport, dport: 80, ...more });
const established = (i) => [syn(7000 + i), syn(7000 + i, { tcp: "A" })];

export const groups = [
  {
    name: "recount",
    setup: [`lb rl set-vip v ${V} l3dsr`, `lb rl set-servers ${range(4, (i) => s4(i + 1)).join(" ")}`],
    cases: [
      {
        name: "flows that begin and end while the recount goes by are counted once; it differs by none",
        steps: [
          ...range(6, (r) => ({
            after: 400,
            send: range(40, (i) => [
              ...established(40 * r + i),
              ...(i % 4 ? [] : [syn(7000 + 40 * r + i, { tcp: "FA" })]),
            ]).flat(),
            server: () => true,
          })),
          { until: { "lb rl show stats": /: 240 of \d+ flows, 180 recounted,/ } },
          { after: 1500, until: { "lb rl show stats": /recount differs by 0\n/ } },
        ],
      },
    ],
  },
];
