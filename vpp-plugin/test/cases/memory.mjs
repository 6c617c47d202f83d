// SPDX-License-Identifier: Apache-2.0
// How large a worker's tables are: by startup.conf and by `enable`, as VPP's own `show memory map` lists them.

/** Pages of 4 KB of VPP's map of that name; 0: there is none. */
const pages = (text, name) => Number(new RegExp(`4K\\s+(\\d+)\\s.*${name}$`, "m").exec(text)?.[1] ?? 0);
/** Maps of tables for so many flows: some 100 bytes each, no more than twice that, and what a small table has at least. */
const LEAST = 4 << 20;
const room = (flows, half) => ({
  test: (text) =>
    [
      ["lb-rl flows 1", flows],
      ["lb-rl half-open 1", half],
      ["lb-rl affinities", flows],
    ].every(([name, n]) => pages(text, name) * 4096 >= 80 * n && pages(text, name) * 4096 < 200 * n + LEAST),
});

export const groups = [
  {
    name: "memory",
    options: { extra: "lb-rl { flows 200000 half-open 20000 max-vips 128 max-servers 8192 page-size 4k }" },
    cases: [
      {
        name: "startup.conf says what `enable` takes where it is not told; tables are maps of VPP's, as large as that",
        steps: [
          { says: { "lb rl show stats": /tables of 65536 flows and 4096 half-open/, "show memory map": room(65536, 4096) } },
          { cli: ["lb rl disable"], says: { "show memory map": { test: (t) => !/lb-rl (flows|half-open|affinities)/.test(t) } } },
          { cli: ["lb rl enable"], says: { "show memory map": room(200000, 20000) } },
          {
            says: {
              "lb rl show config": /flows 200000 and half-open 20000 a worker.*region of 128 VIPs and 8192 servers/,
              "lb rl show stats": /tables of 200000 flows and 20000 half-open a worker were asked for/,
            },
          },
          { cli: ["lb rl disable", "lb rl enable flows 2000000"], says: { "show memory map": room(2000000, 20000) } },
        ],
      },
    ],
  },
];
