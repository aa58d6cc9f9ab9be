/** Programs that a benchmark starts: pinned to a core, their output kept in a file, ended by process id whatever happens. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

/** What is measured runs here, alone; load and cloud share the other one. */
export const SERVER_CORE = 0;
export const LOAD_CORE = availableParallelism() > 1 ? 1 : 0;

const STARTS_WITHIN_MS = 20_000;
const ENDS_WITHIN_MS = 10_000;

export interface StartOptions {
  readonly core?: number | string;
  readonly environment?: Readonly<Record<string, string>>;
}

export class Child {
  readonly name: string;
  readonly process: ChildProcess;
  readonly #log: string;

  constructor(name: string, child: ChildProcess, log: string) {
    this.name = name;
    this.process = child;
    this.#log = log;
  }

  get pid(): number {
    return this.process.pid as number;
  }

  get ended(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** Everything it has written so far. */
  output(): string {
    return readFileSync(this.#log, 'utf8');
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.ended) return;
    const exit = once(this.process, 'exit');
    this.process.kill(signal);
    const timer = setTimeout(() => this.process.kill('SIGKILL'), ENDS_WITHIN_MS);
    await exit;
    clearTimeout(timer);
  }
}

/** A folder of its own and what runs in it. Everything is gone after `close()`. */
export class Workplace {
  static readonly #open = new Set<Workplace>();
  readonly directory = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  readonly #children: { end(): Promise<void> }[] = [];
  #started = 0;

  constructor() {
    Workplace.#open.add(this);
  }

  /** For Ctrl-C: ends every process and removes every folder there is. */
  static async closeAll(): Promise<void> {
    await Promise.all([...Workplace.#open].map((one) => one.close()));
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  start(name: string, command: string, words: readonly string[], options: StartOptions = {}): Child {
    const log = this.path(`${this.#started++}-${name}.log`);
    const output = openSync(log, 'a');
    const pinned = options.core === undefined ? [command] : ['taskset', '-c', String(options.core), command];
    const child = spawn(pinned[0] as string, [...pinned.slice(1), ...words], {
      stdio: ['ignore', output, output],
      env: { ...plainEnvironment(), ...options.environment },
    });
    child.on('error', () => undefined);
    closeSync(output);
    const started = new Child(name, child, log);
    this.#children.push(started);
    return started;
  }

  /** Ends it with the rest. */
  keep(one: { end(): Promise<void> }): void {
    this.#children.push(one);
  }

  /** Waits until the child accepts connections. */
  async listening(child: Child, port: number, host = '127.0.0.1'): Promise<void> {
    await until(
      () => accepts(port, host),
      () => `${child.name} does not listen on ${port}:\n${child.output()}`,
      child,
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#children.toReversed().map((child) => child.end()));
    rmSync(this.directory, { recursive: true, force: true });
    Workplace.#open.delete(this);
  }
}

/** As a service would have it: without what npm says about itself. */
function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')));
}

/** Asks every 20 ms. Throws what `complaint` says when it takes too long or the child has ended. */
export async function until(
  holds: () => Promise<boolean>,
  complaint: () => string,
  child?: Child,
  withinMs = STARTS_WITHIN_MS,
): Promise<void> {
  const began = performance.now();
  while (!(await holds())) {
    if (performance.now() - began > withinMs || child?.ended) throw new Error(complaint());
    await new Promise((later) => setTimeout(later, 20));
  }
}

export function accepts(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, host);
    socket.once('connect', () => socket.destroy(undefined) && done(true));
    socket.once('error', () => done(false));
  });
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** The program's version line; undefined if it is not installed. */
export function versionOf(program: string, ...words: string[]): string | undefined {
  try {
    return execFileSync('sh', ['-c', `${program} ${words.join(' ')} 2>&1`], { encoding: 'utf8' }).split('\n')[0];
  } catch {
    return undefined;
  }
}
