/** What a permit demands of the gateway. Policy writes it, policy/verdict.ts parses it, and whatever it does not know denies. */

export interface RateObligation {
  /** Bucket name, e.g. `sensors/telemetry`; the gateway adds the device's id. */
  readonly bucket: string;
  /** Tokens per second. */
  readonly perSecond: number;
  /** Bucket size in tokens. */
  readonly burst: number;
}

export interface Obligations {
  /** Route that permitted, `<segment>/<route>`. */
  readonly route: string;
  /** Name of the upstream, or `device:<id>`. */
  readonly upstream: string;
  /** Name of the privacy rule; absent: the message must carry neither payload nor query. `unchanged` passes it as it is. */
  readonly privacy?: string;
  /** The body may pass uninspected. */
  readonly stream?: true;
  readonly rate?: RateObligation;
  /** Log this decision at debug instead of info. */
  readonly quiet?: true;
}
