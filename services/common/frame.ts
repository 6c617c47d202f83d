// SPDX-License-Identifier: Apache-2.0
// A frame as services read it. The addon decodes; nothing here knows an offset.

/** One VIP's decoded frame: figures of the VIP, and one array a field in the order of its servers. */
export interface FrameView {
  vipId: number;
  name: string;
  /** The VIP's own address, "10.0.0.1:80". */
  address: string;
  dpEpoch: bigint;
  /** Names the VIP within the data-plane epoch: an id is given away again, a birth never. */
  birth: bigint;
  generation: number;
  seq: bigint;
  monoNs: bigint;
  realNs: bigint;
  /** enum mlb_mode. */
  mode: number;
  managed: boolean;
  /** enum mlb_ladder in effect. */
  ladder: number;
  /** Figures of mlb_frame_hdr by name ("no_server", "applied_seq"), and refusals by reason. */
  figures: Readonly<Record<string, number>>;
  refused: Readonly<Record<string, number>>;
  count: number;
  /** enum mlb_load. */
  load: number;
  ids: Uint32Array;
  /** MLB_SRV_*. */
  flags: Uint16Array;
  flows: Uint32Array;
  weightStatic: Float32Array;
  /** Addresses as people write them; made on demand, for most frames need none. */
  addresses(): string[];
  /** A field of mlb_server_rec by name, one number a server ("new_flows", "duration.mean"); 64-bit values as doubles. */
  column(field: string): ArrayLike<number>;
  /** 32 buckets a server, one server after the other. */
  histogram(field: "ttfb_hist" | "duration_hist"): Uint32Array;
}
