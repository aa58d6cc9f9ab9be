/** A load generator of our own (bench/peers/*-load.ts): a Node process on the load's core that is asked for work over IPC. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { LOAD_CORE, type Workplace } from './children.ts';

const ANSWERS_WITHIN_MS = 120_000;

export interface Sample {
  readonly operations: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export class LoadClient<Order, Answer> {
  readonly #process: ChildProcess;
  readonly #name: string;

  private constructor(name: string, child: ChildProcess) {
    this.#name = name;
    this.#process = child;
  }

  /** @param script file name in bench/peers/ @param set what it needs to know once, e.g. port and certificates */
  static async start<Order, Answer>(
    workplace: Workplace,
    script: string,
    set: object,
  ): Promise<LoadClient<Order, Answer>> {
    const file = fileURLToPath(new URL(`../peers/${script}`, import.meta.url));
    const child = spawn('taskset', ['-c', String(LOAD_CORE), process.execPath, file, JSON.stringify(set)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const client = new LoadClient<Order, Answer>(script, child);
    workplace.keep(client);
    await client.#next();
    return client;
  }

  get pid(): number {
    return this.#process.pid as number;
  }

  async ask(order: Order): Promise<Answer> {
    this.#process.send(order as object);
    return (await this.#next()) as Answer;
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exit = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exit;
  }

  #next(): Promise<unknown> {
    return new Promise((done, fail) => {
      const ended = () => fail(new Error(`${this.#name} ended before it answered`));
      const timer = setTimeout(() => fail(new Error(`${this.#name} does not answer`)), ANSWERS_WITHIN_MS);
      this.#process.once('exit', ended);
      this.#process.once('message', (message: { readonly error?: string }) => {
        clearTimeout(timer);
        this.#process.off('exit', ended);
        if (message.error !== undefined) fail(new Error(`${this.#name}: ${message.error}`));
        else done(message);
      });
    });
  }
}
