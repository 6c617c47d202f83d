// SPDX-License-Identifier: Apache-2.0
// What a policy sees of a frame, computed by the core.
import { addon, native, type ObservationShape, type Observed } from "./addon.js";

export type { Feature, InputShape, ObservationShape, Observed } from "./addon.js";

/** A state of another schema, or garbled, is an error (EPROTO or EINVAL). */
export function observe(frame: { hdr: Uint8Array; records: Uint8Array }, before: Uint8Array | null): Observed {
  return native(() => addon.observe(frame.hdr, frame.records, before));
}

/** A frame's records without the summaries that `observe` does not read: it sees the same in them. */
export const strippedRecords = (records: Uint8Array): Buffer => native(() => addon.stripRecords(records));

export const observationShape: ObservationShape = addon.observationShape();
