// SPDX-License-Identifier: Apache-2.0
// Models of models/ as the core evaluates them.
import { addon, type NativeNetwork, type NetworkInput, native } from "./addon.js";

export type { NetworkInput } from "./addon.js";
export { NativeError } from "./addon.js";

/** The metadata properties of a model's file, also where `Network` does not handle its graph. Throws EPROTO for what is no ONNX file. */
export function modelMetadata(bytes: Uint8Array): Map<string, string> {
  return new Map(native(() => addon.modelMetadata(bytes)));
}

/** A model of models/, evaluated by the core's own code on the calling thread. Throws ENOTSUP where the graph has an op that is not handled. */
export class Network {
  readonly #network: NativeNetwork;
  readonly inputs: readonly NetworkInput[];
  readonly outputs: readonly string[];

  constructor(bytes: Uint8Array) {
    this.#network = native(() => new addon.Network(bytes));
    this.inputs = this.#network.inputs();
    this.outputs = this.#network.outputs();
  }

  /** Inputs in the order of `inputs`; results are written into `outputs`, whose lengths must fit. */
  run(inputs: readonly { data: Float32Array; shape: readonly number[] }[], outputs: readonly Float32Array[]): void {
    native(() => this.#network.run(inputs, outputs));
  }
}
