// SPDX-License-Identifier: Apache-2.0
// Who evaluates a model's graph: the core's own code, at once and on this thread; onnxruntime where a graph has an op that the core
// does not know. The only file that knows onnxruntime, which is loaded only when it is needed.
import { NativeError, Network } from "../common/native/network.js";

export interface Tensor {
  data: Float32Array;
  shape: readonly number[];
}

export interface Graph {
  readonly engine: "core" | "onnxruntime";
  /** Declared shapes by input; what is no number >= 0 is free. */
  readonly inputs: ReadonlyMap<string, readonly unknown[]>;
  readonly outputs: readonly string[];
  /** Takes every input. `sizes`: how many values the wanted outputs must have; an output of another size is an error. */
  run<K extends string>(
    inputs: Readonly<Record<string, Tensor>>,
    sizes: Readonly<Record<K, number>>,
  ): Record<K, Float32Array> | Promise<Record<K, Float32Array>>;
}

/** Throws a NativeError: ENOTSUP where the graph needs onnxruntime. */
export function openCore(bytes: Uint8Array): Graph {
  const network = new Network(bytes);
  const none = new Float32Array(0);
  return {
    engine: "core",
    inputs: new Map(network.inputs.map((i) => [i.name, i.shape])),
    outputs: network.outputs,
    run(inputs, sizes) {
      const out = {} as Record<string, Float32Array>;
      const to = network.outputs.map((name) => {
        const size = (sizes as Record<string, number>)[name];
        const array = size === undefined ? none : new Float32Array(size);
        out[name] = array;
        return array;
      });
      network.run(
        network.inputs.map((i) => inputs[i.name] as Tensor),
        to,
      );
      return out;
    },
  };
}

/** Not installed with the rest: 288 MB for what few models need. */
async function onnxruntime(): Promise<typeof import("onnxruntime-node")> {
  try {
    return await import("onnxruntime-node");
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw e;
    throw new Error("its graph has an op that only onnxruntime knows: npm install onnxruntime-node beside marllb");
  }
}

export async function openOnnxruntime(bytes: Uint8Array): Promise<Graph> {
  const { InferenceSession, Tensor: OrtTensor } = await onnxruntime();
  // One thread: with the defaults a run waits for others (20 ms at the 99th percentile), and the work is too small to share.
  const session = await InferenceSession.create(bytes, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: "sequential",
    logSeverityLevel: 3, // errors come as exceptions; advice on the graph is not for our log
  });
  const shapes = session.inputMetadata.map((m): [string, readonly unknown[]] => {
    if (!m.isTensor || m.type !== "float32") throw new Error(`its input ${m.name} is not float32`);
    return [m.name, m.shape];
  });
  return {
    engine: "onnxruntime",
    inputs: new Map(shapes),
    outputs: session.outputNames,
    async run(inputs, sizes) {
      const feeds = Object.entries(inputs).map(([name, t]) => [name, new OrtTensor("float32", t.data, t.shape)]);
      const result = await session.run(Object.fromEntries(feeds));
      const out = {} as Record<string, Float32Array>;
      for (const [name, size] of Object.entries<number>(sizes)) {
        const data = result[name]?.data;
        if (!(data instanceof Float32Array)) throw new Error(`output ${name} is not float32`);
        if (data.length !== size) throw new Error(`output ${name} has ${data.length} values, expected ${size}`);
        out[name] = data;
      }
      return out;
    },
  };
}

export async function openGraph(bytes: Uint8Array): Promise<Graph> {
  try {
    return openCore(bytes);
  } catch (e) {
    if (!(e instanceof NativeError) || e.code !== "ENOTSUP") throw e;
    return openOnnxruntime(bytes);
  }
}
