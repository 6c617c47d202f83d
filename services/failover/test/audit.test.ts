// SPDX-License-Identifier: Apache-2.0
// Who ordered it: over mutual TLS the name of the certificate, in what marllbctl shows and in the log; real processes, real certificates.
import { writeFileSync } from "node:fs";
import path from "node:path";
import test from "ava";
import { Authority, type Certificate, opensslMissing } from "../../../testbed/certificates.js";
import { marllbctl, PATIENCE } from "../../../testbed/ctl.js";
import { needs } from "../../../testbed/needs.js";
import { scratch } from "../../../testbed/service.js";
import { Stack } from "../../../testbed/stack.js";
import { eventually } from "../../../testbed/wait.js";
import { type Caller, callerName } from "../../common/grpc/errors.js";

const A = "127.0.0.1:9";

needs(!opensslMissing, opensslMissing ?? "")(
  "an order over mutual TLS is kept under the name of the caller's certificate",
  async (t) => {
    const s = scratch();
    t.teardown(s.remove);
    const authority = new Authority(s.dir);
    const own = authority.sign("service", "/CN=service", "IP:127.0.0.1");
    const stack = await Stack.whole({
      servers: [{ address: A }, { address: "127.0.0.1:10" }],
      config: { tls: { ...own, ca: authority.ca }, log: { level: "info" }, health: { kind: "none" } },
    });
    t.teardown(() => stack.stop());
    /** marllbctl of somebody who has this certificate. */
    const as = ({ cert, key }: Certificate) => {
      const file = path.join(s.dir, "contexts.json");
      const context = { agents: [stack.at("shm-agent")], failover: [stack.at("failover")], tls: { cert, key, ca: authority.ca } };
      writeFileSync(file, JSON.stringify({ contexts: { here: context } }));
      return (...args: string[]) => marllbctl([...args, "--context", "here", ...PATIENCE], { MARLLB_CONTEXTS: file });
    };
    const alice = as(authority.sign("alice", "/O=site/CN=alice", "DNS:alice.example"));
    await eventually("the pool is known", async () => ((await alice("servers")).code === 0 ? true : null));
    const drained = await alice("drain", A, "--reason", "disk");
    t.is(drained.code, 0, drained.errors);
    const workload = as(authority.sign("robot", "/O=site", "URI:spiffe://site/robot"));
    t.is((await workload("undrain", A)).code, 0);

    const { out } = await workload("history", "--json");
    const { changes } = JSON.parse(out) as { changes: { by: string; reason: string; what: string[] }[] };
    t.deepEqual(
      changes.map((c) => [c.by, c.what.join(), c.reason]),
      [
        ["URI:spiffe://site/robot", `undrain ${A}`, ""],
        ["alice", `drain ${A}`, "disk"],
      ],
    );
    t.regex((await workload("history")).out, /alice +drain 127/);
    const logged = (stack.parts.get("failover")?.stderr ?? "")
      .split("\n")
      .filter((line) => line.includes('"operation"'))
      .map((line) => JSON.parse(line) as { by: string; what: string[]; pool: string });
    t.like(logged[0], { by: "alice", what: [`drain ${A}`], pool: "web", reason: "disk" });
    t.is(logged[1]?.by, "URI:spiffe://site/robot");
  },
);

test("a certificate's name reaches no terminal with control characters, nor at any length; without one the address is the name", (t) => {
  const caller = (sslPeerCertificate: object | undefined): Caller =>
    ({ cancelled: false, getPeer: () => "10.0.0.9:1", getAuthContext: () => ({ sslPeerCertificate }) }) as unknown as Caller;
  t.is(callerName(caller({ subject: { CN: "a\u001b[2J\u202eb\n" } })), "a?[2J?b?");
  t.is(callerName(caller({ subject: { CN: ["a", "b"] } })), "a, b");
  t.is(callerName(caller({ subject: { CN: "x".repeat(9999) } })).length, 200);
  t.is(callerName(caller({ subject: {}, subjectaltname: "DNS:op.example, DNS:b" })), "DNS:op.example");
  t.is(callerName(caller({ subject: {} })), "10.0.0.9:1");
  t.is(callerName(caller(undefined)), "10.0.0.9:1");
});
