/**
 * Reads sallyport.yaml into frozen Settings, or says everything that is wrong with it at once. `config check`, `run` and
 * reload all come here. YAML anchors (bombs), tags and directives are refused, as are duplicate keys
 * and keys that could pollute a prototype.
 */
import { readFileSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import {
  type Document,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Pair,
  parseDocument,
  type Scalar,
  visit,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { Fault } from '../faults/fault.ts';
import { crossCheck } from './cross-check.ts';
import { defaultOf, LIMIT_DEFINITIONS } from './definitions.ts';
import { MAX_PROBLEMS, nearest, type Problem, renderProblem } from './problem.ts';
import { type Configuration, configuration } from './schema.ts';
import {
  DEFAULT_LIMITS,
  type PrivacyRule,
  type SegmentSettings,
  type Settings,
  type UpstreamSettings,
} from './settings.ts';

export const CONFIGURATION_FILE = 'sallyport.yaml';
/** The YAML parser needs a microsecond or two a byte; 2,500 routes fit. */
const MAX_BYTES = 262_144;
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

/** A configuration that cannot be used: every problem, and the text a person should read. */
export class ConfigurationError extends Fault {
  readonly problems: readonly Problem[];
  /** All problems rendered with their places in the file. */
  readonly text: string;

  constructor(problems: readonly Problem[], file: string, source: string) {
    const lines = source.split(/\r?\n/);
    const more = problems.length >= MAX_PROBLEMS ? ' or more' : '';
    const told = problems.slice(0, MAX_PROBLEMS);
    super('SP_CONFIG_INVALID', `${told.length}${more} problem${told.length === 1 ? '' : 's'} in ${file}`);
    this.problems = told;
    this.text = told.map((problem) => renderProblem(problem, file, lines)).join('\n');
  }
}

export interface Loaded {
  readonly settings: Settings;
  readonly source: string;
  /** Gives problems found later (files, selectors, policy) their place in the file. */
  locate(problems: readonly Problem[]): ConfigurationError;
}

/**
 * @param directory the gateway's folder
 * @throws Fault SP_CONFIG_MISSING, or ConfigurationError with all problems
 */
export function loadConfiguration(directory: string): Loaded {
  const absolute = resolve(directory);
  const file = join(absolute, CONFIGURATION_FILE);
  const shown = displayPath(file);
  let source: string;
  try {
    if (statSync(file).size > MAX_BYTES)
      throw new ConfigurationError([{ path: [], message: 'larger than 256 KiB' }], shown, '');
    source = readFileSync(file, 'utf8');
  } catch (cause) {
    if (cause instanceof ConfigurationError) throw cause;
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new Fault('SP_CONFIG_MISSING', `There is no ${CONFIGURATION_FILE} in ${absolute}.`, { cause });
    }
    throw new Fault('SP_CONFIG_INVALID', `${shown} cannot be read: ${(cause as Error).message}`, { cause });
  }
  return parseConfiguration(source, absolute, shown);
}

/** As loadConfiguration, from text. `directory` is absolute. */
export function parseConfiguration(source: string, directory: string, shown = CONFIGURATION_FILE): Loaded {
  const counter = new LineCounter();
  const fail = (problems: readonly Problem[]) => new ConfigurationError(problems, shown, source);
  let document: Document.Parsed;
  try {
    // Duplicate keys are found below: the parser compares every key with all before it, minutes for a file full of them.
    document = parseDocument(source, { lineCounter: counter, uniqueKeys: false, strict: true, version: '1.2' });
  } catch {
    // A RangeError of the parser: nested past the stack. No configuration needs that.
    throw fail([{ path: [], message: 'nested too deeply' }]);
  }
  const broken = [...syntaxProblems(document, counter), ...hostileProblems(document, counter)];
  if (broken.length > 0) throw fail(broken);

  const locate = (problems: readonly Problem[]) =>
    fail(sorted(problems.slice(0, MAX_PROBLEMS).map((problem) => place(problem, document, counter))));
  const raw: unknown = document.toJS({ maxAliasCount: 0 });
  const parsed = configuration.safeParse(raw, { reportInput: false });
  const problems = [...(parsed.success ? [] : issueProblems(parsed.error.issues)), ...crossCheck(raw, directory)];
  if (!parsed.success || problems.length > 0) throw locate(problems);
  return { settings: freeze(toSettings(parsed.data, directory)), source, locate };
}

function syntaxProblems(document: Document.Parsed, counter: LineCounter): Problem[] {
  return [...document.errors, ...document.warnings].slice(0, MAX_PROBLEMS).map((error) => {
    const { line, col } = counter.linePos(error.pos[0]);
    const tooDeep = error.message.startsWith('Maximum call stack');
    const message = tooDeep ? 'nested too deeply' : (error.message.split(' at line ')[0] ?? 'not YAML');
    return { path: [], message, line, column: col, width: Math.max(1, error.pos[1] - error.pos[0]) };
  });
}

function hostileProblems(document: Document.Parsed, counter: LineCounter): Problem[] {
  const problems: Problem[] = [];
  const add = (message: string, offset: number | undefined) => {
    if (problems.length >= MAX_PROBLEMS) return;
    const { line, col } = counter.linePos(offset ?? 0);
    problems.push({ path: [], message, line, column: col });
  };
  if (!isMap(document.contents)) add('a configuration is a map of keys; see docs/config.md', 0);
  // `%YAML 1.1` gives `yes`, `010` and `<<` other meanings than a reader sees, and `%TAG` gives them to tags.
  const { yaml, tags } = document.directives;
  if (yaml.explicit || Object.keys(tags).length > 1) add('YAML directives are not accepted', 0);
  const refuseMarks = (node: Scalar | YAMLMap | YAMLSeq) => {
    if (node.anchor) add('YAML anchors are not accepted', node.range?.[0]);
    // `limits: !!set {a}` would be a Set, in which the schema finds no unknown keys, for it finds none at all.
    if (node.tag !== undefined) add('YAML tags are not accepted', node.range?.[0]);
  };
  visit(document, {
    Alias: (_, node) => add('YAML aliases are not accepted; write the value again', node.range?.[0]),
    Scalar: (_, node) => refuseMarks(node),
    Seq: (_, node) => refuseMarks(node),
    Map: (_, node) => {
      refuseMarks(node);
      const seen = new Set<unknown>();
      for (const { key } of node.items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value)) add('the same key twice', key.range?.[0]);
        seen.add(key.value);
      }
    },
    Pair: (_, pair: Pair) => {
      const key = isScalar(pair.key) ? pair.key : undefined;
      if (key && FORBIDDEN_KEYS.has(String(key.value)))
        add(`the key ${String(key.value)} is not accepted`, key.range?.[0]);
      if (!key || typeof key.value !== 'string') add('keys are plain text', isNode(pair.key) ? pair.key.range?.[0] : 0);
    },
  });
  return problems;
}

