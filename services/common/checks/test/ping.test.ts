// SPDX-License-Identifier: Apache-2.0
// ICMP without a child process where the kernel allows it: in a network of the test's own, in which ping sockets are allowed or not, and with a
// PATH on which there is no program to ask instead.
import { execFileSync, spawnSync } from "node:child_process";
import { pathToFileURL } from "node:url";
import { needs } from "../../../../testbed/needs.js";
import { which } from "../../../../testbed/process.js";
import { projectRoot } from "../../root.js";

const unshare = which("unshare");
const ip = which("ip");
const own = unshare !== null && ip !== null && spawnSync(unshare, ["-rn", ip, "link", "set", "lo", "up"]).status === 0;

/** What the check says of an address, in a network whose ping sockets are for our group, or, as it begins, for none. */
function ping(allowed: boolean, host: string): string {
  const module = (name: string): string => JSON.stringify(pathToFileURL(`${projectRoot}/dist/${name}.js`).href);
  const script = `
    const { runCheck } = await import(${module("testbed/checks")});
    const { check } = await import(${module("services/common/checks/ping")});
    const said = await runCheck(check, { host: "${host}", port: 0 }, {}, AbortSignal.timeout(20000)).catch((e) => e);
    console.log(said instanceof Error ? "failed: " + said.message : said);
  `;
  const allow = allowed ? "echo 0 0 > /proc/sys/net/ipv4/ping_group_range &&" : "";
  const setup = `${ip} link set lo up && ${allow} PATH=/nonexistent exec "$@"`;
  const node = [process.execPath, "--input-type=module", "-e", script];
  return execFileSync(unshare as string, ["-rn", "/bin/sh", "-c", setup, "sh", ...node], { encoding: "utf8" }).trim();
}

const inNetwork = needs(own, "needs unshare, ip and a kernel that lets it make a network");

inNetwork("an address of this host answers an echo, without a program", (t) => {
  t.is(ping(true, "127.0.0.1"), "answered");
  t.is(ping(true, "::1"), "answered");
});

inNetwork("where no group may open ping sockets the program is asked, which is not here", (t) => {
  t.is(ping(false, "127.0.0.1"), "failed: the program ping is not installed");
});

inNetwork("an address to which there is no way is no answer", (t) => {
  t.regex(ping(true, "192.0.2.1"), /^failed: .*ENETUNREACH/);
});
