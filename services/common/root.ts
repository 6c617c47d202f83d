// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from "node:url";

/** The project's folder: this file runs as dist/services/common/root.js. Data files (proto, models) are read from there. */
export const projectRoot: string = fileURLToPath(new URL("../../..", import.meta.url));
