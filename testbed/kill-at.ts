// SPDX-License-Identifier: Apache-2.0
// Loaded before a service (node --import): SIGKILL at the Nth point of its writes below a folder. A point lies before and after each mkdir,
// open, write, sync, rename and removal, and in the middle of each write, of which half is on its way then.
import fs, { type FileHandle } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";

const at = Number(process.env.MARLLB_KILL_AT);
const folder = process.env.MARLLB_KILL_FOLDER ?? "";
let passed = 0;

function point(): void {
  if (++passed === at) process.kill(process.pid, "SIGKILL");
}

const ours = (path: unknown): boolean => typeof path === "string" && path.startsWith(folder);

type Async = (...args: never[]) => Promise<unknown>;

/** `name` of `of`, with a point on either side where it concerns the folder. */
function around(of: object, name: string, concerns: (self: unknown, args: unknown[]) => boolean): void {
  const methods = of as Record<string, Async>;
  const plain = methods[name] as Async;
  methods[name] = async function (this: unknown, ...args: never[]) {
    if (!concerns(this, args)) return plain.apply(this, args);
    point();
    const result = await plain.apply(this, args);
    point();
    return result;
  };
}

const handles = new WeakSet<object>();
for (const name of ["mkdir", "rename", "rm"]) around(fs, name, (_, [path]) => ours(path));

const { open } = fs;
const probe = await open(process.execPath, "r");
const prototype = Object.getPrototypeOf(probe) as FileHandle;
await probe.close();
around(prototype, "sync", (self) => handles.has(self as object));
around(prototype, "close", (self) => handles.has(self as object));
const { writeFile } = prototype;
prototype.writeFile = async function (this: FileHandle, data) {
  if (!handles.has(this)) return writeFile.call(this, data);
  point();
  const bytes = Buffer.from(data as string);
  const half = bytes.length >> 1;
  await this.write(bytes.subarray(0, half));
  point();
  await this.write(bytes.subarray(half));
  point();
};
fs.open = async (path, ...rest) => {
  if (!ours(path)) return open(path, ...rest);
  point();
  const handle = await open(path, ...rest);
  handles.add(handle);
  point();
  return handle;
};
syncBuiltinESMExports();
