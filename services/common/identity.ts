// SPDX-License-Identifier: Apache-2.0
// What names a VIP. Ids are given away again once a VIP is gone, names too; a birth is given once in a data-plane epoch.

export interface VipBirth {
  dpEpoch: bigint;
  birth: bigint;
}

/** Of one instance's VIPs: no two have the same, over restarts of the data plane too. */
export const vipKey = (v: VipBirth): string => `${v.dpEpoch}/${v.birth}`;

/** A VIP as messages name it. */
export const birthOf = (m: { dp_epoch: string | number; birth: string | number }): VipBirth => ({
  dpEpoch: BigInt(m.dp_epoch),
  birth: BigInt(m.birth),
});
