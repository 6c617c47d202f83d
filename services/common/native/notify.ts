// SPDX-License-Identifier: Apache-2.0
import { addon, native } from "./addon.js";

/** One datagram to the service manager. False: it could not be sent. Throws where `path` is no socket's name. */
export const notify = (path: string, text: string): boolean => native(() => addon.notify(path, text));
