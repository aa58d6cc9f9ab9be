/** Holds docs/architecture.md: who may import whom, no import cycle (type imports counted), where sockets and keys may be, names. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = new URL('../src', import.meta.url).pathname;

interface Source {
  /** Relative to src/. */
  readonly path: string;
  readonly text: string;
  /** Files of src/ it imports, relative to src/. */
  readonly own: readonly string[];
  /** Packages and node: modules. */
  readonly foreign: readonly string[];
}

const sources: readonly Source[] = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .sort()
  .map((path) => {
    const text = readFileSync(join(root, path), 'utf8');
    const specifiers = [
      ...text.matchAll(
        /(?:^|\n)\s*(?:import|export)\s[^;]*?from\s+'([^']+)'|(?:^|\n)import\s+'([^']+)'|\bimport\('([^']+)'\)/g,
      ),
    ].map((match) => (match[1] ?? match[2] ?? match[3]) as string);
    const own = specifiers.filter((one) => one.startsWith('.')).map((one) => normalize(join(dirname(path), one)));
    return { path, text, own, foreign: specifiers.filter((one) => !one.startsWith('.')) };
  });

/** The part of the house a file belongs to: its folder, or the file itself at the top. */
function room(path: string): string {
  return path.includes('/') ? (path.split('/')[0] as string) : path;
}

/** Who may import whom. What is not listed is forbidden, and the last column says why. */
const MAY_IMPORT: Readonly<Record<string, { readonly rooms: readonly string[]; readonly why: string }>> = {
  faults: { rooms: [], why: 'the vocabulary of refusal depends on nothing' },
  exchange: { rooms: ['faults'], why: 'the centre knows no protocol, no engine and no I/O' },
  store: { rooms: ['faults'], why: 'a leaf: another engine must be able to stand behind its interface' },
  config: { rooms: ['faults'], why: 'a leaf: settings are read by all and know nobody' },
  telemetry: { rooms: ['faults', 'exchange'], why: 'a leaf: it is told, it never asks' },
  identity: { rooms: ['faults', 'exchange', 'store'], why: 'siblings never import each other' },
  policy: { rooms: ['faults', 'exchange'], why: 'siblings never import each other' },
  privacy: { rooms: ['faults', 'exchange'], why: 'siblings never import each other' },
  ledger: { rooms: ['faults', 'exchange'], why: 'siblings never import each other' },
  dtls: { rooms: [], why: 'a protocol library that could stand alone' },
  websocket: { rooms: ['faults', 'exchange'], why: 'a protocol library serves both sides and knows neither' },
  coap: { rooms: [], why: 'a protocol library that could stand alone' },
  listeners: {
    rooms: ['faults', 'exchange', 'websocket', 'dtls', 'coap'],
    why: 'a listener translates the wire and decides nothing',
  },
  upstreams: {
    rooms: ['faults', 'exchange', 'websocket'],
    why: 'an upstream sends what is sealed and decides nothing',
  },
  workers: {
    rooms: ['faults', 'admin', 'ledger'],
    why: 'workers tell each other what happens, in the words of status and ledger; what they do about it is gateway.ts’s',
  },
  admin: {
    rooms: ['faults', 'exchange', 'identity'],
    why: 'the operator’s door acts on the registry, not on messages',
  },
};

/** Rooms that may import anything: the composition root and what stands above it. */
const ROOTS = new Set(['gateway.ts', 'doors.ts', 'gate.ts', 'parts.ts', 'provision.ts', 'cli', 'demo', 'main.ts']);

describe('imports', () => {
  it('finds the sources', () => {
    expect(sources.length).toBeGreaterThan(50);
    for (const name of Object.keys(MAY_IMPORT)) {
      expect(
        sources.some(({ path }) => room(path) === name),
        `the rule for ${name}/ has no folder any more`,
      ).toBe(true);
    }
  });

  it('follow the table', () => {
    const broken = sources.flatMap(({ path, own }) =>
      own
        .filter((target) => !allowed(path, target))
        .map(
          (target) =>
            `${path} imports ${target}: ${MAY_IMPORT[room(path)]?.why ?? 'only gateway.ts, cli/, demo/ and main.ts may'}`,
        ),
    );
    expect(broken).toEqual([]);
  });

  it('have no cycle, type imports included', () => {
    expect(cycles()).toEqual([]);
  });

  it('never come through a barrel', () => {
    expect(
      sources.filter(({ path }) => /(^|\/)index\.ts$/.test(path) && path !== 'dtls/index.ts').map(({ path }) => path),
    ).toEqual([]);
  });
});

function allowed(path: string, target: string): boolean {
  const from = room(path);
  const to = room(target);
  if (from === to || target === 'config/settings.ts') return true;
  if (from === 'main.ts') return to === 'cli';
  if (['gateway.ts', 'doors.ts', 'gate.ts', 'parts.ts', 'provision.ts'].includes(from))
    return !['cli', 'demo', 'main.ts'].includes(to);
  if (from === 'demo') return to !== 'main.ts';
  if (ROOTS.has(from)) return to !== 'main.ts';
  return MAY_IMPORT[from]?.rooms.includes(to) === true;
}

function cycles(): string[] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const state = new Map<string, 'open' | 'done'>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]) => {
    if (state.get(path) === 'done') return;
    if (state.get(path) === 'open') {
      found.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      return;
    }
    state.set(path, 'open');
    for (const target of byPath.get(path)?.own ?? []) visit(target, [...trail, path]);
    state.set(path, 'done');
  };
  for (const { path } of sources) visit(path, []);
  return found;
}

