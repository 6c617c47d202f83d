// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { z } from "zod";
import { CheckFailed, defineCheck } from "./check.js";
import { httpKeys, requestStatus } from "./http.js";
import { opened } from "./socket.js";

/** The CA file as it is now: a renewed one counts from the next check on. */
function authority(file: string): Buffer | undefined {
  if (file === "") return undefined;
  try {
    return readFileSync(file);
  } catch (e) {
    throw new CheckFailed(`tls_ca: ${(e as Error).message}`, true);
  }
}

function secured(socket: Socket, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const tls = connect({ ...options, socket }, () => resolve(tls));
    tls.on("error", (e) => {
      socket.destroy();
      reject(e);
    });
  });
}

export const check = defineCheck({
  kind: "https",
  help: "the same over TLS; tls_verify, tls_name (SNI) and tls_ca say which certificate is good",
  schema: {
    ...httpKeys,
    tls_verify: z.boolean().default(true),
    tls_name: z
      .string()
      .regex(/^$|^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/, { error: "expected a DNS name, such as www.example.org" })
      .refine((s) => isIP(s) === 0, { error: "expected a DNS name: TLS sends no address as server name" })
      .default(""), // empty: no SNI where the server is an address; the certificate must name the address
    tls_ca: z.string().default(""), // empty: the authorities that Node knows
  },
  async run(target, options, signal) {
    const name = options.tls_name || (isIP(target.host) === 0 ? target.host : "");
    const ca = authority(options.tls_ca);
    const tcp = await opened(target, signal, options.send_proxy);
    // Without SNI the certificate must name the address.
    const tls = { servername: name, host: target.host, ca, rejectUnauthorized: options.tls_verify };
    return requestStatus(await secured(tcp, tls), target, options, signal, options.tls_name || undefined);
  },
});
