// SPDX-License-Identifier: Apache-2.0
// Who may do what. A token, or over TLS a client certificate, gives a role. Nothing is kept in a cookie: another page in the same browser
// cannot act (CSRF). A name in Host that is none of ours is refused: it could be one that was made to point here (DNS rebinding).
import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import type { TLSSocket } from "node:tls";
import { type Config, ConfigError } from "../common/config/load.js";
import { END_MS } from "../common/histogram.js";
import { LADDER_STEPS, ladderWord } from "../common/vocabulary.js";
import type { Me } from "./wire.js";

const MIN_TOKEN = 16;

export class Access {
  #token: Buffer | null;
  readonly #names: ReadonlySet<string>;

  /** Throws a ConfigError where the token's file is of no use. */
  constructor(private readonly config: Config) {
    this.#token = readToken(config);
    this.#names = new Set(["localhost", hostnameOf(config.services.console.address ?? "")].filter(Boolean));
  }

  /** The file may hold another one now. */
  reload(config: Config): void {
    this.#token = readToken(config);
  }

  /** An address needs no name server to be believed. */
  hostAllowed(host: string | undefined): boolean {
    const name = hostnameOf(host ?? "");
    return isIP(name.replace(/^\[|\]$/g, "")) !== 0 || this.#names.has(name);
  }

  who(request: IncomingMessage): Me {
    const { tls, console: c } = this.config;
    const common = { endMs: END_MS, ladders: LADDER_STEPS.map(ladderWord) };
    const by = certificateName(request);
    const [, given] = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "") ?? [];
    if (given !== undefined && this.#isToken(given)) return { ...common, role: "operate", name: by || "token", hint: "" };
    if (by !== "" && c.operators.includes(by)) return { ...common, role: "operate", name: by, hint: "" };
    const hint = this.#token
      ? `Paste the token (${c.token_file}) to act.`
      : "Nobody may act by a token: console.token_file is not set.";
    // Where clients have to show who they are, who does not sees nothing.
    if (tls?.ca !== undefined && by === "") return { ...common, role: "none", name: "", hint };
    return { ...common, role: "read", name: by, hint };
  }

  #isToken(given: string): boolean {
    return this.#token !== null && timingSafeEqual(hash(given), this.#token);
  }
}

/** Empty: it is none. */
function hostnameOf(host: string): string {
  if (!/^[^\s/@?#\\]+$/.test(host)) return "";
  try {
    return new URL(`http://${host}`).hostname;
  } catch {
    return "";
  }
}

/** Hashes have one length, so that comparing them tells nothing of the token's. */
const hash = (text: string): Buffer => createHash("sha256").update(text).digest();

function readToken(config: Config): Buffer | null {
  const file = config.console.token_file;
  if (file === "") return null;
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (e) {
    throw new ConfigError([`console.token_file: ${file} cannot be read: ${(e as Error).message}`]);
  }
  if (text.length < MIN_TOKEN || /\s/.test(text))
    throw new ConfigError([`console.token_file: expected at least ${MIN_TOKEN} characters without spaces in ${file}`]);
  return hash(text);
}

/** The common name of a certificate that one of our authorities signed; empty: none was shown. */
function certificateName(request: IncomingMessage): string {
  const socket = request.socket as Partial<TLSSocket>;
  if (socket.authorized !== true) return "";
  const cn = socket.getPeerCertificate?.()?.subject?.CN;
  return typeof cn === "string" ? cn : "";
}
