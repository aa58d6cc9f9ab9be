/** One endpoint with a clock that a test turns and everything it sends on record; messages written in a line. */
import type { CoapOption, CoapRequest, CoapResponse, EndpointOptions } from '../../../src/coap/api.ts';
import { type CoapMessage, isMalformed, parseMessage, serialiseMessage } from '../../../src/coap/codec.ts';
import { CODE, TYPE } from '../../../src/coap/codes.ts';
import { Endpoint } from '../../../src/coap/endpoint.ts';
import { DEFAULT_LIMITS } from '../../../src/coap/limits.ts';
import { OPTION, textOption } from '../../../src/coap/option-table.ts';

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
export const words = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
export const NONE: Uint8Array = new Uint8Array(0);

export function message(parts: Partial<CoapMessage> & { path?: string } = {}): Uint8Array {
  const { path, ...rest } = parts;
  const options: CoapOption[] = (path ?? '')
    .split('/')
    .filter((segment) => segment !== '')
    .map((segment) => textOption(OPTION.uriPath, segment));
  return serialiseMessage({
    type: TYPE.confirmable,
    code: 1,
    messageId: 1,
    token: Uint8Array.of(7),
    payload: NONE,
    ...rest,
    options: [...options, ...(rest.options ?? [])],
  });
}

export function read(bytes: Uint8Array): CoapMessage {
  const parsed = parseMessage(bytes, DEFAULT_LIMITS);
  if (isMalformed(parsed)) throw new TypeError(`malformed: ${parsed.malformed}`);
  return parsed;
}

export class Rig {
  now = 1_000;
  readonly sent: Uint8Array[] = [];
  readonly handled: CoapRequest<string>[] = [];
  readonly refused: string[] = [];
  readonly failures: unknown[] = [];
  readonly endpoint: Endpoint<string>;
  answer: (request: CoapRequest<string>) => CoapResponse<string> | Promise<CoapResponse<string>> = () => ({
    code: CODE.content,
    payload: text('hello'),
  });

  constructor(options: Partial<EndpointOptions<string>> = {}) {
    this.endpoint = new Endpoint<string>({
      send: (_, bytes) => {
        this.sent.push(bytes);
      },
      now: () => this.now,
      server: {
        handle: (request) => {
          this.handled.push(request);
          return this.answer(request);
        },
      },
      refused: (_, reason) => {
        this.refused.push(reason);
      },
      failed: (_, error) => {
        this.failures.push(error);
      },
      ...options,
    });
  }

  receive(bytes: Uint8Array, peer = 'peer'): void {
    this.endpoint.receive(peer, bytes, this.now);
  }

  /** What was sent since the last look. */
  taken(): CoapMessage[] {
    return this.sent.splice(0).map(read);
  }

  /** The one message that was sent since. */
  one(): CoapMessage {
    const all = this.taken();
    if (all.length !== 1) throw new TypeError(`${all.length} messages were sent`);
    return all[0] as CoapMessage;
  }

  exchange(parts: Parameters<typeof message>[0], peer = 'peer'): CoapMessage {
    this.receive(message(parts), peer);
    return this.one();
  }

  /** Turns the clock on, stopping at every deadline. */
  pass(ms: number): void {
    const until = this.now + ms;
    while (this.endpoint.nextDeadlineMs <= until) {
      this.now = Math.max(this.now, this.endpoint.nextDeadlineMs);
      this.endpoint.advance(this.now);
    }
    this.now = until;
  }
}

/** Lets promises that are ready run. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

export function optionOf(message: CoapMessage, number: number): Uint8Array | undefined {
  return message.options.find((option) => option.number === number)?.value;
}
