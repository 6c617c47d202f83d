// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { ConfigError, parseConfig } from "../load.js";

function problems(text: string, sets: string[] = []): string[] {
  try {
    parseConfig(text, "f.yaml", sets);
  } catch (e) {
    if (e instanceof ConfigError) return [...e.problems];
    throw e;
  }
  return [];
}

const good = `
instance: one
vips:
  - name: web
    address: 127.0.0.1:8080
    servers:
      - address: 127.0.0.1:9001
      - address: "[::1]:9002"
        weight: 2
`;

test("an empty file is all defaults", (t) => {
  const c = parseConfig("");
  t.is(c.tick_ms, 200);
  t.is(c.services.inference.listen, "127.0.0.1:50052");
  t.is(c.services.failover.metrics, "127.0.0.1:9104");
  t.is(c.region.path, "/dev/shm/lb_rl_shm");
});

test("one address may be a TCP and a UDP VIP, but not two UDP ones; responses are of UDP", (t) => {
  const vip = (name: string, more: string): string =>
    `  - { name: ${name}, address: "127.0.0.1:53", ${more}, servers: [{ address: "127.0.0.1:5353" }] }\n`;
  const both = `vips:\n${vip("a", "protocol: tcp")}${vip("b", "protocol: udp, responses: 1")}`;
  t.deepEqual(problems(both), []);
  t.is(parseConfig(both).vips[0]?.responses, 0);
  t.regex(problems(both + vip("c", "protocol: udp"))[0] ?? "", /duplicate address 127\.0\.0\.1:53: vips\.1\.address listens/);
  t.regex(problems(`vips:\n${vip("a", "responses: 1")}`)[0] ?? "", /responses: expected with protocol udp only/);
  // A server at the address of a VIP of the other protocol leads nowhere back.
  const cross = `vips:\n${vip("a", "protocol: tcp")}  - { name: b, address: "127.0.0.1:54", protocol: udp, servers: [{ address: "127.0.0.1:53" }] }\n`;
  t.deepEqual(problems(cross), []);
});

test("a good file is parsed and frozen", (t) => {
  const c = parseConfig(good);
  t.is(c.vips[0]?.servers[1]?.weight, 2);
  t.is(c.vips[0]?.mode, "sed");
  t.throws(() => {
    (c as { tick_ms: number }).tick_ms = 1;
  });
  t.throws(() => {
    (c.vips[0] as { name: string }).name = "x";
  });
});

