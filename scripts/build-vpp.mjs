// SPDX-License-Identifier: Apache-2.0
// Builds vpp-plugin/ into build/vpp where VPP is installed (VPP_PREFIX, else /usr); says so and does nothing where it is not.
import { existsSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { exec, root, which } from "./lib/exec.mjs";
import { whenStale } from "./lib/fresh.mjs";

/** Where VPP and its headers are: { prefix } or { missing: what to do }. */
export function findVpp(env = process.env) {
  const prefixes = env.VPP_PREFIX ? [env.VPP_PREFIX] : ["/usr", "/usr/local"];
  for (const prefix of prefixes) {
    if (!existsSync(path.join(prefix, "bin/vpp"))) continue;
    if (existsSync(path.join(prefix, "include/vppinfra/clib.h"))) return { prefix };
    return { missing: `VPP in ${prefix} has no headers: install vpp-dev of the same version` };
  }
  return {
    missing: `no VPP in ${prefixes.join(", ")}: install vpp and vpp-dev 26.06 or newer from packagecloud.io/fdio, or set VPP_PREFIX`,
  };
}

/** vppapigen needs Python's ply and jsonschema; a Python of the user's own in front of the system's may lack them. */
async function pathWithPly() {
  const here = process.env.PATH ?? "";
  for (const PATH of [here, `/usr/bin:${here}`]) {
    if ((await exec("python3", ["-c", "import ply, jsonschema"], { env: { PATH } })).code === 0) return PATH;
  }
  throw new Error("vppapigen needs Python's ply and jsonschema: sudo apt-get install -y python3-ply python3-jsonschema");
}

/** The plugin's folder for VPP's `plugins { add-path }`. flags: extra CMake definitions; name: build folder under build/. */
export async function buildVpp({ prefix, name = "vpp", flags = [] }) {
  const dir = `build/${name}`;
  const plugin = `${dir}/lib/vpp_plugins/lb_rl_plugin.so`;
  const inputs = [
    "vpp-plugin/CMakeLists.txt",
    "vpp-plugin/lb_rl",
    "native/core/CMakeLists.txt",
    "native/core/src",
    "native/core/include",
  ];
  await whenStale(`vpp-${name}`, { inputs, extra: [prefix, ...flags], outputs: [plugin] }, async () => {
    process.stderr.write(`setup: building the VPP plugin in ${dir} (half a minute)\n`);
    const env = { PATH: await pathWithPly() };
    const generator = which("ninja") ? "Ninja" : "Unix Makefiles";
    const args = ["-S", "vpp-plugin", "-B", dir, "-G", generator, `-DCMAKE_PREFIX_PATH=${prefix}`, ...flags];
    for (const command of [args, ["--build", dir]]) {
      const { code, out } = await exec("cmake", command, { env });
      if (code !== 0) throw new Error(`cmake ${command.join(" ")} failed (exit code ${code})\n${out}`);
    }
  });
  return path.join(root, path.dirname(plugin));
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const vpp = findVpp();
  try {
    if (vpp.prefix) vpp.pluginDir = await buildVpp(vpp);
    if (process.argv[2] === "--json") console.log(JSON.stringify(vpp));
    else console.log(vpp.missing ? `vpp-plugin not built: ${vpp.missing}` : `plugins { add-path ${vpp.pluginDir} }`);
  } catch (e) {
    process.stderr.write(`build-vpp: ${e.message}\n`);
    process.exitCode = 1;
  }
}
