/**
 * The one line of sallyport.yaml that would have allowed a denied message: a new route or reach, or an existing one with
 * what it lacked. A line whose key exists already is meant to replace that one.
 */
import type { ReachSettings, RouteSettings, SegmentSettings, Settings } from '../config/settings.ts';
import type { DecisionRecord } from '../exchange/gate.ts';
import { unmetConditions } from './conditions.ts';
import { reachLine, routeLine, routeValue, scalar } from './configuration-line.ts';
import { MESSAGE_PROTOCOLS } from './data.ts';
import { widened } from './schedule.ts';
import { type Action, narrowestTemplate } from './template.ts';

export interface Suggestion {
  /** Where the line belongs, e.g. `segments.sensors.routes`. */
  readonly under: string;
  /** YAML, e.g. `admin: { allow: GET /admin, to: cloud }`. */
  readonly line: string;
}

/** A route or one action of a reach, by the name a person knows it by. */
export interface Rule extends Action {
  readonly name: string;
  readonly route?: RouteSettings;
  readonly reach?: ReachSettings;
}

export interface Lack {
  readonly settings: Settings;
  readonly record: DecisionRecord;
  readonly targetSegment?: string;
  /** The rule that matched and would allow the message if it were a little wider. */
  readonly nearest?: Rule;
}

/** Undefined if no single line is enough. */
export function suggestion(lack: Lack): Suggestion | undefined {
  const { settings, record, nearest } = lack;
  const { device, action } = record;
  if (!device) return undefined;
  const segment = settings.segments.get(device.segment);
  if (action.targetDevice !== undefined) {
    const line = reachSuggestion(lack, segment);
    if (line === undefined) return undefined;
    if (segment) return { under: `segments.${segment.name}.reach`, line };
    return isName(device.segment)
      ? { under: 'segments', line: `${scalar(device.segment)}: { reach: { ${line} } }` }
      : undefined;
  }
  const route = nearest?.route ? mended(nearest.route, lack, segment) : newRoute(lack, segment);
  if (!route) return undefined;
  if (segment) return { under: `segments.${segment.name}.routes`, line: routeLine(route) };
  return isName(device.segment)
    ? {
        under: 'segments',
        line: `${scalar(device.segment)}: { routes: { ${scalar(route.name)}: ${routeValue(route)} } }`,
      }
    : undefined;
}

/** The route with everything this message lacked. */
function mended(route: RouteSettings, { settings, record }: Lack, segment: SegmentSettings | undefined) {
  const { action, reasons, time } = record;
  const unmet = unmetConditions(route, record);
  let wider: RouteSettings = route;
  if (unmet.includes('over')) {
    if (!MESSAGE_PROTOCOLS.includes(action.protocol)) return undefined;
    wider = { ...wider, over: [...(route.over ?? []), action.protocol] };
  }
  if (unmet.includes('direction')) wider = { ...wider, direction: 'both' };
  if (route.when && unmet.includes('when')) {
    const { when, ...always } = wider;
    const schedule = widened(route.when, time);
    wider = schedule ? { ...always, when: schedule } : always;
  }
  if (reasons.includes('rate-limited')) {
    if (!route.rate) return undefined;
    const { perSecond, burst } = route.rate;
    wider = { ...wider, rate: { perSecond: perSecond * 2, burst: Math.min(burst * 2, MAX_BURST) } };
  }
  if (reasons.includes('payload-not-covered')) {
    const privacy = coveringRule(settings, segment);
    if (privacy === undefined) return undefined;
    wider = { ...wider, privacy };
  }
  return reasons.includes('stream-not-allowed') ? { ...wider, stream: true } : wider;
}

/** As the schema has it. */
const MAX_BURST = 1_000_000;