interface Issue {
  readonly code?: string | undefined;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keys?: readonly string[];
  readonly errors?: readonly (readonly Issue[])[];
  readonly expected?: unknown;
  readonly values?: readonly unknown[];
}

/** @param base where the issues' paths begin: a union's branches do not repeat it */
function issueProblems(issues: readonly unknown[], base: readonly (string | number)[] = []): Problem[] {
  return (issues as readonly Issue[]).slice(0, MAX_PROBLEMS).flatMap((issue): Problem[] => {
    const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
    if (issue.code === 'unrecognized_keys') {
      return (issue.keys ?? []).slice(0, MAX_PROBLEMS).map((key) => {
        const guess = nearest(key, knownKeys(path));
        const remedy = guess ? `did you mean "${guess}"?` : `known here: ${knownKeys(path).join(', ')}`;
        return { path: [...path, key], message: 'unknown key', remedy };
      });
    }
    if (issue.code === 'invalid_union') return unionProblems(issue, path, [...base, ...path]);
    if (issue.code === 'invalid_type' && issue.message.includes('received undefined')) {
      return [{ path, message: 'is missing', remedy: describeKey(path) ?? 'docs/config.md shows how it is written' }];
    }
    if (issue.code === 'invalid_key')
      return [{ path, message: 'a name has 1 to 64 lowercase letters, digits and inner hyphens' }];
    if (issue.code === 'invalid_value') {
      return [{ path, message: `is one of ${(issue.values ?? []).join(', ')}` }];
    }
    if (issue.code === 'invalid_type') return [wrongType(path, String(issue.expected), [...base, ...path])];
    return [{ path, message: issue.message.replace(/^Invalid input: /, '') }];
  });
}

