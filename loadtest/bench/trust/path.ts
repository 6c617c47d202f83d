// SPDX-License-Identifier: Apache-2.0
// A learned policy on the whole running path: demo servers, marllb-dp, the services, even traffic, and a folder of models. A model of the same
// name takes the policy's place while it runs, as an operator would bring it.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import * as grpc from "@grpc/grpc-js";
import type { GetTrustResponse__Output as Trust } from "../../../gen/marllb/v1/GetTrustResponse.js";
import type { GuardrailStep__Output as Step } from "../../../gen/marllb/v1/GuardrailStep.js";
import { ask } from "../../../services/common/grpc/ask.js";
import { v1 } from "../../../services/common/grpc/protos.js";
import { observationShape } from "../../../services/common/native/observe.js";
import { Stack } from "../../../testbed/stack.js";
import { goodMeta, type TinyOptions, tinyOnnx } from "../../../testbed/tiny-onnx.js";
import { eventually } from "../../../testbed/wait.js";
import { startServers, stopServers } from "../../demo/pool.js";

/** Half of the servers have a quarter of the others' cores, which only a policy that measures knows. */
const CORES = [2, 2, 8, 8];
const JOB_MS = 400;
/** Cheap enough beside whatever else this machine does; a mean stay needs ten flows a second. */
const EVERY_MS = 50;
const ASK_MS = 10_000;
/** Of traffic until there is a level. */
const LEARN_S = 30;
const LEARNED_MS = 240_000;
const NAME = "marl";

/** As Kalman has it. */
export const GOOD = { loud: 0, bias: 0 };
/** The better a server is by Kalman's estimate, the less it gets. */
export const INVERTED = { loud: -8, bias: 0 };

/** Even arrivals, each on a connection of its own: what arrives does not vary, so what is seen is the policy's or the servers'. */
class EvenTraffic {
  answered = 0;
  failed = 0;
  readonly #timer: NodeJS.Timeout;
  readonly #began = performance.now();
  #sent = 0;

  constructor(private readonly vip: string) {
    this.#timer = setInterval(() => this.#send(), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** What a late timer left is sent with it. */
  #send(): void {
    for (const due = (performance.now() - this.#began) / EVERY_MS; this.#sent < due; this.#sent++) {
      const request = get(`http://${this.vip}/?ms=${JOB_MS}`, { agent: false }, (answer) => {
        answer.resume();
        if (answer.statusCode === 200) answer.on("end", () => this.answered++);
        else this.failed++;
      });
      request.on("error", () => this.failed++);
    }
  }
}

export class TrustPath {
  readonly #client: InstanceType<typeof v1.Inference>;

  private constructor(
    readonly stack: Stack,
    readonly traffic: EvenTraffic,
    private readonly servers: Awaited<ReturnType<typeof startServers>>,
    private readonly models: string,
  ) {
    this.#client = new v1.Inference(stack.at("inference"), grpc.credentials.createInsecure());
  }

  /** With the good model, and traffic from now on. */
  static async start(): Promise<TrustPath> {
    const models = mkdtempSync(path.join(tmpdir(), "marllb-models-"));
    put(models, GOOD);
    const servers = await startServers(CORES, JOB_MS);
    const kept = { decisions: { folder: path.join(models, "decisions") }, experiments: path.join(models, "experiments") };
    try {
      const stack = await Stack.whole({
        servers: servers.map((s) => ({ address: s.address })),
        policy: NAME,
        // Servers and clients share one process: where it waits for the machine no server is down.
        vip: { health: { kind: "none" } },
        config: { inference: { models, guardrail_share: 0, guardrail_learn_s: LEARN_S, ...kept } },
      });
      return new TrustPath(stack, new EvenTraffic(stack.vip), servers, models);
    } catch (e) {
      await stopServers(servers);
      rmSync(models, { recursive: true, force: true });
      throw e;
    }
  }

  trust(): Promise<Trust> {
    return ask(this.#client, "GetTrust", { vip: "web" }, ASK_MS);
  }

  async steps(): Promise<Step[]> {
    return (await this.trust()).guardrail?.steps ?? [];
  }

  /** The first step of one of these kinds since then, when there is one. */
  step(kinds: readonly string[], sinceUnixMs = 0): Promise<Step> {
    return eventually(
      `a step of the guardrail: ${kinds.join(" or ")}`,
      async () => (await this.steps().catch(() => [])).find((s) => kinds.includes(s.step) && Number(s.at_unix_ms) >= sinceUnixMs),
      LEARNED_MS,
    );
  }

  learned(): Promise<true> {
    return eventually(
      "the guardrail knows what is usual",
      async () => (await this.trust().catch(() => null))?.guardrail?.state === "watching",
      LEARNED_MS,
    ).then(() => true);
  }

  /** Answers when it decides, in Unix ms. */
  async replace(model: Pick<TinyOptions, "loud" | "bias">): Promise<number> {
    const hash = async (): Promise<string | undefined> => {
      const { models } = await ask(this.#client, "ListModels", {}, ASK_MS);
      return models.find((m) => m.name === NAME)?.hash;
    };
    const before = await hash();
    put(this.models, model);
    await eventually(
      "the new model decides",
      async () => {
        const now = await hash().catch(() => undefined);
        return now !== undefined && now !== before;
      },
      LEARNED_MS,
    );
    return Date.now();
  }

  /** All servers run at this part of their speed. */
  async slowAll(factor: number): Promise<void> {
    for (const s of this.servers) await fetch(`http://${s.address}/-/speed?x=${factor}&s=3600`);
  }

  resume(reason: string): Promise<{ resumed: boolean }> {
    return ask(this.#client, "ResumePolicy", { vip: "web", reason }, ASK_MS);
  }

  async stop(): Promise<void> {
    this.traffic.stop();
    this.#client.close();
    await this.stack.stop();
    await stopServers(this.servers);
    rmSync(this.models, { recursive: true, force: true });
  }
}

/** Whole at every moment. */
function put(folder: string, model: Pick<TinyOptions, "loud" | "bias">): void {
  const shape = { serverFeatures: observationShape.server.length, poolFeatures: observationShape.pool.length, stateSize: 2 };
  const meta = { ...goodMeta, observation_schema: String(observationShape.schema) };
  const file = path.join(folder, `${NAME}.onnx`);
  writeFileSync(`${file}.next`, tinyOnnx({ ...shape, meta, ...model }));
  renameSync(`${file}.next`, file);
}
