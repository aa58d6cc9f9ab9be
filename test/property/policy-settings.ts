/** Random configurations and messages for the properties of policy: few words, so that paths and templates often meet. */
import fc from 'fast-check';
import {
  DEFAULT_LIMITS,
  type ReachSettings,
  type RouteSettings,
  type Schedule,
  type SegmentSettings,
  type Settings,
} from '../../src/config/settings.ts';
import type { PolicyInput } from '../../src/policy/input.ts';

export const IDS = ['thermo-1', 'a', 'v1', 'a.b', 'x'] as const;
const SEGMENTS = ['sensors', 'cameras'] as const;
const WORDS = ['a', 'v1', 'a.b', 'axb', 'telemetry', 'A'];
/** What only a message may have in its path. */
const ODD = ['', '..', '.', '%2e%2e', 'a%2Fb', 'caf%C3%A9', '{device.id', '*', '**', '..;', '%74elemetry', 'a%25', 'q'];
const VERBS = ['GET', 'POST', 'WS', 'WS'];
const PROTOCOLS = ['https', 'websocket', 'coaps', 'mqtt'];
const DAYS: Schedule['days'][number][] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

const template = fc
  .tuple(
    fc.array(fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...WORDS) }, fc.constantFrom('{device.id}', '*')), {
      maxLength: 3,
    }),
    fc.constantFrom('', '', '/', '/**'),
  )
  .map(([parts, end]) => (parts.length === 0 ? end || '/' : `/${parts.join('/')}${end}`));

/** What a route or a reach is about, and nothing more of it. */
export const action = fc.record({ verb: fc.constantFrom(...VERBS, '*'), path: template });

const clock = fc.constantFrom('00:00', '06:30', '12:00', '22:00', '23:59');
const schedule: fc.Arbitrary<Schedule> = fc.record({
  days: fc.uniqueArray(fc.constantFrom(...DAYS), { minLength: 1 }),
  from: clock,
  to: clock,
});

const route: fc.Arbitrary<Omit<RouteSettings, 'name'>> = fc
  .record({
    verb: fc.constantFrom(...VERBS, '*'),
    path: template,
    to: fc.constantFrom('cloud', 'archive'),
    privacy: fc.option(fc.constantFrom('readings', 'unchanged'), { nil: undefined }),
    rate: fc.option(
      fc.constantFrom({ perSecond: 10, burst: 10 }, { perSecond: 0.5, burst: 5 }, { perSecond: 1 / 3, burst: 1 }),
      {
        nil: undefined,
      },
    ),
    over: fc.option(fc.uniqueArray(fc.constantFrom(...PROTOCOLS), { minLength: 1 }), { nil: undefined }),
    direction: fc.constantFrom('both', 'up', 'down'),
    stream: fc.boolean(),
    inspect: fc.boolean(),
    when: fc.option(schedule, { nil: undefined, freq: 2 }),
    quiet: fc.boolean(),
  })
  .map((value) => {
    const present = Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined));
    // The configuration knows a direction only for WebSockets.
    return { ...present, ...(value.verb !== 'WS' && { direction: 'both' }) } as Omit<RouteSettings, 'name'>;
  });

const reachAction: fc.Arbitrary<ReachSettings> = fc
  .record({
    verb: fc.constantFrom(...VERBS, '*'),
    path: template,
    privacy: fc.option(fc.constantFrom('readings', 'unchanged'), { nil: undefined }),
  })
  .map(({ verb, path, privacy }) => ({ verb, path, ...(privacy !== undefined && { privacy }) }));

const segment = (name: string): fc.Arbitrary<SegmentSettings> =>
  fc
    .record({
      routes: fc.array(route, { maxLength: 12 }),
      reach: fc.dictionary(fc.constantFrom(...SEGMENTS), fc.array(reachAction, { maxLength: 4 }), { maxKeys: 2 }),
    })
    .map(({ routes, reach }) => ({
      name,
      routes: routes.map((one, index) => ({ ...one, name: `r${index}` })),
      reach: new Map(Object.entries(reach)),
    }));

export const settings: fc.Arbitrary<Settings> = fc.tuple(...SEGMENTS.map(segment)).map((segments) => ({
  gateway: 'g',
  directory: '/nonexistent',
  listen: { https: { host: '127.0.0.1', port: 8443 } },
  workers: 1,
  upstreams: new Map(['cloud', 'archive'].map((name) => [name, upstream(name)])),
  segments: new Map(segments.map((one) => [one.name, one])),
  privacy: new Map([['readings', privacyRule]]),
  policy: { entrypoint: 'sallyport/gate/verdict' },
  limits: DEFAULT_LIMITS,
  log: { level: 'info' },
}));

function upstream(name: string) {
  const url = `https://${name}.example.com`;
  return { name, url, pins: [], connections: 16, timeoutMs: 30_000, dangerouslyPlaintext: false };
}