/** Of a union's branches the one that got furthest tells a person most. */
function unionProblems(issue: Issue, path: (string | number)[], whole: readonly (string | number)[]): Problem[] {
  const branches = (issue.errors ?? []).map((branch) => issueProblems(branch, whole));
  const useful = branches.filter((branch) => branch.some((problem) => !problem.message.startsWith('is not a')));
  const chosen = useful[0] ?? [differently(whole)];
  return chosen.map((problem) => ({ ...problem, path: [...path, ...problem.path] }));
}

/** What each type is called, and how one is written under a key. */
const TYPES: Readonly<Record<string, { readonly word: string; readonly written: (key: string) => string }>> = {
  object: { word: 'a map', written: (key) => `${key}: { name: … }, or the names indented below it` },
  record: { word: 'a map', written: (key) => `${key}: { name: … }, or the names indented below it` },
  array: { word: 'a list', written: (key) => `${key}: [one, two]` },
  string: {
    word: 'text',
    written: (key) => `${key}: word; what YAML takes for something else in quotes, ${key}: "10"`,
  },
  number: { word: 'a number', written: (key) => `${key}: 10` },
  boolean: { word: 'true or false', written: (key) => `${key}: true` },
};

function wrongType(path: (string | number)[], expected: string, whole: readonly (string | number)[]): Problem {
  const type = TYPES[expected];
  const key = String(whole.findLast((part) => typeof part === 'string') ?? '');
  // A description comes with an example of this very key; the type's is the next best.
  const described = describeKey(whole) ?? describeKey(whole.slice(0, -1));
  const enough = described?.includes('`') === true && expected !== 'array';
  const remedy = enough ? described : [described, type?.written(key)].filter(Boolean).join(' As in ');
  return { path, message: `is not ${type?.word ?? expected}`, remedy };
}

function differently(path: readonly (string | number)[]): Problem {
  return { path: [], message: 'is written differently', remedy: describeKey(path) ?? 'docs/config.md shows how' };
}

/** Keys the schema knows at a path: walks the schema, through records, arrays and defaults. */
export function knownKeys(path: readonly (string | number)[]): string[] {
  const shape = shapeAt(path)?.shape;
  return shape ? Object.keys(shape) : [];
}

interface SchemaNode {
  readonly shape?: Readonly<Record<string, SchemaNode>>;
  readonly description?: string | undefined;
  readonly def?: {
    readonly type?: string;
    readonly innerType?: SchemaNode;
    readonly in?: SchemaNode;
    readonly valueType?: SchemaNode;
    readonly element?: SchemaNode;
    readonly options?: readonly SchemaNode[];
  };
}

function describeKey(path: readonly (string | number)[]): string | undefined {
  const limit = path[0] === 'limits' ? LIMIT_DEFINITIONS.find(({ key }) => key === path[1]) : undefined;
  if (limit) return `${limit.text} The default: \`${defaultOf(limit)}\`.`;
  const parent = shapeAt(path.slice(0, -1));
  return parent?.shape?.[String(path.at(-1))]?.description;
}

function shapeAt(path: readonly (string | number)[]): SchemaNode | undefined {
  let node: SchemaNode | undefined = configuration as unknown as SchemaNode;
  for (const part of path) {
    node = unwrap(node);
    node = node?.shape?.[String(part)] ?? node?.def?.valueType ?? node?.def?.element;
  }
  return unwrap(node);
}