const wrong: { what: string; text: string; expect: RegExp }[] = [
  {
    what: "unknown key names the nearest",
    text: "tick_sm: 100\n",
    expect: /^f\.yaml:1:1: tick_sm: unknown key; did you mean tick_ms\?$/,
  },
  {
    what: "unknown nested key has its line",
    text: "vips:\n  - name: web\n    adress: 127.0.0.1:1\n    address: 127.0.0.1:2\n",
    expect: /^f\.yaml:3:5: vips\[0\]\.adress: unknown key; did you mean address\?$/,
  },
  { what: "wrong type", text: "tick_ms: soon\n", expect: /^f\.yaml:1:10: tick_ms: expected number, found "soon"$/ },
  {
    what: "wrong enum",
    text: "vips:\n- {name: a, address: 127.0.0.1:1, mode: sde}\n",
    expect: /^f\.yaml:2:41: vips\[0\]\.mode: expected one of hash, alias, sed, p2c, found "sde"; did you mean sed\?$/,
  },
  { what: "range", text: "tick_ms: 5\n", expect: /tick_ms: expected at least 10, found 5$/ },
  {
    what: "missing key points at its parent",
    text: "vips:\n  - name: a\n",
    expect: /^f\.yaml:2:5: vips\[0\]\.address: missing; expected string$/,
  },
  {
    what: "duplicate server in another spelling",
    text: 'vips:\n  - name: a\n    address: 127.0.0.1:1\n    servers:\n      - address: "[::1]:5"\n      - address: "[0:0:0:0:0:0:0:1]:5"\n',
    expect: /^f\.yaml:6:18: vips\[0\]\.servers\[1\]\.address: duplicate address/,
  },
  {
    what: "a wildcard VIP over another VIP",
    text: "vips:\n- {name: a, address: 0.0.0.0:1}\n- {name: b, address: 127.0.0.1:1}\n",
    expect: /^f\.yaml:3:22: vips\[1\]\.address: address 127\.0\.0\.1:1 overlaps 0\.0\.0\.0:1, where vips\.0\.address listens$/,
  },
  {
    what: "responses of a TCP VIP",
    text: "vips:\n- {name: a, address: 0.0.0.0:1, responses: 1}\n",
    expect: /vips\[0\]\.responses: expected with protocol udp only$/,
  },
  {
    what: "a wildcard VIP as its own server",
    text: "vips:\n- {name: a, address: 0.0.0.0:1, servers: [{address: 127.0.0.1:1}]}\n",
    expect: /vips\[0\]\.servers\[0\]\.address: server 127\.0\.0\.1:1 is the VIP itself$/,
  },
  {
    what: "two VIPs that lead to each other",
    text: "vips:\n- {name: a, address: 127.0.0.1:1, servers: [{address: 127.0.0.1:2}]}\n- {name: b, address: 127.0.0.1:2, servers: [{address: 127.0.0.1:1}]}\n",
    expect: /vips\[1\]\.servers\[0\]\.address: server 127\.0\.0\.1:1 leads back to the VIP: VIP a has it behind it/,
  },
  {
    what: "duplicate VIP name",
    text: "vips:\n- {name: a, address: 127.0.0.1:1}\n- {name: a, address: 127.0.0.1:2}\n",
    expect: /duplicate name a: also vips\.0/,
  },
  {
    what: "more VIPs than the region is made for",
    text: "dataplane: {max_vips: 1}\nvips:\n- {name: a, address: 127.0.0.1:1}\n- {name: b, address: 127.0.0.1:2}\n",
    expect: /vips: expected at most dataplane\.max_vips, 1, found 2$/,
  },
  {
    what: "more servers than the region is made for",
    text: "dataplane: {max_servers: 1}\nvips:\n- {name: a, address: 127.0.0.1:1, servers: [{address: 127.0.0.1:2}, {address: 127.0.0.1:3}]}\n",
    expect: /vips: expected at most dataplane\.max_servers, 1, in all, found 2 servers$/,
  },
  { what: "more than any region holds", text: "dataplane: {max_vips: 1025}\n", expect: /dataplane\.max_vips.*1024/ },
  {
    what: "VIP on a service's port",
    text: "vips:\n- {name: a, address: 127.0.0.1:50052}\n",
    expect: /duplicate address .* services\.inference\.listen listens there already/,
  },
  {
    what: "unquoted IPv6 in a list",
    text: "vips:\n- name: a\n  address: [::1]:8080\n",
    expect: /^f\.yaml:3:.*IPv6 address must be quoted/,
  },
  {
    what: "unquoted IPv6 as a whole value",
    text: "vips:\n- name: a\n  address: [::1]\n",
    expect: /^f\.yaml:3:12: .*IPv6 address must be quoted/,
  },
  { what: "no address", text: "vips:\n- {name: a, address: nowhere}\n", expect: /expected IP:PORT/ },
  {
    what: "weights are positive",
    text: "vips:\n- name: a\n  address: 1.2.3.4:5\n  servers:\n  - {address: 1.2.3.4:6, weight: -1}\n",
    expect: /^f\.yaml:5:34: .*weight: expected more than 0, found -1$/,
  },
  {
    what: "time-out beyond the interval",
    text: "health:\n  interval_ms: 100\n  timeout_ms: 200\n",
    expect: /^f\.yaml:3:15: health\.timeout_ms: expected at most interval_ms \(100\), found 200$/,
  },
  { what: "not YAML", text: "a: [1\nb: 2\n", expect: /^f\.yaml:\d+:\d+: / },
  { what: "a list for a map", text: "[]\n", expect: /^f\.yaml:1:1: expected a map \(keys: instance, .*\), found \[\]$/ },
  {
    what: "a server that is only its address",
    text: "vips:\n- {name: a, address: 127.0.0.1:1, servers: [127.0.0.1:2]}\n",
    expect: /^f\.yaml:2:45: .*servers\[0\]: expected a map \(keys: address, weight, .*\), found "127\.0\.0\.1:2"$/,
  },
  { what: "tabs", text: "vips:\n\t- name: a\n", expect: /^f\.yaml:2:1: a tab: expected spaces as indentation$/ },
  { what: "a key twice", text: "tick_ms: 100\ntick_ms: 200\n", expect: /^f\.yaml:2:1: the key tick_ms is there twice$/ },
  { what: "two documents", text: "tick_ms: 100\n---\ntick_ms: 200\n", expect: /^f\.yaml:2:1: a second document begins/ },
  {
    what: "an unknown kind of store names those that there are",
    text: "failover:\n  store: {kind: fle}\n",
    expect: /^f\.yaml:2:17: failover\.store\.kind: expected one of memory, file, etcd, found "fle"; did you mean file\?$/,
  },
  {
    what: "a source that is no IP address",
    text: "dataplane: {sources: [here]}\n",
    expect: /^f\.yaml:1:23: .*IP address without port/,
  },
  {
    what: "a VIP's address with a scope",
    text: 'vips:\n  - {name: web, address: "[fe80::1%eth0]:80"}\n',
    expect: /^f\.yaml:2:26: vips\[0\]\.address: expected IP:PORT.*a scope \(%\.\.\.\) is not supported/,
  },
  {
    what: "a source with a scope",
    text: 'dataplane: {sources: ["fe80::1%eth0"]}\n',
    expect: /^f\.yaml:1:23: .*a scope \(%\.\.\.\) is not supported/,
  },
  {
    what: "a check's path with a space",
    text: "health: {kind: http, path: /a b}\n",
    expect: /^f\.yaml:1:28: health\.path: .*without spaces/,
  },
  { what: "an endpoint that is no URL", text: "tracing: {endpoint: not a URL}\n", expect: /^f\.yaml:1:21: .*expected a URL/ },
  {
    what: "a dialled address with a space",
    text: "services: {health: {address: a b}}\n",
    expect: /^f\.yaml:1:30: services\.health\.address: expected HOST:PORT/,
  },
  {
    what: "a region whose control socket would have too long a name",
    text: `region: {path: /dev/shm/${"x".repeat(90)}}\n`,
    expect: /^f\.yaml:1:16: region\.path: expected at most 95 characters/,
  },
  { what: "infinity", text: "tick_ms: .inf\n", expect: /^f\.yaml:1:10: tick_ms: expected number, found Infinity$/ },
  { what: "brackets without an end", text: `a: 1\nb: ${"[".repeat(20_000)}`, expect: /^f\.yaml:2: nested too deeply/ },
  { what: "lists within lists", text: `a: 1\n${"- ".repeat(20_000)}`, expect: /^f\.yaml:2: nested too deeply/ },
  {
    what: "aliases that stand for gigabytes",
    text: `a: &a [x,x,x]\n${[..."bcdefghij"].map((k, i) => `${k}: &${k} [${Array(9).fill(`*${"abcdefghij"[i]}`)}]\n`).join("")}`,
    expect: /^f\.yaml: .*alias/,
  },
];

