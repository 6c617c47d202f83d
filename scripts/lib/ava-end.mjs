// SPDX-License-Identifier: Apache-2.0
// Loaded by ava into each process of tests (package.json, ava.require). A test that failed may leave a server that listens, and its process
// would never end: ava would wait for it.
import { registerCompletionHandler } from "ava";

registerCompletionHandler(() => process.exit());
