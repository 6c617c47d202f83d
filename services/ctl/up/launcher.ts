// SPDX-License-Identifier: Apache-2.0
// Starts a whole instance, keeps it running, and takes it down in the right order: load first, then the data plane (which drains), then
// the services, then the demo's servers.
import type { Config } from "../../common/config/load.js";
import { SERVICES } from "../../common/config/schema.js";
import type { Dataplane } from "../dataplanes/dataplane.js";
import { findDataplane } from "../dataplanes/index.js";
import { targetOf } from "../target.js";
import { Child, type ChildSpec } from "./child.js";
import { LaunchError } from "./error.js";
import { Instance } from "./instance.js";
import { choosePorts, effective, listeners, type Plan } from "./launch-plan.js";
import type { UpOptions } from "./options.js";
import { requireFree, whyTaken } from "./ports.js";
import { demoLoadSpec, demoServersSpec, serviceSpec } from "./processes.js";

export interface Events {
  /** All was found right; from here on something runs. */
  onStart(it: Launcher): void;
  /** A part serves for the first time; others may not yet. */
  onUp(name: string, of: Pick<Launcher, "plan" | "instance">): void;
  /** A process died and will be started again. */
  onDeath(name: string, why: string, logFile: string): void;
  onRestart(name: string): void;
  /** A line of the demo's load generator: one report a second. */
  onLoad(report: Record<string, unknown>): void;
}

/** Of the names of what belongs to load balancer number `i`, from 0. */
const suffixOf = (i: number): string => (i === 0 ? "" : `-${i + 1}`);

export class Launcher {
  readonly children: Child[] = [];
  deaths = 0;
  #stopped = false;

  private constructor(
    /** With the addresses that VIPs and servers have in the data plane's network. */
    readonly plan: Plan,
    readonly instance: Instance,
    readonly dataplanes: readonly Dataplane[],
    private readonly events: Events,
    private readonly readyMs: number,
  ) {}

