/** What one HTTPS listener's connections share. */
import type { Limits } from '../../config/settings.ts';
import type { Passage } from '../../exchange/gate.ts';
import type { Tally } from './tally.ts';
import type { Upgrader } from './upgrader.ts';

export interface HttpContext {
  /** The listener's name in arrivals. */
  readonly listener: string;
  readonly passage: Passage;
  readonly upgrader: Upgrader | undefined;
  /** Exchanges under way, by the device's key. */
  readonly exchanges: Tally;
  limits: Limits;
  /** The gateway is stopping: what is under way ends, nothing begins. */
  draining: boolean;
}