function newRoute({ settings, record }: Lack, segment: SegmentSettings | undefined): RouteSettings | undefined {
  const { action, device } = record;
  const path = narrowestTemplate(action.resource, device?.id ?? '');
  const to = upstreamFor(settings, segment);
  if (path === undefined || to === undefined || !MESSAGE_PROTOCOLS.includes(action.protocol)) return undefined;
  const privacy = carriesPayload(record) ? coveringRule(settings, segment) : undefined;
  const { bytes } = action;
  return {
    name: freeName(path, action.verb, segment),
    verb: writableVerb(action.verb),
    path,
    to,
    ...(privacy !== undefined && { privacy }),
    direction: 'both',
    stream: action.verb !== 'WS' && (bytes < 0 || bytes > settings.limits.inspectedBodyBytes),
    inspect: false,
    quiet: false,
  };
}

/** The reach of the target's segment with one action more, or with what the nearest action lacked. */
function reachSuggestion(lack: Lack, segment: SegmentSettings | undefined): string | undefined {
  const { settings, record, targetSegment, nearest } = lack;
  if (targetSegment === undefined || !settings.segments.has(targetSegment)) return undefined;
  if (!MESSAGE_PROTOCOLS.includes(record.action.protocol)) return undefined;
  const present = segment?.reach.get(targetSegment) ?? [];
  const privacy = carriesPayload(record) ? coveringRule(settings, segment) : undefined;
  if (nearest?.reach) {
    if (!record.reasons.includes('payload-not-covered') || privacy === undefined) return undefined;
    return reachLine(
      targetSegment,
      present.map((action) => (action === nearest.reach ? { ...action, privacy } : action)),
    );
  }
  const path = narrowestTemplate(record.action.resource, record.device?.id ?? '');
  if (path === undefined) return undefined;
  const action = { verb: writableVerb(record.action.verb), path, ...(privacy !== undefined && { privacy }) };
  return reachLine(targetSegment, [...present, action]);
}

/** A WebSocket is opened without a payload, but for payloads. A query needs a rule, too. */
export function carriesPayload({ action, reasons }: DecisionRecord): boolean {
  return action.bytes !== 0 || action.verb === 'WS' || reasons.includes('payload-not-covered');
}

const WRITABLE_VERBS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'WS']);

function writableVerb(verb: string): string {
  return WRITABLE_VERBS.has(verb) ? verb : '*';
}

/** The privacy rule that this segment uses most, or else the first there is. Never `unchanged`: that is for people to say. */
function coveringRule(settings: Settings, segment: SegmentSettings | undefined): string | undefined {
  const used = segment
    ? [...segment.routes, ...[...segment.reach.values()].flat()].flatMap(({ privacy }) => privacy ?? [])
    : [];
  return mostFrequent(used.filter((name) => name !== 'unchanged')) ?? settings.privacy.keys().next().value;
}

function upstreamFor(settings: Settings, segment: SegmentSettings | undefined): string | undefined {
  const everywhere = [...settings.segments.values()].flatMap(({ routes }) => routes);
  return (
    mostFrequent((segment?.routes ?? []).map(({ to }) => to)) ??
    mostFrequent(everywhere.map(({ to }) => to)) ??
    settings.upstreams.keys().next().value
  );
}

function mostFrequent(names: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0];
}

/** A name for a route after the last word of its path, or its verb; one that the segment does not have yet. */
function freeName(path: string, verb: string, segment: SegmentSettings | undefined): string {
  const words = path.split('/').filter((part) => part !== '{device.id}' && part !== '*');
  const wanted = [...words.reverse(), verb, 'route'].map(asName).find((name) => name !== '') ?? 'route';
  const taken = new Set(segment?.routes.map(({ name }) => name));
  let name = wanted;
  for (let count = 2; taken.has(name); count++) name = `${wanted.slice(0, MAX_NAME - 5)}-${count}`;
  return name;
}

const MAX_NAME = 64;

function asName(text: string): string {
  const name = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/^-/, '');
  return name.slice(0, MAX_NAME).replace(/-$/, '');
}

function isName(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/.test(text);
}
