// SPDX-License-Identifier: Apache-2.0
// systemd, where it started us: it hears when we serve, what we wait for, that the loop turns, and that we stop (sd_notify, watchdog).
import { notify } from "./native/notify.js";

type Environment = Record<string, string | undefined>;

export class ServiceManager {
  readonly #socket: string;
  readonly #send: (socket: string, text: string) => boolean;
  #timer: NodeJS.Timeout | undefined;
  readonly #watchdogMs: number;

  /** Takes what concerns it out of the environment: what we start is not to speak for us. */
  constructor(env: Environment, pid = process.pid, send = notify) {
    this.#socket = env.NOTIFY_SOCKET ?? "";
    this.#send = send;
    const ours = env.WATCHDOG_PID === undefined || Number(env.WATCHDOG_PID) === pid;
    this.#watchdogMs = ours ? Number(env.WATCHDOG_USEC ?? 0) / 1000 : 0;
    for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete env[name];
  }

  /** It serves. From now on the loop's turns feed the watchdog: one that stands still is started anew. */
  serving(): void {
    this.#tell("READY=1");
    if (this.#socket === "" || !(this.#watchdogMs > 0)) return;
    this.#timer = setInterval(() => this.#tell("WATCHDOG=1"), this.#watchdogMs / 3).unref();
  }

  /** Why it cannot do its work now, as `systemctl status` shows it; null: it can. */
  status(why: string | null): void {
    this.#tell(`STATUS=${(why ?? "ready").replaceAll("\n", " ")}`);
  }

  stopping(): void {
    clearInterval(this.#timer);
    this.#tell("STOPPING=1");
  }

  #tell(text: string): void {
    if (this.#socket === "") return;
    try {
      this.#send(this.#socket, text);
    } catch {
      // A name that is no socket's: nobody listens there.
    }
  }
}