const nothing = { keep: [], pseudonymise: [], tokenise: [] };
const privacyRule = {
  name: 'readings',
  keep: ['temperature'],
  pseudonymise: [],
  tokenise: [],
  coarsen: [],
  purpose: 'readings',
  query: nothing,
  headers: nothing,
  path: { pseudonymise: [], tokenise: [] },
};

const word = fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...WORDS, ...IDS) }, fc.constantFrom(...ODD));

const anyPath = fc
  .tuple(fc.array(word, { maxLength: 4 }), fc.constantFrom('', '', '', '/'))
  .map(([parts, end]) => `/${parts.join('/')}${end}`);

/** A path that fits a template, or nearly: wildcards become words, `{device.id}` mostly stays for the sender's id. */
function pathLike(path: string): fc.Arbitrary<string> {
  const parts = path.split('/').map((part) => {
    if (part === '*') return word;
    if (part === '**') return fc.array(word, { maxLength: 3 }).map((words) => words.join('/'));
    if (part === '{device.id}') return fc.oneof({ weight: 5, arbitrary: fc.constant(part) }, word);
    return fc.oneof({ weight: 20, arbitrary: fc.constant(part) }, word);
  });
  return fc.tuple(...parts).map(([, ...segments]) => `/${segments.join('/')}`);
}

/** Verb and path, often those of one of these routes or reaches. */
function verbAndPath(known: readonly { verb: string; path: string }[]): fc.Arbitrary<readonly [string, string]> {
  const any = fc.tuple(fc.constantFrom(...VERBS, 'DELETE'), anyPath);
  if (known.length === 0) return any;
  const like = fc.constantFrom(...known).chain(({ verb, path }) => {
    const verbs = fc.oneof(
      { weight: 8, arbitrary: fc.constant(verb === '*' ? 'GET' : verb) },
      fc.constantFrom(...VERBS),
    );
    return fc.tuple(verbs, pathLike(path));
  });
  return fc.oneof({ weight: 4, arbitrary: like }, any);
}

const WEEK_MS = 7 * 86_400_000;
const time = fc
  .integer({ min: 0, max: WEEK_MS - 1 })
  .chain((ms) => fc.constantFrom(ms, Math.floor(ms / 1_800_000) * 1_800_000))
  .map((ms) => new Date(Date.UTC(2026, 10, 23) + ms).toISOString());

export interface MessageOptions {
  /** States of the sender; all by default. */
  readonly states?: readonly PolicyInput['device']['state'][];
  /** Segments of the sender, `attic` is not configured. */
  readonly segments?: readonly string[];
}

/** A message that often meets a rule of its segment. */
export const message = (configuration: Settings, options: MessageOptions = {}): fc.Arbitrary<PolicyInput> => {
  const target = fc.oneof(
    { weight: 3, arbitrary: fc.constant({}) },
    fc.record({ device: fc.constantFrom(...IDS), segment: fc.constantFrom(...SEGMENTS, 'attic') }),
    fc.record({ device: fc.constantFrom(...IDS) }),
  );
  const segmentName = fc.constantFrom(...(options.segments ?? [...SEGMENTS, ...SEGMENTS, ...SEGMENTS, 'attic']));
  return fc.tuple(segmentName, target).chain(([name, to]: [string, PolicyInput['target']]) => {
    const own = configuration.segments.get(name);
    const rules = to.device === undefined ? own?.routes : own?.reach.get(to.segment ?? '');
    return sent(name, to, verbAndPath(rules ?? []), options);
  });
};

function sent(
  segmentName: string,
  target: PolicyInput['target'],
  what: fc.Arbitrary<readonly [string, string]>,
  options: MessageOptions,
): fc.Arbitrary<PolicyInput> {
  return fc
    .record({
      v: fc.nat(),
      id: fc.constantFrom(...IDS),
      state: fc.constantFrom(...(options.states ?? STATES)),
      what,
      protocol: fc.constantFrom('https', 'https', 'https', 'websocket', 'coaps', 'mqtt', 'egress'),
      bytes: fc.constantFrom(0, 0, 56, -1),
      direction: fc.constantFrom('toCloud', 'toCloud', 'toDevice'),
      time,
    } as const)
    .map(({ v, id, state, what: [verb, path], protocol, bytes, direction, time: at }) => ({
      v,
      device: { id, segment: segmentName, labels: {}, state, auth: AUTH },
      action: {
        protocol,
        verb,
        resource: path.replaceAll('{device.id}', id),
        content_type: bytes === 0 ? '' : 'application/json',
        bytes,
        direction,
      },
      target,
      context: { time: at, listener: 'https', gateway: 'g', revision: '1' },
    }));
}

const AUTH = { method: 'certificate', issuer: 'CN=x', serial: '01', not_after: '2027-01-01T00:00:00Z' } as const;
const STATES = ['active', 'active', 'active', 'active', 'active', 'disabled', 'quarantined', 'retired'] as const;
