/**
 * What keys of the configuration say about each other and about files. Works on the raw document, so that these problems
 * are told together with those of shape; whatever has the wrong shape is skipped here, because schema.ts reports it.
 */
import { statSync } from 'node:fs';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { MAX_PROBLEMS, nearest, type Problem } from './problem.ts';

type Path = readonly (string | number)[];

/** All contradictions and dangling references. `directory` is the gateway's folder, absolute. */
export function crossCheck(raw: unknown, directory: string): Problem[] {
  const root = mapOf(raw);
  const upstreams = mapOf(root.upstreams);
  const privacy = mapOf(root.privacy);
  const policy = mapOf(root.policy);
  const known: Known = {
    upstream: new Set(Object.keys(upstreams)),
    'privacy rule': new Set([...Object.keys(privacy), 'unchanged']),
    segment: new Set(Object.keys(mapOf(root.segments))),
  };
  return [
    ...segmentsProblems(mapOf(root.segments), known),
    ...Object.entries(upstreams).flatMap(([name, upstream]) =>
      upstreamProblems(['upstreams', name], mapOf(upstream), directory),
    ),
    ...fileProblems(['policy', 'module'], policy.module, 'policy', directory),
    ...fileProblems(['policy', 'data'], policy.data, 'policy', directory),
    ...('unchanged' in privacy
      ? [{ path: ['privacy', 'unchanged'], message: '"unchanged" is built in', remedy: 'choose another name' }]
      : []),
    ...(root.listen !== undefined && mapOf(root.listen).https === undefined && mapOf(root.listen).coaps === undefined
      ? [{ path: ['listen'], message: 'nothing to listen on', remedy: 'add https: 0.0.0.0:8443' }]
      : []),
  ];
}

/** Loopback by name or literal address, as URL.hostname spells it. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

/** Why a text cannot be the url of an upstream, or undefined: for flags that become one. */
export function crossCheckUrl(text: string): string | undefined {
  const problem = urlProblems([], text, {})[0];
  return problem && (problem.remedy ? `${problem.message}; ${problem.remedy}` : problem.message);
}

type Known = Readonly<Record<'upstream' | 'privacy rule' | 'segment', ReadonlySet<string>>>;

/** A guess at what was meant is looked for among so many names: each dangling name compares with all of them. */
const MAX_GUESSED = 1_000;
/** Names that are listed when there is nothing to guess. */
const MAX_LISTED = 20;

/** Ends where there are more problems than anybody is told. */
function segmentsProblems(segments: Record<string, unknown>, known: Known): Problem[] {
  const problems: Problem[] = [];
  for (const [name, segment] of Object.entries(segments)) {
    if (problems.length >= MAX_PROBLEMS) break;
    problems.push(...segmentProblems(['segments', name], mapOf(segment), known));
  }
  return problems;
}

function segmentProblems(path: Path, segment: Record<string, unknown>, known: Known): Problem[] {
  const problems: Problem[] = [];
  const refer = (at: Path, name: unknown, what: keyof Known) => {
    if (problems.length >= MAX_PROBLEMS || typeof name !== 'string' || known[what].has(name)) return;
    problems.push(dangling(at, name, what, [...known[what]].slice(0, MAX_GUESSED)));
  };
  for (const [name, raw] of Object.entries(mapOf(segment.routes))) {
    const route = mapOf(raw);
    const at = [...path, 'routes', name];
    refer([...at, 'to'], route.to, 'upstream');
    refer([...at, 'privacy'], route.privacy, 'privacy rule');
    const directed = route.direction !== undefined && route.direction !== 'both';
    if (directed && typeof route.allow === 'string' && !route.allow.startsWith('WS ')) {
      problems.push({
        path: [...at, 'direction'],
        message: 'only WS routes have a direction',
        remedy: 'leave it out: an answer rides on its request',
      });
    }
  }
  for (const [target, actions] of Object.entries(mapOf(segment.reach))) {
    refer([...path, 'reach', target], target, 'segment');
    if (!Array.isArray(actions)) continue;
    for (const [index, action] of actions.entries()) {
      refer([...path, 'reach', target, index, 'privacy'], mapOf(action).privacy, 'privacy rule');
    }
  }
  return problems;
}

function dangling(path: Path, name: string, what: keyof Known, known: readonly string[]): Problem {
  const guess = nearest(name, known);
  const place = { upstream: 'upstreams', 'privacy rule': 'privacy', segment: 'segments' }[what];
  const more = known.length > MAX_LISTED ? ', …' : '';
  const listed =
    known.length > 0 ? `known: ${known.slice(0, MAX_LISTED).join(', ')}${more}` : `define it under ${place}`;
  return { path, message: `there is no ${what} "${name}"`, remedy: guess ? `did you mean "${guess}"?` : listed };
}

function upstreamProblems(path: Path, upstream: Record<string, unknown>, directory: string): Problem[] {
  return [
    ...(typeof upstream.url === 'string' ? urlProblems([...path, 'url'], upstream.url, upstream) : []),
    ...fileProblems([...path, 'ca'], upstream.ca, 'certs', directory),
    ...fileProblems([...path, 'certificate'], upstream.certificate, 'certs', directory),
  ];
}

function urlProblems(path: Path, text: string, upstream: Record<string, unknown>): Problem[] {
  if (!URL.canParse(text))
    return [{ path, message: 'is not a URL', remedy: 'write https://host or https://host:port' }];
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    return [{ path, message: 'is neither https:// nor http://' }];
  }
  if (url.username !== '' || url.password !== '') {
    return [{ path, message: 'carries a user name or password', remedy: 'use `certificate` for mutual TLS' }];
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    const remedy = `write ${url.origin}; the path comes from the device’s request`;
    return [{ path, message: 'is more than an origin', remedy }];
  }
  if (url.protocol === 'https:') return [];
  if (upstream.dangerouslyPlaintext !== true && !isLoopback(url.hostname)) {
    const remedy = 'The upstream would receive device data in clear. Use https://, or set dangerouslyPlaintext: true.';
    return [{ path, message: 'http:// to a host that is not loopback', remedy }];
  }
  if (upstream.ca !== undefined || upstream.certificate !== undefined || upstream.pins !== undefined) {
    return [{ path, message: 'http:// cannot use certificate, ca or pins', remedy: 'use https://' }];
  }
  return [];
}

/**
 * Files of the configuration lie in one subfolder of the gateway's: `certs/` or `policy/`. The running gateway may read
 * nothing else, so a path that leads elsewhere would fail at run time under the permission model.
 */
function fileProblems(path: Path, file: unknown, folder: 'certs' | 'policy', directory: string): Problem[] {
  if (typeof file !== 'string' || file === '') return [];
  const inside = relative(directory, resolve(directory, file));
  if (isAbsolute(file) || !inside.startsWith(`${folder}${sep}`)) {
    const remedy = `copy it into ${folder}/ beside sallyport.yaml and write ${folder}/…`;
    return [{ path, message: `lies outside ${folder}/ of the gateway’s folder`, remedy }];
  }
  return statSync(join(directory, file), { throwIfNoEntry: false })
    ? []
    : [{ path, message: `there is no ${inside}`, remedy: 'paths are relative to sallyport.yaml' }];
}

/** The value as a map of keys; empty if it is none. */
function mapOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
