/** The conditions of a route besides verb and path, as policies/sallyport/gate/route.rego judges them. */
import type { RouteSettings } from '../config/settings.ts';
import type { DecisionRecord } from '../exchange/gate.ts';
import { protocolsOf } from './data.ts';
import { isOpen } from './schedule.ts';

export type Condition = 'over' | 'direction' | 'when';

/** Those that a message does not meet. */
export function unmetConditions(route: RouteSettings, { action, time }: DecisionRecord): readonly Condition[] {
  const way = action.direction === 'toCloud' ? 'up' : 'down';
  // A channel may be opened whichever way it carries.
  const opening = action.verb === 'WS' && action.bytes === 0;
  const met: Record<Condition, boolean> = {
    over: protocolsOf(route).includes(action.protocol),
    direction: route.direction === 'both' || route.direction === way || opening,
    when: isOpen(route.when, time),
  };
  return CONDITIONS.filter((condition) => !met[condition]);
}

const CONDITIONS: readonly Condition[] = ['over', 'direction', 'when'];
