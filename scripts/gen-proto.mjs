// SPDX-License-Identifier: Apache-2.0
// Generates gen/: TypeScript types of proto/marllb, and the functions that turn messages into bytes and back (messages.ts), with the options of
// proto/loader-options.json. Skipped when fresh. `node scripts/gen-proto.mjs [--force]`; also importable.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import protobuf from "protobufjs";

const project = fileURLToPath(new URL("..", import.meta.url));
const generator = join(project, "node_modules/@grpc/proto-loader/build/bin/proto-loader-gen-types.js");

function protoFiles() {
  const dir = "marllb/v1";
  return readdirSync(join(project, "proto", dir))
    .filter((f) => f.endsWith(".proto"))
    .sort()
    .map((f) => `${dir}/${f}`);
}

/** What is served beside our own services. */
const OTHERS = ["grpc/health/v1/health.proto"];

function loaded(files, options) {
  const root = new protobuf.Root();
  root.resolvePath = (_, target) => join(project, "proto", target);
  root.loadSync([...files, ...OTHERS], { keepCase: options.keepCase });
  root.resolveAll();
  return root;
}

/** All that is of a kind below a namespace. */
function within(space, kind) {
  const own = space instanceof kind ? [space] : [];
  return [...own, ...(space.nestedArray ?? []).flatMap((n) => within(n, kind))];
}

/**
 * A module with the functions that protobuf.js would make of the files whenever a program starts: that took a program which asks one question longer
 * than the answer. A reference in `add` is the place of a message, -1 less an enum's, or null for a plain field.
 */
function messages(files, options) {
  const root = loaded(files, options);
  const types = within(root, protobuf.Type);
  const enums = within(root, protobuf.Enum);
  const reference = ({ resolvedType: t }) => (t instanceof protobuf.Enum ? -1 - enums.indexOf(t) : t ? types.indexOf(t) : null);
  const made = types.map((t) => {
    const parts = {
      encode: protobuf.encoder(t),
      decode: protobuf.decoder(t),
      fromObject: protobuf.converter.fromObject(t),
      toObject: protobuf.converter.toObject(t),
    };
    const functions = Object.entries(parts).map(([name, code]) => `${name}: ${code.toString()},`);
    const references = JSON.stringify(t.fieldsArray.map((f) => reference(f.resolve())));
    return `add(${references}, ${protobuf.Type.generateConstructor(t).toString()}, (types) => ({\n${functions.join("\n")}\n}));`;
  });
  const services = within(root, protobuf.Service).map((service) => [
    service.fullName.slice(1),
    service.methodsArray.map((m) => {
      m.resolve();
      const [request, response] = [m.resolvedRequestType, m.resolvedResponseType].map((t) => types.indexOf(t));
      return {
        name: m.name,
        requestStream: m.requestStream === true,
        responseStream: m.responseStream === true,
        request,
        response,
      };
    }),
  ]);
  return `// @ts-nocheck
import Long from "long";
import protobuf from "protobufjs/minimal.js";

// Where it does not find the package by itself, 64-bit numbers would lose their last digits.
protobuf.util.Long = Long;
protobuf.configure();
const { Reader, Writer, util } = protobuf;

export interface Message {
  encode(m: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
  fromObject(o: object): object;
  toObject(m: object, options: object): object;
}
export interface Method {
  name: string;
  requestStream: boolean;
  responseStream: boolean;
  /** Places in \`messages\`. */
  request: number;
  response: number;
}

export const messages: Message[] = [];
const references = [];
function add(refs, ctor, make) {
  const types = [];
  references.push({ refs, types });
  messages.push({ ctor, ...make(types) });
}
// By name and by number.
const enums = ${JSON.stringify(enums.map(({ values, valuesById }) => ({ values: { ...valuesById, ...values } })))};
${made.join("\n")}
for (const { refs, types } of references)
  for (const r of refs) types.push(r === null ? null : r < 0 ? enums[-1 - r] : messages[r]);

export const services: Record<string, Method[]> = ${JSON.stringify(Object.fromEntries(services))};
export const options: Record<string, unknown> = ${JSON.stringify(options)};
`;
}

function fingerprint(files) {
  const hash = createHash("sha256");
  for (const f of [...[...files, ...OTHERS].map((x) => join("proto", x)), "proto/loader-options.json", "scripts/gen-proto.mjs"]) {
    hash.update(f).update(readFileSync(join(project, f)));
  }
  for (const name of ["@grpc/proto-loader", "protobufjs"])
    hash.update(readFileSync(join(project, "node_modules", name, "package.json")));
  return hash.digest("hex");
}

/** Returns true when it generated, false when gen/ was fresh. */
export function generateProto({ force = false } = {}) {
  const files = protoFiles();
  const want = fingerprint(files);
  const stamp = join(project, "gen/.stamp");
  try {
    if (!force && readFileSync(stamp, "utf8") === want) return false;
  } catch {
    // no stamp: never generated
  }
  const options = JSON.parse(readFileSync(join(project, "proto/loader-options.json"), "utf8"));
  const flags = Object.entries(options).map(([k, v]) => (v === true ? `--${k}` : `--${k}=${v}`));
  // Generated beside and renamed, so that a compiler that runs meanwhile never sees half of it.
  const tmp = join(project, `gen.${process.pid}.tmp`);
  rmSync(tmp, { recursive: true, force: true });
  mkdirSync(tmp);
  try {
    execFileSync(
      process.execPath,
      [
        generator,
        ...flags,
        "--grpcLib=@grpc/grpc-js",
        "--importFileExtension=.js",
        "-I",
        join(project, "proto"),
        "-O",
        tmp,
        ...files,
      ],
      { cwd: join(project, "proto"), stdio: ["ignore", "ignore", "inherit"] },
    );
    writeFileSync(join(tmp, "messages.ts"), messages(files, options));
    writeFileSync(join(tmp, ".stamp"), want);
    rmSync(join(project, "gen"), { recursive: true, force: true });
    renameSync(tmp, join(project, "gen"));
  } finally {
    rmSync(tmp, { recursive: true, force: true });
  }
  return true;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const made = generateProto({ force: process.argv.includes("--force") });
  console.log(made ? "gen/: generated" : "gen/: fresh");
}
