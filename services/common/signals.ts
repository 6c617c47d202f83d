// SPDX-License-Identifier: Apache-2.0
// The signals of a process that serves. None of them ends it silently, and none opens Node's debugger.

/** Signals that end a process by default, or start Node's debugger (SIGUSR1), and have no use here: they are told and ignored. */
const UNUSED = ["SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGIO", "SIGPWR", "SIGSTKFLT"] as const;
const STOP = ["SIGTERM", "SIGINT", "SIGQUIT"] as const;

export interface SignalHandlers {
  stop(signal: string): void;
  reload(): void;
  unused(signal: string): void;
}

/** From this call on; call it first, for before it the defaults hold. */
export function catchUnused(unused: (signal: string) => void): void {
  for (const s of UNUSED) process.on(s, () => unused(s));
}

/**
 * From this call on. Until `serve` is called (the process still starts), signals to stop end it as by default, the rest is
 * ignored: a reload would read the configuration that has just been read.
 */
export class Signals {
  private handlers: SignalHandlers | undefined;

  constructor() {
    catchUnused((s) => this.handlers?.unused(s));
    process.on("SIGHUP", () => this.handlers?.reload());
  }

  serve(handlers: SignalHandlers): void {
    this.handlers = handlers;
    for (const s of STOP) process.on(s, () => handlers.stop(s));
  }
}