for (const w of wrong) {
  test(`error: ${w.what}`, (t) => {
    const all = problems(w.text);
    t.true(
      all.some((p) => w.expect.test(p)),
      all.join("\n"),
    );
  });
}

test("--set overrides a value, types as in YAML", (t) => {
  const c = parseConfig(good, "f.yaml", [
    "tick_ms=50",
    "vips.0.policy=uniform",
    "region.path=/dev/shm/x",
    "dataplane.lease_ms=500",
  ]);
  t.is(c.tick_ms, 50);
  t.is(c.vips[0]?.policy, "uniform");
  t.is(c.region.path, "/dev/shm/x");
});

test("--set on an empty file, and its errors name the flag", (t) => {
  t.is(parseConfig("", "f", ["log.level=debug"]).log.level, "debug");
  t.deepEqual(problems("", ["tick_ms=x"]), ['--set tick_ms=x: tick_ms: expected number, found "x"']);
  t.regex(problems("", ["tikc_ms=1"])[0] ?? "", /--set tikc_ms=1: tikc_ms: unknown key; did you mean tick_ms/);
  t.deepEqual(problems("", ["tick_ms=[1"]), ["--set tick_ms=[1: Flow sequence must end with a ]"]);
  t.regex(problems("", ["a.b.c=1"])[0] ?? "", /^--set a\.b\.c=1: a: unknown key/);
  t.regex(problems("", ["tick_ms"])[0] ?? "", /expected KEY=VALUE/);
});

test("a policy is a name, a model is named as its file is", (t) => {
  for (const name of ["kalman", "peak-ewma", "marl", "model:marl", "model:Net-2.v1_b"])
    t.deepEqual(problems(good, [`vips.0.policy=${name}`]), []);
  for (const name of ["model:../x", "model:.x", "model:a/b", "../x", "a b"]) {
    t.regex(problems(good, [`vips.0.policy=${name}`])[0] ?? "", /expected a policy's name \(marllbctl policy list\)/);
  }
});

test("a long list of problems is cut, a long value too", (t) => {
  const all = problems(`${Array.from({ length: 50 }, (_, i) => `k${i}: 1\n`).join("")}`);
  t.is(all.length, 21);
  t.is(all.at(-1), "and 30 more");
  t.true((problems(`instance: ${"x".repeat(5000)}\n`)[0] ?? "").length < 400);
});

test("a kind beside checks on one level is refused: which of them is meant cannot be known", (t) => {
  const of = (vip: string, server: string) =>
    parseConfig(
      `vips: [{ name: a, address: "10.0.0.1:80", health: ${vip}, servers: [{ address: "10.0.0.2:80", health: ${server} }] }]`,
    );
  const both = "{ kind: http, checks: [{ kind: tcp }] }";
  t.throws(() => of(both, "{}"), { message: /vips\[0\]\.health\.kind: expected either kind or checks/ });
  t.throws(() => of("{}", both), { message: /vips\[0\]\.servers\[0\]\.health\.kind: expected either kind or checks/ });
  t.notThrows(() => of("{ checks: [{ kind: tcp }] }", "{ kind: http }"));
});
