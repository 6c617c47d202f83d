// SPDX-License-Identifier: Apache-2.0
// The keeper against a VPP that is a few lines of this test: it answers commands, forgets all at a restart, and refuses what it is told to.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import os from "node:os";
import path from "node:path";
import test from "ava";
import { keepVpp, readConfig, VppKeeper, VppRefused } from "../vpp-keeper.js";
import type { Wanted } from "../vpp-wanted.js";

const wanted: Wanted = {
  region: "/dev/shm/r",
  enable: ["lb rl set-shm /dev/shm/r", "lb rl enable flows 1024"],
  natInterfaces: ["eth1"],
  vips: [
    { name: "web", set: "lb rl set-vip web 10.0.0.1/32 tcp 80 nat", servers: ["lb rl set-servers vip web 10.2.0.1:80=1"] },
    { name: "dns", set: "lb rl set-vip dns 10.0.0.1/32 udp 53 nat", servers: [] },
  ],
};

class FakeVpp {
  enabled = false;
  region = "/dev/shm/lb_rl_shm";
  nat: string[] = [];
  vips = new Map<string, string[]>();
  given: string[] = [];
  away = false;
  refuses: RegExp | undefined;

  restart(): void {
    Object.assign(this, { enabled: false, nat: [], vips: new Map() });
  }

  cli = async (command: string): Promise<string> => {
    if (this.away) throw new Error("connect: no such file");
    const [, , verb, a = "", name = ""] = command.split(" ");
    if (verb === "show") return a === "config" ? this.#config() : this.#servers(command.split(" ")[5] as string);
    this.given.push(command);
    if (this.refuses?.test(command)) return "lb rl: no";
    if (verb === "set-shm") this.region = a;
    else if (verb === "enable") this.enabled = true;
    else if (verb === "nat") this.nat.push(name);
    else if (verb === "set-vip" && !this.vips.has(a)) this.vips.set(a, []);
    else if (verb === "set-servers") this.vips.set(name, command.split(" ").slice(5));
    return "";
  };

  #config(): string {
    const vips = [...this.vips.keys()].map((v, i) => `VIP [${i + 1}] ${v} 10.0.0.1/32 tcp 80 nat max-servers 1024`);
    return [
      `lb rl 0.1.0: ${this.enabled ? "enabled" : "disabled"}, started`,
      `region ${this.region}, instance vpp`,
      ...this.nat.map((i) => `nat interface ${i}`),
      ...vips,
    ].join("\n");
  }

  #servers(vip: string): string {
    return [`${vip} 10.0.0.1/32`, ...(this.vips.get(vip) ?? []).map((s, i) => `  [${i}] id ${i + 1} ${s} port 80 up`)].join("\n");
  }
}

test("what show config says is read as VPP prints it", (t) => {
  const found = readConfig(
    "lb rl 0.1.0: enabled, started\nregion /dev/shm/r, instance vpp\nnat interface host-a (4)\nVIP [1] web 10.0.0.1/32 tcp 80 nat max-servers 1024",
  );
  t.deepEqual(found, { enabled: true, region: "/dev/shm/r", natInterfaces: ["host-a"], vips: new Set(["web"]) });
  t.throws(() => readConfig("unknown input `lb rl show config'"), { instanceOf: VppRefused, message: /lb_rl_plugin\.so loaded/ });
});

test("an empty VPP gets all, in order; then nothing more", async (t) => {
  const vpp = new FakeVpp();
  const keeper = new VppKeeper(vpp.cli, wanted);
  const all = [...wanted.enable, "lb rl nat interface eth1", ...wanted.vips.flatMap((v) => [v.set, ...v.servers])];
  t.deepEqual(await keeper.sync(), { done: all, refused: [] });
  t.deepEqual(await keeper.sync(), { done: [], refused: [] });
});

