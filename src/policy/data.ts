/**
 * Turns Settings into the document that policy reads as `data`: `configuration` (segments, routes and reach, indexed so
 * that a decision costs the same with ten routes or ten thousand) and `custom` (the operator's own JSON). No device is in
 * it: facts about devices come with each input. policies/schemas/configuration.json describes the shape.
 */
import { readFileSync } from 'node:fs';
import type { RouteSettings, SegmentSettings, Settings } from '../config/settings.ts';
import { Fault } from '../faults/fault.ts';
import { windowsByWeekday } from './schedule.ts';
import { type Action, bySpecificity, templateParts } from './template.ts';

export interface PolicyData {
  /** The data document, JSON. */
  readonly json: string;
  /** True if a route of this segment wants the decoded payload in the input. */
  inspects(segment: string): boolean;
  /** True if this route (`<segment>/<route>`) wants it: a payload that cannot be decoded must not pass there. */
  inspectsRoute(route: string): boolean;
}

/** Inside the module data takes eight to nine times its JSON size; this is far below limits.policyMemoryBytes. */
const MAX_CUSTOM_BYTES = 16_777_216;

/** Protocols that carry messages of devices. `egress` has rules of its own and is never covered by a route or a reach. */
export const MESSAGE_PROTOCOLS: readonly string[] = ['https', 'websocket', 'coaps', 'mqtt'];

/** Reads settings.policy.data, if there is one. Throws SP_CONFIG_INVALID when that file is not JSON. */
export function policyData(settings: Settings): PolicyData {
  const segments = mapObject(settings.segments, compiledSegment);
  const configuration = JSON.stringify({ segments });
  // The text as it stands: a number beyond 2^53 reaches policy with all its digits.
  const custom = settings.policy.data === undefined ? '{}' : customJson(settings.policy.data);
  const inspecting = new Set<string>();
  const inspectingRoutes = new Set<string>();
  for (const segment of settings.segments.values()) {
    for (const { name, inspect } of segment.routes) {
      if (!inspect) continue;
      inspecting.add(segment.name);
      inspectingRoutes.add(`${segment.name}/${name}`);
    }
  }
  return {
    json: `{"configuration":${configuration},"custom":${custom}}`,
    inspects: (segment) => inspecting.has(segment),
    inspectsRoute: (route) => inspectingRoutes.has(route),
  };
}

function customJson(file: string): string {
  try {
    const bytes = readFileSync(file);
    if (bytes.byteLength > MAX_CUSTOM_BYTES) throw new RangeError(`larger than ${MAX_CUSTOM_BYTES} bytes`);
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    JSON.parse(text);
    return text;
  } catch (cause) {
    throw new Fault('SP_CONFIG_INVALID', `policy.data ${file}: ${(cause as Error).message}`, { cause });
  }
}

function compiledSegment({ name, routes, reach }: SegmentSettings) {
  const ranked = [...routes].sort(bySpecificity);
  return {
    index: compiledIndex(ranked),
    routes: ranked.map((route) => compiledRoute(name, route)),
    reach: mapObject(reach, (actions, target) => {
      const rankedActions = [...actions].sort(bySpecificity);
      return {
        index: compiledIndex(rankedActions),
        over: flags(MESSAGE_PROTOCOLS),
        actions: rankedActions.map(({ privacy }) => ({
          route: `${name}/reach/${target}`,
          ...(privacy !== undefined && { privacy }),
        })),
      };
    }),
  };
}

function compiledRoute(segment: string, route: RouteSettings) {
  const { name, to, privacy, stream, rate, quiet, direction, when } = route;
  return {
    over: flags(protocolsOf(route)),
    direction: flags(direction === 'both' ? ['toCloud', 'toDevice'] : direction === 'up' ? ['toCloud'] : ['toDevice']),
    ...(when && { when: windowsByWeekday(when) }),
    obligations: {
      route: `${segment}/${name}`,
      upstream: to,
      ...(privacy !== undefined && { privacy }),
      ...(stream && { stream }),
      ...(rate && { rate: { bucket: `${segment}/${name}`, per_second: rate.perSecond, burst: rate.burst } }),
      ...(quiet && { quiet }),
    },
  };
}

/** A WebSocket begins as HTTPS on the same port, so for WS routes `https` and `websocket` in `over` mean the same. */
export function protocolsOf({ verb, over }: Pick<RouteSettings, 'verb' | 'over'>): readonly string[] {
  const named = over ?? MESSAGE_PROTOCOLS;
  const web = verb === 'WS' && (named.includes('https') || named.includes('websocket'));
  return web ? [...new Set([...named, 'https', 'websocket'])] : named;
}

type Verbs = Map<string, number[]>;

interface Shape {
  readonly prefix?: number;
  readonly own: readonly number[];
  readonly any: readonly number[];
  readonly keep: readonly number[];
  readonly wild: boolean;
  readonly table: Map<string, Verbs>;
}

/** Templates grouped by where their `{device.id}` and wildcards stand: each group is looked up with one key. */
function compiledIndex(actions: readonly Action[]) {
  const literal = new Map<string, Verbs>();
  const shapes = new Map<string, Map<string, Shape>>();
  const rest = new Map<string, Shape>();
  for (const [rank, { verb, path }] of actions.entries()) {
    const parts = templateParts(path);
    const open = parts.at(-1)?.kind === 'rest';
    if (parts.every(({ kind }) => kind === 'literal')) {
      append(literal, path, verb, rank);
      continue;
    }
    const group = open ? rest : upsert(shapes, String(parts.length), () => new Map<string, Shape>());
    const kinds = parts.map(({ kind }) => kind);
    const shape = upsert(group, kinds.join(), (): Shape => {
      const at = (wanted: string) => kinds.flatMap((kind, position) => (kind === wanted ? [position] : []));
      const any = at('any');
      return {
        ...(open && { prefix: parts.length - 1 }),
        own: at('own'),
        any,
        // Position 0 is the empty segment before the leading slash, the same in every path.
        keep: at('literal').filter((position) => position > 0),
        wild: open || any.length > 0,
        table: new Map(),
      };
    });
    const key = shape.keep.map((position) => (parts[position] as { text: string }).text).join('/');
    append(shape.table, key, verb, rank);
  }
  const finished = (shape: Shape) => ({
    ...shape,
    table: mapObject(shape.table, (verbs) => Object.fromEntries(verbs)),
  });
  return {
    literal: mapObject(literal, (verbs) => Object.fromEntries(verbs)),
    shapes: mapObject(shapes, (group) => [...group.values()].map(finished)),
    rest: [...rest.values()].map(finished),
  };
}

function append(table: Map<string, Verbs>, key: string, verb: string, rank: number): void {
  upsert(
    upsert(table, key, (): Verbs => new Map()),
    verb,
    (): number[] => [],
  ).push(rank);
}

function upsert<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const present = map.get(key);
  if (present !== undefined) return present;
  const made = make();
  map.set(key, made);
  return made;
}

/** A map as an object with own keys only: `__proto__` is a key like any other. */
function mapObject<Value, Result>(map: ReadonlyMap<string, Value>, change: (value: Value, key: string) => Result) {
  return Object.fromEntries(Array.from(map, ([key, value]) => [key, change(value, key)]));
}

function flags(names: readonly string[]): Readonly<Record<string, true>> {
  return Object.fromEntries(names.map((name) => [name, true]));
}
