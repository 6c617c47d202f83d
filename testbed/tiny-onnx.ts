// SPDX-License-Identifier: Apache-2.0
// Writes the smallest ONNX file that follows models/FORMAT.md: log_weight = mask * server's first feature, bias = mask * .5,
// state_out = state + 1. By hand, for no ONNX writer is at hand here.

const varint = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...varint(Math.floor(n / 128))]);
const num = (field: number, n: number): Buffer => Buffer.from([...varint(field * 8), ...varint(n)]);
const bytes = (field: number, b: Buffer | string): Buffer => {
  const body = typeof b === "string" ? Buffer.from(b) : b;
  return Buffer.concat([Buffer.from([...varint(field * 8 + 2), ...varint(body.length)]), body]);
};
const msg = (field: number, ...parts: Buffer[]): Buffer => bytes(field, Buffer.concat(parts));

const dim = (d: number | string): Buffer => msg(1, typeof d === "number" ? num(1, d) : bytes(2, d));
const FLOAT = 1;
const INT64 = 7;
const DOUBLE = 11;
const value = (field: number, name: string, shape: (number | string)[], type = FLOAT): Buffer =>
  msg(field, bytes(1, name), msg(2, msg(1, num(1, type), msg(2, ...shape.map(dim)))));
/** attribute: a whole number; its type is 2 then. */
const node = (type: string, inputs: string[], outputs: string[], attribute?: [name: string, value: number]): Buffer =>
  msg(
    1,
    ...inputs.map((i) => bytes(1, i)),
    ...outputs.map((o) => bytes(2, o)),
    bytes(4, type),
    ...(attribute ? [msg(5, bytes(1, attribute[0]), num(3, attribute[1]), num(20, 2))] : []),
  );
const floats = (name: string, v: number[]): Buffer =>
  msg(5, num(1, v.length), num(2, FLOAT), bytes(8, name), bytes(9, Buffer.from(Float32Array.from(v).buffer)));
const ints = (name: string, v: bigint[]): Buffer =>
  msg(5, num(1, v.length), num(2, INT64), bytes(8, name), bytes(9, Buffer.from(BigInt64Array.from(v).buffer)));

export interface TinyOptions {
  serverFeatures: number;
  poolFeatures: number;
  stateSize: number;
  meta: Record<string, string>;
  /** Passes the server's first feature through this op, which must leave numbers >= 0 alone. */
  op?: string;
  /** Asks for the inputs stratum and shared as well; the bias is their sum then. */
  strata?: boolean;
  /** Leaves this output out. */
  without?: string;
  /** Takes the first feature by a Slice of two axes, which the core's does not do. */
  twoAxes?: boolean;
  /** A Clip with a bound that has no value. */
  emptyBound?: boolean;
  /** The bias as float64. */
  double?: boolean;
  /** Servers, where the model is for one number of them only. */
  servers?: number;
  /** Factor of the log weight: 1e6 makes a model that cries at the least difference. */
  loud?: number;
  /** Factor of the bias; NaN makes a model whose output is not finite. */
  bias?: number;
}

export function tinyOnnx(o: TinyOptions): Buffer {
  const outputs: [string, (number | string)[]][] = [
    ["log_weight", ["B", "N"]],
    ["bias", ["B", "N"]],
    ["state_out", ["B", "N", o.stateSize]],
  ];
  const graph = msg(
    7,
    o.twoAxes
      ? node("Slice", ["server", "zeros", "ends", "axes"], ["feature"])
      : node("Slice", ["server", "zero", "one", "axis"], ["feature"]),
    node("Squeeze", ["feature", "axis"], ["first"]),
    node(o.op ?? "Identity", ["first"], ["heard"]),
    node("Mul", ["heard", "loud"], ["passed"]),
    node("Mul", ["mask", "passed"], ["log_weight"]),
    o.strata ? node("Add", ["stratum", "shared"], ["bias32"]) : node("Mul", ["mask", "half"], ["bias32"]),
    o.double ? node("Cast", ["bias32"], ["bias"], ["to", DOUBLE]) : node("Identity", ["bias32"], ["bias"]),
    node("Add", ["state", "unit"], ["state_out"]),
    ...(o.emptyBound ? [node("Clip", ["first", "nothing"], ["unused"])] : []),
    bytes(2, "tiny"),
    floats("nothing", []),
    ints("zero", [0n]),
    ints("one", [1n]),
    ints("axis", [2n]),
    ints("zeros", [0n, 0n]),
    ints("ends", [2n ** 31n, 1n]),
    ints("axes", [1n, 2n]),
    floats("loud", [o.loud ?? 1]),
    floats("half", [o.bias ?? 0.5]),
    floats("unit", [1]),
    value(11, "server", ["B", o.servers ?? "N", o.serverFeatures]),
    value(11, "pool", ["B", o.poolFeatures]),
    value(11, "mask", ["B", "N"]),
    value(11, "state", ["B", "N", o.stateSize]),
    ...(o.strata ? [value(11, "stratum", ["B", "N"]), value(11, "shared", ["B", 1])] : []),
    ...outputs
      .filter(([name]) => name !== o.without)
      .map(([name, shape]) => value(12, name, shape, o.double && name === "bias" ? DOUBLE : FLOAT)),
  );
  const opset = msg(8, bytes(1, ""), num(2, 17));
  const meta = Object.entries(o.meta).map(([k, v]) => msg(14, bytes(1, k), bytes(2, v)));
  return Buffer.concat([num(1, 8), bytes(2, "test"), graph, opset, ...meta]);
}

export const goodMeta = { observation_schema: "1", base: "kalman", native_step_ms: "200", state_size: "2" };
