/** A request as the handler sees it. Options are decoded when they are looked at; what cannot be decoded was refused before (`faultOf`). */
import type { CoapOption, CoapRequest } from './api.ts';
import type { CoapMessage } from './codec.ts';
import { METHODS, type Method, TYPE } from './codes.ts';
import { findAll, findOption, findUint, OPTION, readText, readTexts } from './option-table.ts';
import type { PeerState } from './peer-state.ts';
import { composePath, composeQuery } from './uri.ts';

export class IncomingRequest<Peer> implements CoapRequest<Peer> {
  readonly peer: Peer;
  readonly method: Method;
  readonly pathSegments: readonly string[];
  readonly queries: readonly string[];
  readonly payload: Uint8Array;
  readonly observe: 'register' | 'deregister' | undefined;
  readonly confirmable: boolean;
  readonly token: Uint8Array;
  readonly options: readonly CoapOption[];
  readonly #state: PeerState<Peer>;
  readonly #nowMs: number;
  #controller: AbortController | undefined;
  #aborted = false;
  #path: string | undefined;

  constructor(state: PeerState<Peer>, message: CoapMessage, parts: RequestParts, payload: Uint8Array, nowMs: number) {
    this.#state = state;
    this.#nowMs = nowMs;
    this.peer = state.peer;
    this.method = METHODS[message.code - 1] as Method;
    this.pathSegments = parts.pathSegments;
    this.queries = parts.queries;
    this.payload = payload;
    this.observe = parts.observe;
    this.confirmable = message.type === TYPE.confirmable;
    this.token = message.token;
    this.options = message.options;
  }

  get path(): string {
    this.#path ??= composePath(this.pathSegments);
    return this.#path;
  }
  get query(): string {
    return this.queries.length === 0 ? '' : composeQuery(this.queries);
  }
  get uriHost(): string | undefined {
    const value = findOption(this.options, OPTION.uriHost);
    return value === undefined ? undefined : readText(value);
  }
  get uriPort(): number | undefined {
    return findUint(this.options, OPTION.uriPort);
  }
  get contentFormat(): number | undefined {
    return findUint(this.options, OPTION.contentFormat);
  }
  get accept(): number | undefined {
    return findUint(this.options, OPTION.accept);
  }
  get etags(): readonly Uint8Array[] {
    return findAll(this.options, OPTION.etag);
  }
  get ifMatch(): readonly Uint8Array[] {
    return findAll(this.options, OPTION.ifMatch);
  }
  get ifNoneMatch(): boolean {
    return findOption(this.options, OPTION.ifNoneMatch) !== undefined;
  }

  /** Made on demand: most handlers answer before anybody asks. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  abort(): void {
    this.#aborted = true;
    this.#controller?.abort();
  }

  isFresh(withinMs: number): boolean {
    const echoed = findOption(this.options, OPTION.echo);
    const given = this.#state.echo;
    if (echoed === undefined || given === undefined || echoed.length !== given.value.length) return false;
    let difference = 0;
    for (let at = 0; at < echoed.length; at++) difference |= (echoed[at] as number) ^ (given.value[at] as number);
    return difference === 0 && this.#nowMs - given.atMs <= withinMs;
  }
}

export interface RequestParts {
  readonly pathSegments: readonly string[];
  readonly queries: readonly string[];
  readonly observe: 'register' | 'deregister' | undefined;
}

const NONE: readonly string[] = Object.freeze([]);

/**
 * Decodes what must be sound before a handler sees it.
 * @returns undefined when a text is not UTF-8 or a path segment is `.` or `..` (RFC 7252 section 5.10.1), which a server behind might resolve.
 */
export function requestParts(message: CoapMessage): RequestParts | undefined {
  let pathSegments: string[] | undefined;
  let queries: string[] | undefined;
  let observe: RequestParts['observe'];
  for (const { number, value } of message.options) {
    if (number === OPTION.uriPath) {
      const segment = readText(value);
      if (segment === undefined || segment === '.' || segment === '..') return undefined;
      pathSegments ??= [];
      pathSegments.push(segment);
    } else if (number === OPTION.uriQuery) {
      const text = readText(value);
      if (text === undefined) return undefined;
      queries ??= [];
      queries.push(text);
    } else if (number === OPTION.uriHost) {
      if (readText(value) === undefined) return undefined;
    } else if (number === OPTION.observe && (message.code === 1 || message.code === 5)) {
      // RFC 7641 section 2: another value is as good as no option.
      if (value.length === 0) observe = 'register';
      else if (value.length === 1 && value[0] === 1) observe = 'deregister';
      else if (value.every((byte) => byte === 0)) observe = 'register';
    }
  }
  return { pathSegments: pathSegments ?? NONE, queries: queries ?? NONE, observe };
}

export function locationOf(options: readonly CoapOption[]):
  | {
      readonly path: readonly string[];
      readonly query: readonly string[];
    }
  | undefined {
  const path = readTexts(options, OPTION.locationPath);
  const query = readTexts(options, OPTION.locationQuery);
  return path === undefined || query === undefined ? undefined : { path, query };
}
