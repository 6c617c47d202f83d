// SPDX-License-Identifier: Apache-2.0
// What an endpoint speaks: of a connection that is closed in the handshake, neither end's error says that the other one expects TLS, or does not.
import { connect } from "node:tls";
import { parseHostPort } from "../common/config/address.js";

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

/** Why there is no connection, where one end speaks TLS and the other one does not; null: that is not why. */
export async function tlsMismatch(address: string, ours: boolean): Promise<string | null> {
  const theirs = await speaksTls(address);
  if (theirs === null || theirs === ours) return null;
  return theirs
    ? "it speaks TLS, and we do not: name certificate, key and CA, by `tls` of the configuration (--config) or by --cert, --key and --ca of `marllbctl context set`"
    : "it does not speak TLS, and we do: leave out `tls` of the configuration, or --cert, --key and --ca of `marllbctl context set`, or give the service a certificate";
}
