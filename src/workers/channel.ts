/**
 * One end of the line between the lead and a follower: JSON Lines over a Unix socket, one question or notice a line. What
 * may be asked is the other side's interface of duties (duties.ts); a Fault that answers keeps its code and message.
 */
import type { Socket } from 'node:net';
import { FAULTS, type FaultCode } from '../faults/catalogue.ts';
import { Fault } from '../faults/fault.ts';

/** A page of metrics has a tenth of this; news of a hundred thousand connections too. */
const MAX_LINE_CHARACTERS = 16_777_216;
/** Unread bytes after which the other side hangs. */
const MAX_PENDING_BYTES = 67_108_864;
/** Longest that an answer is waited for: reading the configuration and trying a large policy takes seconds. */
const ANSWER_TIMEOUT_MS = 20_000;

/** `q` asks under that number, `a` answers it; neither: a notice. */
interface Line {
  readonly q?: number;
  readonly a?: number;
  readonly name?: string;
  readonly value?: unknown;
  readonly fault?: { readonly code: string; readonly message: string };
}

type Duty<D, N extends keyof D> = D[N] extends (...parameters: never[]) => unknown ? D[N] : never;

export class Channel<Theirs extends object> {
  readonly #socket: Socket;
  readonly #duties: object;
  readonly #asked = new Map<number, { resolve: (value: never) => void; reject: (fault: Fault) => void }>();
  readonly closed: Promise<void>;
  #next = 1;
  #text = '';

  /** @param duties what the other side may ask; a method per name */
  constructor(socket: Socket, duties: object) {
    this.#socket = socket;
    this.#duties = duties;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#hear(text));
    socket.on('error', () => socket.destroy());
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        for (const { reject } of this.#asked.values()) reject(gone());
        this.#asked.clear();
        resolve();
      });
    });
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  /** Throws the Fault of the other side; SP_GATEWAY_WORKER if it is gone or does not answer in time. */
  ask<N extends keyof Theirs & string>(
    name: N,
    value: Parameters<Duty<Theirs, N>>[0],
    timeoutMs = ANSWER_TIMEOUT_MS,
  ): Promise<Awaited<ReturnType<Duty<Theirs, N>>>> {
    return new Promise((resolve, reject) => {
      const q = this.#next++;
      const timer = setTimeout(() => {
        this.#asked.delete(q);
        reject(new Fault('SP_GATEWAY_WORKER', `A worker does not answer (${name}).`));
      }, timeoutMs);
      const settled = <T>(settle: (value: T) => void) => {
        return (result: T) => {
          clearTimeout(timer);
          settle(result);
        };
      };
      this.#asked.set(q, { resolve: settled(resolve), reject: settled(reject) });
      this.#send({ q, name, value });
    });
  }

  /** Says something that needs no answer. */
  tell<N extends keyof Theirs & string>(name: N, value: Parameters<Duty<Theirs, N>>[0]): void {
    this.#send({ name, value });
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(line: Line): void {
    if (this.#socket.destroyed) {
      if (line.q !== undefined) this.#take(line.q)?.reject(gone());
      return;
    }
    this.#socket.write(`${JSON.stringify(line)}\n`);
    if (this.#socket.writableLength > MAX_PENDING_BYTES) this.#socket.destroy();
  }

  #hear(text: string): void {
    const lines = (this.#text + text).split('\n');
    this.#text = lines.pop() ?? '';
    if (this.#text.length > MAX_LINE_CHARACTERS) this.#socket.destroy();
    for (const line of lines) {
      try {
        this.#obey(JSON.parse(line) as Line);
      } catch {
        // Not one of us at the other end.
        this.#socket.destroy();
      }
    }
  }

  #obey({ q, a, name, value, fault }: Line): void {
    if (a !== undefined) {
      const asked = this.#take(a);
      if (fault) asked?.reject(new Fault(codeOf(fault.code), fault.message));
      else asked?.resolve(value as never);
      return;
    }
    void this.#do(name ?? '', value).then(
      (result) => q !== undefined && this.#send({ a: q, value: result }),
      (thrown: unknown) => {
        const { code, message } = Fault.from(thrown);
        if (q !== undefined) this.#send({ a: q, fault: { code, message } });
      },
    );
  }

  async #do(name: string, value: unknown): Promise<unknown> {
    const duty = Object.hasOwn(this.#duties, name) ? (this.#duties as Record<string, unknown>)[name] : undefined;
    if (typeof duty !== 'function') throw new Fault('SP_GATEWAY_WORKER', 'The workers are of different releases.');
    return await (duty as (value: unknown) => unknown)(value);
  }

  #take(number: number) {
    const asked = this.#asked.get(number);
    this.#asked.delete(number);
    return asked;
  }
}

function codeOf(code: string): FaultCode {
  return Object.hasOwn(FAULTS, code) ? (code as FaultCode) : 'SP_INTERNAL';
}

function gone(): Fault {
  return new Fault('SP_GATEWAY_WORKER', 'A worker ended before it answered.');
}