/** Where a module may be used, and why there. */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  // Sockets belong to the rim.
  'node:net': [
    'listeners/',
    'upstreams/',
    'admin/',
    'websocket/',
    'telemetry/local-server.ts',
    // The lead's Unix socket, and its look at whether a port is free.
    'workers/',
    'demo/',
    'cli/',
    'identity/certificate.ts',
    'policy/builtins/',
  ],
  'node:tls': ['listeners/', 'upstreams/', 'demo/', 'gate.ts'],
  'node:http': ['listeners/', 'upstreams/', 'admin/', 'telemetry/local-server.ts', 'demo/', 'cli/'],
  'node:https': ['listeners/', 'upstreams/', 'demo/'],
  'node:dgram': ['dtls/net/'],
  ws: ['websocket/', 'listeners/websocket/', 'upstreams/', 'demo/'],
  // Keys and digests belong to those who own a secret or a proof.
  'node:crypto': [
    'dtls/crypto/',
    'identity/',
    'privacy/',
    'ledger/',
    'upstreams/',
    'policy/builtins/',
    'policy/opa-tool.ts',
    'policy/data.ts',
    'provision.ts',
    'gateway.ts',
    'doors.ts',
    'gate.ts',
    'workers/ticket-keys.ts',
    'cli/',
    'listeners/websocket/',
  ],
  'node:child_process': ['policy/opa-tool.ts', 'cli/', 'demo/'],
  'node:worker_threads': [],
  'node:sqlite': ['store/'],
  '@peculiar/x509': ['identity/ca/'],
  'reflect-metadata': ['identity/ca/'],
};

describe('places', () => {
  it.each(Object.entries(PLACES))('%s is used only where it belongs', (module, places) => {
    const strays = sources.filter(
      ({ path, foreign }) => foreign.includes(module) && !places.some((place) => path.startsWith(place)),
    );
    expect(strays.map(({ path }) => path)).toEqual([]);
  });

  it('the exchange has no I/O at all', () => {
    expect(sources.filter(({ path }) => room(path) === 'exchange').flatMap(({ foreign }) => foreign)).toEqual([]);
  });

  it('the running gateway never loads the authority’s code', () => {
    const reached = new Set<string>();
    const byPath = new Map(sources.map((source) => [source.path, source]));
    const visit = (path: string) => {
      if (reached.has(path)) return;
      reached.add(path);
      for (const target of byPath.get(path)?.own ?? []) visit(target);
    };
    visit('gateway.ts');
    expect([...reached].filter((path) => path.startsWith('identity/ca/'))).toEqual([]);
    expect([...reached].filter((path) => byPath.get(path)?.foreign.includes('node:child_process'))).toEqual([]);
  });
});

describe('names', () => {
  const FORBIDDEN = /(?:^|[^a-z])(?:utils?|helpers?|common|shared|misc|base|manager|handler|impl)(?:$|[^a-z])/;

  it('no file and no type has a name that says nothing', () => {
    const files = sources.map(({ path }) => path).filter((path) => FORBIDDEN.test(path));
    const types = sources.flatMap(({ path, text }) =>
      [...text.matchAll(/\b(?:class|interface|type) ([A-Z]\w*)/g)]
        .map((match) => match[1] as string)
        .filter(
          (name) =>
            /(?:Utils?|Helpers?|Common|Shared|Misc|Base|Manager|Handler|Impl)$/.test(name) || /^I[A-Z][a-z]/.test(name),
        )
        .map((name) => `${path}: ${name}`),
    );
    expect([...files, ...types]).toEqual([]);
  });

  it('files are kebab-case', () => {
    expect(
      sources
        .map(({ path }) => path)
        .filter((path) => !/^(?:[a-z0-9]+(?:-[a-z0-9]+)*\/)*[a-z0-9]+(?:-[a-z0-9]+)*(?:\.d)?\.ts$/.test(path)),
    ).toEqual([]);
  });

  it('every file says what it is before it begins', () => {
    const silent = sources
      .filter(({ text }) => !/^(?:import 'reflect-metadata';\n)?\/\*\*/.test(text))
      .map(({ path }) => path);
    expect(silent).toEqual([]);
  });
});

describe('habits', () => {
  it.each([
    ['rejectUnauthorized: false', /rejectUnauthorized\s*:\s*false/],
    ['any', /^(?!\s*\*).*(?::|\bas|<)\s*any\b/m],
    ['a suppression', /@ts-ignore|@ts-expect-error|@ts-nocheck|biome-ignore/],
    ['TODO', /\b(?:TODO|FIXME|XXX)\b/],
    ['a plain Error thrown', /throw new Error\(/],
    ['Math.random', /Math\.random\(/],
    ['eval', /(?<![.\w])eval\(|new Function\(/],
  ])('the source has no %s', (_, pattern) => {
    expect(sources.filter(({ text }) => pattern.test(text)).map(({ path }) => path)).toEqual([]);
  });

  it('no file is so long that it must hold two ideas', () => {
    const long = sources
      .map(({ path, text }) => ({ path, lines: text.split('\n').length }))
      .filter(({ lines }) => lines > 420);
    expect(long.filter(({ path }) => path !== 'faults/catalogue.ts')).toEqual([]);
  });
});

it('the folder of sources is the one that is described', () => {
  expect(relative(process.cwd(), root)).toBe('src');
});
