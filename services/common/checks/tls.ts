// SPDX-License-Identifier: Apache-2.0
// TLS over a check's connection.
import { readFileSync } from "node:fs";
import { isIP, type Socket } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import * as z from "zod";
import type { HostPort } from "../config/address.js";
import { CheckFailed } from "./check.js";

export const tlsKeys = {
  tls_verify: z.boolean().default(true),
  tls_name: z
    .string()
    .regex(/^$|^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/, { error: "expected a DNS name, such as www.example.org" })
    .refine((s) => isIP(s) === 0, { error: "expected a DNS name: TLS sends no address as server name" })
    .default(""), // empty: no SNI where the server is an address; the certificate must name the address
  tls_ca: z.string().default(""), // empty: the authorities that Node knows
};

export interface TlsOptions {
  tls_verify: boolean;
  tls_name: string;
  tls_ca: string;
}

/** The CA file as it is now: a renewed one counts from the next check on. */
function authority(file: string): Buffer | undefined {
  if (file === "") return undefined;
  try {
    return readFileSync(file);
  } catch (e) {
    throw new CheckFailed(`tls_ca: ${(e as Error).message}`, true);
  }
}

/** `open` makes the connection once the authority is read: what cannot be checked is not dialled. */
export async function secured(
  open: () => Promise<Socket>,
  target: HostPort,
  options: TlsOptions,
  protocols?: string[],
): Promise<TLSSocket> {
  const servername = options.tls_name || (isIP(target.host) === 0 ? target.host : "");
  const ca = authority(options.tls_ca);
  const socket = await open();
  return new Promise((resolve, reject) => {
    // Without SNI the certificate must name the address.
    const tls = connect(
      {
        servername,
        host: target.host,
        ca,
        rejectUnauthorized: options.tls_verify,
        socket,
        ...(protocols ? { ALPNProtocols: protocols } : {}),
      },
      () => resolve(tls),
    );
    tls.on("error", (e) => {
      socket.destroy();
      reject(e);
    });
  });
}
