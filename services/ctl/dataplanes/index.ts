// SPDX-License-Identifier: Apache-2.0
// The kinds of data plane: the one list from which flags, help and error messages are made.
import { type Config, parseConfig } from "../../common/config/load.js";
import { LaunchError } from "../up/error.js";
import type { DataplaneKind } from "./dataplane.js";
import { embedded } from "./embedded.js";
import { vpp } from "./vpp.js";

export const DATAPLANES: readonly DataplaneKind[] = [embedded, vpp];

export const DATAPLANE_KINDS: readonly string[] = DATAPLANES.map((d) => d.kind);

export const dataplaneHelp = (kinds: readonly DataplaneKind[] = DATAPLANES): string =>
  kinds.map((d) => `${d.kind}: ${d.help}`).join("; ");

export function findDataplane(kind: string, kinds: readonly DataplaneKind[] = DATAPLANES): DataplaneKind {
  const found = kinds.find((d) => d.kind === kind);
  if (!found) throw new LaunchError(`dataplane.kind: expected one of ${kinds.map((d) => d.kind).join(", ")}, found ${kind}`, 2);
  return found;
}

/** Throws where the configuration asks for what the data plane cannot; returns what it will overlook, one sentence each. */
export function suits(config: Config, dataplane: DataplaneKind): string[] {
  for (const v of config.vips) {
    if (!dataplane.modes.includes(v.mode))
      throw new LaunchError(
        `VIP ${v.name}: data plane ${dataplane.kind} has no mode ${v.mode}; expected one of ${dataplane.modes.join(", ")}`,
        2,
      );
    const lacks = (what: string): LaunchError => new LaunchError(`VIP ${v.name}: data plane ${dataplane.kind} has no ${what}`, 2);
    const headers = v.accept_proxy.length > 0 || [v, ...v.servers].some((x) => x.send_proxy === "v1" || x.send_proxy === "v2");
    if (headers && !dataplane.proxyHeaders) throw lacks("PROXY headers");
    const limited = v.max_connections_per_source > 0 || [v, ...v.servers].some((x) => x.max_connections > 0);
    if (limited && !dataplane.limits) throw lacks("limits of connections (max_connections, max_connections_per_source)");
  }
  const plain = parseConfig("vips: [{ name: v, address: '192.0.2.1:1' }]");
  const defaults = plain.dataplane;
  const keys = Object.keys(config.dataplane) as (keyof Config["dataplane"])[];
  const overlooked = config.vips.flatMap((v) =>
    dataplane.overlooks
      .filter((k) => JSON.stringify(v[k]) !== JSON.stringify(plain.vips[0]?.[k]))
      .map((k) => `VIP ${v.name}: ${k} has no effect with data plane ${dataplane.kind}`),
  );
  const settings = keys
    .filter((k) => k !== "kind" && !dataplane.settings.includes(k))
    .filter((k) => JSON.stringify(config.dataplane[k]) !== JSON.stringify(defaults[k]))
    .map((k) => `dataplane.${k} has no effect with data plane ${dataplane.kind}`);
  return [...settings, ...overlooked];
}
