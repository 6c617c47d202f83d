// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";

/** Names a model by what is in its file. */
export const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex").slice(0, 12);
