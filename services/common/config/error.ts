// SPDX-License-Identifier: Apache-2.0

/** What is wrong with a configuration: one line a problem, each with its place and what was expected. */
export class ConfigError extends Error {
  readonly code = "CONFIG";
  constructor(readonly problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ConfigError";
  }
}
