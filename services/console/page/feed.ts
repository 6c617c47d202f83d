// SPDX-License-Identifier: Apache-2.0
// The page's side of the server: questions, and the live stream, opened anew whenever it ends or falls silent. The token travels in a
// header, which EventSource cannot send: so the stream is read by hand.
import type { Act, Done, Explained, Live, Me, Past, PolicyNow, Refused } from "../wire.js";

/** Longer without a message, the stream is opened anew; twice as long each time, for a machine may be slow. */
const SILENT_MS = 5000;
const SILENT_MAX_MS = 40_000;
const AGAIN_MS = 1000;

export class Asking {
  token = "";

  me(): Promise<Me> {
    return this.#get("/api/me");
  }
  past(vip: string, span: number): Promise<Past> {
    return this.#get(`/api/past?vip=${encodeURIComponent(vip)}&span=${span}`);
  }
  explain(vip: string): Promise<Explained> {
    return this.#get(`/api/explain?vip=${encodeURIComponent(vip)}`);
  }
  policies(): Promise<PolicyNow[]> {
    return this.#get("/api/policies");
  }
  act(act: Act): Promise<Done> {
    const headers = { ...this.headers(), "content-type": "application/json" };
    return this.#ask("/api/act", { method: "POST", headers, body: JSON.stringify(act) });
  }

  headers(): Record<string, string> {
    return this.token === "" ? {} : { authorization: `Bearer ${this.token}` };
  }

  #get<T>(path: string): Promise<T> {
    return this.#ask(path, { headers: this.headers() });
  }

  async #ask<T>(path: string, init: RequestInit): Promise<T> {
    const response = await fetch(path, { ...init, cache: "no-store" });
    const body = (await response.json()) as T | Refused;
    if (!response.ok) throw new Error((body as Refused).error ?? response.statusText);
    return body as T;
  }
}

export interface Heard {
  message(m: Live): void;
  /** Empty: it is heard. */
  state(why: string): void;
}

export class Feed {
  #vip = "";
  #abort: AbortController | null = null;
  #again = 0;
  #watch = 0;
  #silentMs = SILENT_MS;

  constructor(
    private readonly asking: Asking,
    private readonly heard: Heard,
  ) {}

  /** Shows this VIP's details from now on. */
  watch(vip: string): void {
    this.#vip = vip;
    this.#restart(0);
  }

  #restart(wait: number): void {
    const old = this.#abort;
    this.#abort = null;
    old?.abort();
    clearTimeout(this.#again);
    clearTimeout(this.#watch);
    this.#again = window.setTimeout(() => void this.#read(), wait);
  }

  /** Whatever ends it, silence too, opens it anew. */
  async #read(): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    const alive = (): void => {
      clearTimeout(this.#watch);
      this.#watch = window.setTimeout(() => abort.abort(new Error("the console says nothing")), this.#silentMs);
    };
    let why = "the console ended the stream";
    try {
      alive();
      const response = await fetch(`/api/live?vip=${encodeURIComponent(this.#vip)}`, {
        headers: this.asking.headers(),
        signal: abort.signal,
        cache: "no-store",
      });
      if (!response.ok || !response.body) throw new Error(((await response.json()) as Refused).error);
      await this.#lines(response.body, alive);
    } catch (e) {
      why = e instanceof TypeError ? "the console does not answer" : (e as Error).message;
    }
    if (this.#abort !== abort) return;
    this.#silentMs = Math.min(SILENT_MAX_MS, 2 * this.#silentMs);
    this.heard.state(why);
    this.#restart(AGAIN_MS);
  }

  async #lines(body: ReadableStream<Uint8Array>, alive: () => void): Promise<void> {
    const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      const messages = (rest + value).split("\n\n");
      rest = messages.pop() ?? "";
      for (const m of messages) {
        if (!m.startsWith("data: ")) continue;
        this.#silentMs = SILENT_MS;
        this.heard.state("");
        this.heard.message(JSON.parse(m.slice(6)) as Live);
      }
    }
  }
}
