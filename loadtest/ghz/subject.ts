// SPDX-License-Identifier: Apache-2.0
// What profiles ask about: a running marllb's first VIP and server, and a frame of a data plane that is started for it.
import { connect } from "node:net";
import type { ServiceError } from "@grpc/grpc-js";
import { parseHostPort } from "../../services/common/config/address.js";
import type { Config } from "../../services/common/config/load.js";
import { ask } from "../../services/common/grpc/ask.js";
import { clientCredentials, clientOptions, dialTarget } from "../../services/common/grpc/channel.js";
import { v1 } from "../../services/common/grpc/protos.js";
import { attachRegion } from "../../services/common/native/region.js";
import { frameMessage } from "../../testbed/messages.js";
import type { ServiceFolder } from "../../testbed/service.js";
import { Stack } from "../../testbed/stack.js";
import { eventually } from "../../testbed/wait.js";
import type { Subject } from "./profiles.js";
import type { Place } from "./run.js";

export class Unreachable extends Error {}

export const SERVICES: readonly ServiceFolder[] = ["shm-agent", "inference", "health", "failover"];

/** Where each service of a configuration is; throws Unreachable, with one sentence, where one does not answer. */
export async function placesOf(config: Config): Promise<Map<ServiceFolder, Place>> {
  const out = new Map<ServiceFolder, Place>();
  for (const folder of SERVICES) {
    const service = folder === "shm-agent" ? "shm_agent" : folder;
    const address = dialTarget(config, service);
    await answers(folder, address);
    out.set(folder, { grpc: address, metrics: config.services[service].metrics, tls: config.tls });
  }
  return out;
}

function answers(service: string, address: string): Promise<void> {
  const hp = parseHostPort(address);
  if (!hp) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hp.host, port: hp.port, timeout: 5000 });
    const fail = (why: string): void => {
      socket.destroy();
      reject(new Unreachable(`nothing answers at ${address} (${service}): ${why}; is it running?`));
    };
    socket.on("connect", () => {
      socket.destroy();
      resolve();
    });
    socket.on("timeout", () => fail("no answer within 5 s")).on("error", (e: NodeJS.ErrnoException) => fail(e.code ?? e.message));
  });
}

const ASK_MS = 5000;

/** The answer to a call, or one sentence. */
const told = <T>(method: string, answer: Promise<T>): Promise<T> =>
  answer.catch((e: ServiceError) => Promise.reject(new Unreachable(`${method}: ${e.details}`)));

export async function subjectOf(config: Config, places: ReadonlyMap<ServiceFolder, Place>): Promise<Subject> {
  const credentials = clientCredentials(config);
  const agent = new v1.ShmAgent((places.get("shm-agent") as Place).grpc, credentials, clientOptions);
  const failover = new v1.Failover((places.get("failover") as Place).grpc, credentials, clientOptions);
  try {
    const { instance, vips } = await told("GetStatus", ask(agent, "GetStatus", {}, ASK_MS));
    const [vip] = vips;
    if (!vip) throw new Unreachable(`${instance}: the agent knows no VIP: is a data plane running?`);
    const { vip_id, name } = vip;
    const { members } = await told("GetPool", ask(failover, "GetPool", { vip_id, name }, ASK_MS));
    const server = members[0]?.server?.address;
    if (server === undefined) throw new Unreachable(`VIP ${name}: no servers`);
    return { instance, vip: { vip_id, name }, server, frame: await ownFrame() };
  } finally {
    agent.close();
    failover.close();
  }
}

/** A frame of two servers that nobody reaches, as JSON. */
async function ownFrame(): Promise<Record<string, unknown>> {
  const stack = await Stack.dataPlane({ servers: [{ address: "127.0.0.1:9" }, { address: "127.0.0.2:9" }] });
  const region = await eventually("a region", async () => attachRegion(stack.region, () => {}));
  try {
    const [raw] = await eventually("a frame", async () => region.frames());
    if (!raw) throw new Error("the data plane published no VIP");
    const frame = frameMessage(raw);
    const base64 = (bytes: unknown): string => (bytes as Buffer).toString("base64");
    return { ...frame, trace: undefined, hdr: base64(frame.hdr), records: base64(frame.records) };
  } finally {
    region.close();
    await stack.stop();
  }
}
