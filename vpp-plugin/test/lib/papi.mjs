// SPDX-License-Identifier: Apache-2.0
// The binary API from outside, through the Python client that VPP brings (vpp_papi).
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));

/** Folders under a prefix in which Python packages may be. */
function packageDirs(prefix) {
  const out = [];
  for (const lib of ["lib", "local/lib", "lib64"])
    for (const py of existsSync(path.join(prefix, lib)) ? readdirSync(path.join(prefix, lib)) : [])
      if (/^python3/.test(py)) for (const d of ["dist-packages", "site-packages"]) out.push(path.join(prefix, lib, py, d));
  return out;
}

/** { call(socket, [[message, args]...]) } or { missing }. */
export function papi(prefix, pluginDir) {
  const PYTHONPATH = packageDirs(prefix).find((d) => existsSync(path.join(d, "vpp_papi")));
  if (!PYTHONPATH) return { missing: "no vpp_papi under VPP's prefix: install python3-vpp-api" };
  const files = [path.join(pluginDir, "../../lb_rl/lb_rl.api.json")];
  for (const f of ["core/memclnt.api.json", "core/vpe.api.json", "core/ip.api.json"])
    files.push(path.join(prefix, "share/vpp/api", f));
  const env = { ...process.env, PYTHONPATH, LB_RL_API: files.join(":") };
  return {
    call: (socket, calls) =>
      JSON.parse(
        execFileSync("python3", [path.join(here, "papi.py"), socket], { env, input: JSON.stringify(calls), encoding: "utf8" }),
      ),
  };
}
