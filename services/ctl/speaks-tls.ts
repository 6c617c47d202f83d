// SPDX-License-Identifier: Apache-2.0
// What an endpoint speaks, and whether it takes our certificate: of a connection that is closed in the handshake, neither end's error says so.
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:tls";
import { parseHostPort } from "../common/config/address.js";
import type { Tls } from "../common/grpc/certificates.js";

/** true: it answers a TLS handshake, whatever its certificate. false: with something else. null: it says nothing. */
export function speaksTls(address: string, withinMs = 2000): Promise<boolean | null> {
  const at = parseHostPort(address);
  if (at === null) return Promise.resolve(null);
  return new Promise((resolve) => {
    const socket = connect({ host: at.host, port: at.port, ALPNProtocols: ["h2"], rejectUnauthorized: false });
    const end = (what: boolean | null): void => {
      socket.destroy();
      resolve(what);
    };
    socket.setTimeout(withinMs, () => end(null));
    socket.on("secureConnect", () => end(true));
    socket.on("error", ({ code = "" }: NodeJS.ErrnoException) => {
      // An alert is TLS, too: it wants a certificate, or a version that we have not.
      if (/^ERR_SSL_.*ALERT/.test(code)) end(true);
      else end(/^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|UNSUPPORTED_PROTOCOL)/.test(code) ? false : null);
    });
  });
}

/**
 * Whether a service that speaks TLS closes the connection once it has our certificate: the handshake of TLS 1.3 is over for us before the service
 * has seen it. It sends no alert that would say why.
 */
function refuses(address: string, tls: Tls, withinMs = 2000): Promise<boolean> {
  const at = parseHostPort(address);
  if (at === null) return Promise.resolve(false);
  const files = { cert: readFileSync(tls.cert), key: readFileSync(tls.key) };
  return new Promise((resolve) => {
    const socket = connect({ host: at.host, port: at.port, ALPNProtocols: ["h2"], rejectUnauthorized: false, ...files });
    const end = (what: boolean): void => {
      socket.destroy();
      resolve(what);
    };
    let shaken = false;
    socket.setTimeout(withinMs, () => end(false));
    socket.on("secureConnect", () => {
      shaken = true;
    });
    // Who takes the certificate begins with the settings of HTTP/2.
    socket.on("data", () => end(false));
    socket.on("close", () => end(shaken));
    socket.on("error", ({ code = "" }: NodeJS.ErrnoException) => end(shaken || /^ERR_SSL_.*ALERT/.test(code)));
  });
}

function whyRefused(tls: Tls, nowMs: number): string {
  const { validFrom, validTo, issuer } = new X509Certificate(readFileSync(tls.cert));
  if (Date.parse(validTo) <= nowMs) return `it refused our certificate: ${tls.cert} expired on ${validTo}`;
  if (Date.parse(validFrom) > nowMs) return `it refused our certificate: ${tls.cert} is valid from ${validFrom} on`;
  return `it refused our certificate: ${tls.cert}, of ${issuer.replaceAll("\n", ", ")}, is not of its CA (its \`tls.ca\`)`;
}

/** Why there is no connection, where TLS is the cause: one end speaks it and the other one does not, or our certificate is refused; null: it is not. */
export async function tlsProblem(address: string, ours: Tls | undefined, nowMs = Date.now()): Promise<string | null> {
  const theirs = await speaksTls(address);
  if (theirs === null) return null;
  if (ours === undefined) {
    return theirs
      ? "it speaks TLS, and we do not: name certificate, key and CA, by `tls` of the configuration (--config) or by --cert, --key and --ca of `marllbctl context set`"
      : null;
  }
  if (!theirs)
    return "it does not speak TLS, and we do: leave out `tls` of the configuration, or --cert, --key and --ca of `marllbctl context set`, or give the service a certificate";
  return (await refuses(address, ours)) ? whyRefused(ours, nowMs) : null;
}