test("a restarted VPP gets back all; one that lost a VIP gets that", async (t) => {
  const vpp = new FakeVpp();
  const keeper = new VppKeeper(vpp.cli, wanted);
  const { done } = await keeper.sync();
  vpp.restart();
  t.deepEqual((await keeper.sync()).done.slice(1), done.slice(1)); // the region's path outlives it
  vpp.vips.delete("web");
  t.deepEqual((await keeper.sync()).done, [wanted.vips[0]?.set, ...(wanted.vips[0]?.servers ?? [])] as string[]);
});

test("VIPs that are there are made what the configuration says, their servers are left alone, and so are other VIPs", async (t) => {
  const vpp = new FakeVpp();
  Object.assign(vpp, { enabled: true, region: "/dev/shm/r", nat: ["eth1"] });
  vpp.vips.set("web", ["10.2.0.9:80"]).set("other", []);
  const { done, refused } = await new VppKeeper(vpp.cli, wanted).sync();
  t.deepEqual(
    done,
    wanted.vips.map((v) => v.set),
  );
  t.deepEqual(refused, []);
  t.deepEqual(
    [...vpp.vips],
    [
      ["web", ["10.2.0.9:80"]],
      ["other", []],
      ["dns", []],
    ],
  );
});

test("a VIP that is refused keeps nobody else from theirs, and is tried again", async (t) => {
  const vpp = new FakeVpp();
  vpp.refuses = /set-vip web/;
  const keeper = new VppKeeper(vpp.cli, wanted);
  const { refused } = await keeper.sync();
  t.deepEqual(refused, [`vpp refused \`${wanted.vips[0]?.set}\`: lb rl: no`]);
  t.deepEqual([...vpp.vips.keys()], ["dns"]);
  vpp.refuses = undefined;
  await keeper.sync();
  t.deepEqual([...vpp.vips.keys()], ["dns", "web"]);
});

test("a region of another configuration's is not touched", async (t) => {
  const vpp = new FakeVpp();
  vpp.enabled = true;
  const { done, refused } = await new VppKeeper(vpp.cli, wanted).sync();
  t.deepEqual(done, []);
  t.deepEqual(vpp.given, []);
  t.regex(refused[0] ?? "", /VPP's region is \/dev\/shm\/lb_rl_shm, the configuration's \/dev\/shm\/r/);
});

test("the end of VPP's socket is noticed, and its return", async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-keeper-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const socket = path.join(folder, "cli.sock");
  const open = new Set<Socket>();
  const listen = (): Promise<Server> =>
    new Promise((resolve) => {
      const s = createServer((c) => open.add(c.on("error", () => {}))).listen(socket, () => resolve(s));
    });
  let server = await listen();
  const vpp = new FakeVpp();
  const stop = new AbortController();
  const news: string[][] = [];
  let heard = (): void => {};
  const next = (): Promise<void> => new Promise((resolve) => (heard = resolve));
  let told = next();
  const kept = keepVpp(vpp.cli, wanted, {
    socket,
    stop: stop.signal,
    said({ done, away }) {
      news.push(away === undefined ? done : ["away"]);
      heard();
    },
  });
  await told;
  t.is(news[0]?.length, 6);

  told = next();
  vpp.away = true;
  vpp.restart();
  for (const c of open) c.destroy();
  await new Promise((resolve) => server.close(resolve));
  await told;
  t.deepEqual(news[1], ["away"]);

  told = next();
  server = await listen();
  vpp.away = false;
  await told;
  t.is(news[2]?.length, 6);
  stop.abort();
  await kept;
  for (const c of open) c.destroy();
  server.close();
});

test("who stops while VPP answers does not wait for the socket", async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-keeper-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const socket = path.join(folder, "cli.sock");
  let connected = 0;
  const server = createServer((c) => {
    connected++;
    c.on("error", () => {});
  });
  await new Promise<void>((resolve) => void server.listen(socket, () => resolve()));
  t.teardown(() => server.close());
  const vpp = new FakeVpp();
  const stop = new AbortController();
  await keepVpp(vpp.cli, wanted, { socket, stop: stop.signal, said: () => stop.abort() });
  t.is(connected, 0);
});
