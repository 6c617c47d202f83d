// SPDX-License-Identifier: Apache-2.0

/** Something the user can put right: printed as it is, without a stack. */
export class LaunchError extends Error {
  readonly code = "LAUNCH";
  constructor(
    message: string,
    readonly exitCode = 1,
  ) {
    super(message);
    this.name = "LaunchError";
  }
}
