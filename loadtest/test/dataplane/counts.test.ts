// SPDX-License-Identifier: Apache-2.0
// Two running data planes that count each other's flows: what one holds moves the other's choice.
import path from "node:path";
import test from "ava";
import { Counts } from "../../../services/common/native/counts.js";
import { addressOf, ask, closeOrigin, Dp, dial, named, origin, type Peer, until } from "./bed.js";

const KEY = Buffer.from("0123456789abcdef0123456789abcdef");

function share(dp: Dp, instance: string): Counts {
  return new Counts({ instance, region: path.join(dp.folder, "region"), listen: "127.0.0.1:0", periodMs: 10, keys: [KEY] });
}

/** A connection that stays, and the name of its server. */
async function hold(port: number): Promise<{ peer: Peer; server: string }> {
  const peer = await dial(port);
  peer.socket.write("?\n");
  await until("its server's name", () => peer.text.length === 2);
  return { peer, server: peer.text.trim() };
}

test("flows of another load balancer move the choice, and count for nothing once it is silent", async (t) => {
  const servers = [await origin(named("0")), await origin(named("1"))];
  const vip = "mode sed load-balancers 2 eject off guard off";
  const [a, b] = [await Dp.start({ servers, vip, threads: 2 }), await Dp.start({ servers, vip, threads: 1 })];
  const [ofA, ofB] = [share(a, "a"), share(b, "b")];
  const held: Peer[] = [];
  try {
    ofA.members([`127.0.0.1:${ofB.port}`]);
    ofB.members([`127.0.0.1:${ofA.port}`]);
    await b.control(`drain ${addressOf(servers[0] as (typeof servers)[number])}`);
    for (let i = 0; i < 6; i++) {
      const { peer, server } = await hold(b.port);
      t.is(server, "1");
      held.push(peer);
    }
    const seen = () => ofA.figures().peers.find((p) => p.instance === "b");
    await until("a hears b", () => seen()?.alive === true && seen()?.shared === 2);
    // Heard is not yet taken: the data plane looks some milliseconds later.
    for (let row = 0; row < 10; ) row = (await ask(a.port)) === "0" ? row + 1 : 0;
    for (let i = 0; i < 6; i++) {
      const { peer, server } = await hold(a.port);
      t.is(server, "0", `flow ${i} of 6 beside b's 6`);
      held.push(peer);
    }
    ofB.close();
    await until("b is silent", () => seen()?.alive === false);
    await until("a takes its own flows for all there are", async () => (await ask(a.port)) === "1");
    const f = ofA.figures();
    t.true(f.attached, f.why);
    t.true(f.sent > 0 && f.sentBytes > 0);
    t.is(f.verdicts.mac, 0);
  } finally {
    for (const p of held) p.socket.destroy();
    ofA.close();
    ofB.close();
    await a.stop();
    await b.stop();
    for (const s of servers) await closeOrigin(s);
  }
});