  /**
   * Checks everything first, starts everything, and undoes all of it when one part does not come up, or when `unwanted` resolves
   * meanwhile: null.
   */
  static async start(
    o: UpOptions,
    environment: Record<string, string | undefined>,
    events: Events,
    unwanted: Promise<void>,
  ): Promise<Launcher | null> {
    const plan = effective(o, environment);
    const kind = findDataplane(plan.config.dataplane.kind);
    if (kind.needsRoot !== null && process.getuid?.() !== 0)
      throw new LaunchError(`--dataplane ${kind.kind} needs root: ${kind.needsRoot}`);
    await choosePorts(plan, whyTaken);
    const instance = Instance.claim(plan.config.instance);
    let it: Launcher | undefined;
    let wanted = true;
    void unwanted.then(() => {
      wanted = false;
    });
    try {
      await requireFree(listeners(plan, o));
      if (plan.config.failover.store.kind === "file" && o.config === undefined) {
        plan.config.failover.store = { kind: "file", path: `${instance.folder}/failover` };
      }
      if (o.config === undefined) {
        plan.config.inference.decisions.folder = `${instance.folder}/decisions`;
        plan.config.inference.experiments = `${instance.folder}/experiments`;
      }
      const { console } = plan.config;
      if (console.token_file === "") console.token_file = instance.makeToken();
      if (o.loadBalancers > 1) {
        const { addLoadBalancers } = await import("./load-balancers.js");
        await addLoadBalancers(plan, o.loadBalancers, instance.folder);
      }
      const demo = plan.demo !== undefined;
      const dataplanes = [plan.config, ...plan.others].map((c, i) =>
        kind.create({ config: c, instance, suffix: suffixOf(i), demo }),
      );
      const [config, ...others] = dataplanes.map((d, i) => (d.placed ?? [plan.config, ...plan.others][i]) as Plan["config"]);
      const notes = [...plan.notes, ...dataplanes.flatMap((d) => d.notes ?? [])];
      it = new Launcher(
        { ...plan, config: config as Plan["config"], others, notes },
        instance,
        dataplanes,
        events,
        o.ready * 1000,
      );
      events.onStart(it);
      for (const d of dataplanes) await d.prepare();
      // Whoever does not want it any more does not wait for the rest of it.
      const given = await Promise.race([it.#up().then(() => false), unwanted.then(() => true)]);
      if (!given) return it;
      await it.stop();
      return null;
    } catch (e) {
      if (it) await it.stop(it.children.length > 0);
      else instance.release(false);
      // Ctrl-C goes to the commands as well that something was being made by: they failed for it.
      if (!wanted) return null;
      if (it && it.children.length > 0 && e instanceof LaunchError) e.message += `\nthe logs are kept in ${instance.logs}`;
      throw instance.explain(e);
    }
  }

  async #up(): Promise<void> {
    const wrap = this.dataplanes[0]?.wrapDemo ?? ((_: string, spec: ChildSpec) => spec);
    const servers = demoServersSpec(this.plan);
    const load = demoLoadSpec(this.plan);
    // Nothing of this depends on the order (every part waits for its peers); together it is up soonest.
    const file = this.instance.writeConfig(this.plan.config);
    this.instance.writeTarget(targetOf(this.plan.config as Config));
    const services = SERVICES.map((s) => serviceSpec(s, file));
    for (const [i, c] of this.plan.others.entries()) {
      const suffix = suffixOf(i + 1);
      services.push(serviceSpec("shm_agent", this.instance.writeConfig(c, suffix), suffix));
    }
    const dataplane = async (d: Dataplane): Promise<void> => {
      for (const spec of d.processes()) if (!this.#stopped) await this.#start(spec);
    };
    const first = [...(servers ? [wrap("servers", servers)] : []), ...services].map((s) => this.#start(s));
    const results = await Promise.allSettled([...this.dataplanes.map(dataplane), ...first]);
    for (const r of results) if (r.status === "rejected") throw r.reason;
    if (load && !this.#stopped) await this.#start(wrap("load", load));
  }

  async #start(spec: ChildSpec): Promise<void> {
    const child = new Child({ readyMs: this.readyMs, ...spec }, this.instance.logFile(spec.name));
    this.children.push(child);
    try {
      await child.start();
    } catch (e) {
      await child.stop(); // its last words are in the log then
      throw new LaunchError(this.#stopped ? "stopped" : `${(e as Error).message}\n${this.instance.tail(spec.name)}`);
    }
    this.events.onUp(spec.name, this);
    child.on("died", (why) => {
      this.deaths++;
      this.events.onDeath(spec.name, why, child.logFile);
    });
    child.on("ready", () => this.events.onRestart(spec.name));
    if (spec.name === "demo-load") child.on("line", (line) => this.#onLoadLine(line));
  }

  #onLoadLine(line: string): void {
    try {
      this.events.onLoad(JSON.parse(line) as Record<string, unknown>);
    } catch {
      // Not a report: it is in the log.
    }
  }

  /** Ends every process and removes every file; the folder with the logs stays where something died. */
  async stop(keepLogs = this.deaths > 0): Promise<void> {
    this.#stopped = true;
    const of = (names: string[]): Child[] => this.children.filter((c) => names.includes(c.spec.name));
    const processes = (d: Dataplane): Child[] => of(d.processes().map((s) => s.name));
    await Promise.all(of(["demo-load"]).map((c) => c.stop()));
    await Promise.all(
      this.dataplanes.map(async (d) => {
        for (const c of processes(d).reverse()) await c.stop();
      }),
    );
    await Promise.all(this.children.filter((c) => c.state !== "stopped").map((c) => c.stop()));
    for (const d of this.dataplanes) await d.cleanUp(processes(d).some((c) => c.served));
    this.instance.release(keepLogs);
  }

  /** For the last moment before an exit that nobody waits for. */
  killAll(): void {
    for (const c of this.children) c.kill();
  }
}
