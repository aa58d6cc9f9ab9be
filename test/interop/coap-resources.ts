/** What the CoAP peers are asked for: a small house of resources behind our endpoint, over plain UDP on loopback. */
import type { CoapRequest, CoapResponse, ObserveRelation } from '../../src/coap/api.ts';
import { CODE } from '../../src/coap/codes.ts';
import { answerWellKnownCore, WELL_KNOWN_CORE } from '../../src/coap/link-format.ts';
import { UdpEndpoint } from '../unit/coap/udp-endpoint.ts';

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
export const words = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
/** Text that shows a block in the wrong place. */
export const pattern = (bytes: number): string =>
  Array.from({ length: Math.ceil(bytes / 8) }, (_, at) => String(at).padStart(8, '0'))
    .join('')
    .slice(0, bytes);

export class Resources {
  readonly store = new Map<string, Uint8Array>();
  /** How often each POST with a body ran, by body. */
  readonly posted: string[] = [];
  readonly relations: ObserveRelation<string>[] = [];
  readonly udp: UdpEndpoint;

  private constructor(udp: UdpEndpoint) {
    this.udp = udp;
  }

  static async open(): Promise<Resources> {
    let self: Resources | undefined;
    const udp = await UdpEndpoint.open({
      server: {
        handle: (request) => self?.answer(request) ?? { code: CODE.serviceUnavailable },
      },
    });
    self = new Resources(udp);
    return self;
  }

  answer(request: CoapRequest<string>): CoapResponse<string> | Promise<CoapResponse<string>> {
    const { method, path } = request;
    if (path === WELL_KNOWN_CORE)
      return answerWellKnownCore(request, [
        { path: '/state', observable: true, contentFormats: [0] },
        { path: '/big' },
      ]);
    if (path === '/slow')
      return new Promise((resolve) => setTimeout(() => resolve({ code: CODE.content, payload: text('late') }), 700));
    if (path === '/state' && method === 'GET')
      return { code: CODE.content, contentFormat: 0, payload: text('state 0'), observe: (one) => this.#watch(one) };
    if (path === '/big') return { code: CODE.content, contentFormat: 0, payload: text(pattern(6_000)) };
    if (method === 'POST') {
      this.posted.push(words(request.payload));
      return { code: CODE.changed, contentFormat: 0, payload: request.payload.slice() };
    }
    if (method === 'PUT') {
      const before = this.store.has(path);
      this.store.set(path, request.payload.slice());
      return { code: before ? CODE.changed : CODE.created };
    }
    if (method === 'DELETE') return { code: this.store.delete(path) ? CODE.deleted : CODE.notFound };
    if (method !== 'GET') return { code: CODE.changed, payload: text(method) };
    const payload = this.store.get(path);
    return payload === undefined ? { code: CODE.notFound } : { code: CODE.content, contentFormat: 0, payload };
  }

  #watch(relation: ObserveRelation<string>): void {
    this.relations.push(relation);
    let number = 0;
    const timer = setInterval(() => {
      number += 1;
      relation.notify(
        { code: CODE.content, contentFormat: 0, payload: text(`state ${number}`) },
        { confirmable: number % 2 === 0 },
      );
    }, 100);
    relation.signal.addEventListener('abort', () => clearInterval(timer));
  }

  async close(): Promise<void> {
    await this.udp.close();
  }
}
