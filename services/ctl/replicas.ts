// SPDX-License-Identifier: Apache-2.0
// All replicas of one service, each with a client of its own: a question goes to any of them, or to every one.
import { type ChannelCredentials, type Client, type ClientOptions, type ServiceError, status } from "@grpc/grpc-js";
import { formatHostPort } from "../common/config/address.js";
import type { Config } from "../common/config/load.js";
import { type AnswerOf, ask, type RequestOf } from "../common/grpc/ask.js";
import { clientCredentials, clientOptions } from "../common/grpc/channel.js";
import { namedOptions, parseTarget, resolveHost } from "../common/grpc/replicas.js";
import { tlsProblem } from "./speaks-tls.js";
import { LaunchError } from "./up/error.js";

interface Place {
  address: string;
  options: ClientOptions;
}

/** Each address behind what a configuration or context names: a DNS name with several addresses is several replicas. */
async function placesOf(target: string): Promise<Place[]> {
  const named = parseTarget(target);
  if ("addresses" in named) return named.addresses.map((address) => ({ address, options: clientOptions }));
  try {
    const found = await resolveHost(named.host, named.server);
    const options = namedOptions(named.host, named.port);
    return found.map((address) => ({ address: formatHostPort(address, named.port), options }));
  } catch (e) {
    throw new LaunchError(`${target}: the name cannot be resolved: ${(e as Error).message}`);
  }
}

/** One replica that was asked, and its answer or why there is none. */
export type Asked<T> = { address: string; answer: T } | { address: string; error: Error };

/** What those say that answered; where none did, an error with what each says instead. */
export function answersOf<T>(asked: readonly Asked<T>[]): [T, ...T[]] {
  const [first, ...more] = asked.flatMap((a) => ("answer" in a ? [a.answer] : []));
  if (first !== undefined) return [first, ...more];
  throw new LaunchError([...new Set(asked.map((a) => ("error" in a ? a.error.message : "")))].join("\n"));
}

export interface Replica<C> {
  address: string;
  client: C;
}

type ClientClass<C> = new (address: string, credentials: ChannelCredentials, options: ClientOptions) => C;

/** The call was on its way: grpc-js's own words, for no answer came. */
const wasDropped = (e: ServiceError): boolean =>
  e.code === status.UNAVAILABLE && /^(?:\d+ \w+: )?(?:Connection dropped|(?:read|write) E[A-Z]+)/.test(e.details ?? "");

export class Replicas<C extends Client> {
  #made: Promise<Replica<C>[]> | undefined;

  /** `targets` as a configuration or a context names them; names are resolved at the first question. */
  constructor(
    readonly service: string,
    private readonly clientClass: () => ClientClass<C>,
    private readonly targets: readonly string[],
    private readonly secured: Pick<Config, "tls">,
    readonly timeoutMs: number,
  ) {}

  all(): Promise<Replica<C>[]> {
    return (this.#made ??= this.#dial());
  }

  async #dial(): Promise<Replica<C>[]> {
    if (this.targets.length === 0) throw new LaunchError(`no address of ${this.service} is known; add it to the context`, 2);
    const places = (await Promise.all(this.targets.map(placesOf))).flat();
    const credentials = clientCredentials(this.secured);
    const Made = this.clientClass();
    return places.map(({ address, options }) => ({ address, client: new Made(address, credentials, options) }));
  }

  /**
   * Of the first replica that answers: one that cannot be reached, is not ready or hangs is passed over. What is asked twice so may be
   * done twice: orders say what shall be, not what to change.
   */
  async any<K extends keyof C>(method: K, request: RequestOf<C[K]>, timeoutMs = this.timeoutMs): Promise<AnswerOf<C, K>> {
    const problems: Error[] = [];
    const all = await this.all();
    let hung = false;
    for (const [i, r] of all.entries()) {
      // One that hangs leaves time for the next.
      const ms = i < all.length - 1 ? timeoutMs / 2 : timeoutMs;
      try {
        return await ask(r.client, method, request, ms);
      } catch (e) {
        const { code } = e as ServiceError;
        if (code !== status.UNAVAILABLE && code !== status.DEADLINE_EXCEEDED) throw await this.failure(r, e as ServiceError, ms);
        hung ||= code === status.DEADLINE_EXCEEDED || wasDropped(e as ServiceError);
        problems.push(await this.failure(r, e as ServiceError, ms));
      }
    }
    const doubt = hung ? ["it is not known whether it was taken"] : [];
    throw new LaunchError([...problems.map((p) => p.message), ...doubt].join("\n"));
  }

  /** Of every replica, at once. */
  async each<K extends keyof C>(
    method: K,
    request: RequestOf<C[K]>,
    timeoutMs = this.timeoutMs,
  ): Promise<Asked<AnswerOf<C, K>>[]> {
    return Promise.all(
      (await this.all()).map(async (r) => {
        try {
          return { address: r.address, answer: await ask(r.client, method, request, timeoutMs) };
        } catch (e) {
          return { address: r.address, error: await this.failure(r, e as ServiceError, timeoutMs) };
        }
      }),
    );
  }

  /** Of one of them; its failure says which. */
  async one<K extends keyof C>(
    r: Replica<C>,
    method: K,
    request: RequestOf<C[K]>,
    timeoutMs = this.timeoutMs,
  ): Promise<AnswerOf<C, K>> {
    try {
      return await ask(r.client, method, request, timeoutMs);
    } catch (e) {
      throw await this.failure(r, e as ServiceError, timeoutMs);
    }
  }

  /** One line that says who was asked and what came back. */
  async failure(r: Replica<C>, e: ServiceError, timeoutMs = this.timeoutMs): Promise<Error> {
    if (e.details === undefined) return e;
    const who = `${this.service} at ${r.address}`;
    if (e.code === status.DEADLINE_EXCEEDED) return new LaunchError(`${who}: no answer within ${timeoutMs / 1000} s`);
    if (e.code !== status.UNAVAILABLE) return new LaunchError(e.details || e.message);
    if (wasDropped(e)) {
      const refused = await tlsProblem(r.address, this.secured.tls);
      const what = refused === null ? "the connection was lost before its answer" : `no connection (${refused})`;
      return new LaunchError(`${who}: ${what}`);
    }
    // grpc-js's own words where there is no connection; a service may speak of another's refusal in its answer.
    const [, why] =
      /^(?:\w+: )?(?:No connection established\. Last error: )+(.*?)(?:\.? Resolution note:.*)?$/s.exec(e.details) ?? [];
    if (why === undefined) return new LaunchError(`${who}: ${e.details}`);
    if (/connect ECONNREFUSED/.test(why))
      return new LaunchError(`nothing answers at ${r.address} (${this.service}); is it running?`);
    const problem = await tlsProblem(r.address, this.secured.tls);
    return new LaunchError(`${who}: no connection (${problem ?? (why.trim() || "it was closed without a word")})`);
  }

  async close(): Promise<void> {
    for (const { client } of (await this.#made?.catch(() => [])) ?? []) client.close();
  }
}
