// SPDX-License-Identifier: Apache-2.0
import { addon } from "./addon.js";

export const wallOffsetUs = (): number => addon.wallOffsetUs();