function unwrap(node: SchemaNode | undefined): SchemaNode | undefined {
  let inner = node;
  while (inner && !inner.shape) {
    const next: SchemaNode | undefined =
      inner.def?.innerType ?? inner.def?.in ?? inner.def?.options?.find((option) => unwrap(option)?.shape);
    if (!next) return inner;
    inner = next;
  }
  return inner;
}

/** Line, column and width of the key (for an unknown or misplaced key) or else the value at a problem's path. */
function place(problem: Problem, document: Document.Parsed, counter: LineCounter): Problem {
  if (problem.line !== undefined) return problem;
  for (let length = problem.path.length; length > 0; length--) {
    const parent = length === 1 ? document.contents : document.getIn(problem.path.slice(0, length - 1), true);
    const last = problem.path[length - 1];
    let node: unknown = document.getIn(problem.path.slice(0, length), true);
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isScalar(item.key) && String(item.key.value) === String(last));
      if (pair && (length === problem.path.length ? problem.message === 'unknown key' || !isScalar(pair.value) : true))
        node = pair.key;
    }
    if (isNode(node) && node.range) {
      const { line, col } = counter.linePos(node.range[0]);
      const width = Math.max(1, Math.min(node.range[1] - node.range[0], 60));
      return { ...problem, line, column: col, width };
    }
  }
  return { ...problem, line: 1, column: 1 };
}

function sorted(problems: Problem[]): Problem[] {
  return problems.sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}

function toSettings(config: Configuration, directory: string): Settings {
  const at = (file: string) => join(directory, file);
  const upstreams = new Map<string, UpstreamSettings>();
  for (const [name, { url, certificate, ca, ...rest }] of Object.entries(config.upstreams)) {
    upstreams.set(name, {
      name,
      url: new URL(url).origin,
      ...(certificate !== undefined && {
        certificate: { certificateFile: at(join(certificate, 'cert.pem')), keyFile: at(join(certificate, 'key.pem')) },
      }),
      ...(ca !== undefined && { ca: at(ca) }),
      ...rest,
    });
  }
  const segments = new Map<string, SegmentSettings>();
  for (const [name, segment] of Object.entries(config.segments)) {
    segments.set(name, {
      name,
      routes: Object.entries(segment.routes).map(([route, { allow, ...rest }]) => {
        return { name: route, verb: allow.verb, path: allow.path, ...defined(rest) };
      }),
      reach: new Map(
        Object.entries(segment.reach).map(([target, actions]) => [
          target,
          actions.map(({ allow, privacy }) => ({ ...allow, ...(privacy !== undefined && { privacy }) })),
        ]),
      ),
    });
  }
  const privacy = new Map<string, PrivacyRule>();
  for (const [name, { coarsen, purpose, ...rule }] of Object.entries(config.privacy)) {
    const steps = Object.entries(coarsen).map(([selector, step]) => ({ selector, ...step }));
    privacy.set(name, { name, ...rule, coarsen: steps, purpose: purpose ?? name });
  }
  return {
    gateway: config.gateway,
    directory,
    listen: {
      ...(config.listen.https && { https: config.listen.https }),
      ...(config.listen.coaps && { coaps: config.listen.coaps }),
      ...(config.listen.metrics && { metrics: config.listen.metrics }),
    },
    workers: config.workers,
    upstreams,
    segments,
    privacy,
    policy: {
      entrypoint: config.policy.entrypoint,
      ...(config.policy.module !== undefined && { module: at(config.policy.module) }),
      ...(config.policy.data !== undefined && { data: at(config.policy.data) }),
    },
    limits: { ...DEFAULT_LIMITS, ...defined(config.limits as Partial<typeof DEFAULT_LIMITS>) },
    log: config.log,
  };
}

/** The same object without keys whose value is undefined (exactOptionalPropertyTypes). */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as never;
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const entry of value instanceof Map ? value.values() : Object.values(value)) freeze(entry);
  }
  return value;
}

function displayPath(file: string): string {
  const short = relative(process.cwd(), file);
  return short === '' || short.startsWith('..') ? file : short;
}
