/** A simulated small device: CoAP over DTLS with a pre-shared key, one association that is kept. It tells what an HTTPS device tells. */
import type { Method } from '../coap/codes.ts';
import { Endpoint } from '../coap/endpoint.ts';
import { splitPath } from '../coap/uri.ts';
import { connect } from '../dtls/endpoint.ts';
import type { DtlsSession } from '../dtls/options.ts';
import type { DeviceAnswer } from './device.ts';

const JSON_FORMAT = 50;
const TIMEOUT_MS = 10_000;
/** A device that was refused wants to know soon. */
const LIMITS = { handshakeDeadlineMs: 3_000, retransmitFirstMs: 200, unauthenticAlertGraceMs: 50 };

export class SmallDevice {
  readonly id: string;
  readonly over = 'CoAP';
  readonly #psk: { readonly identity: string; readonly key: string };
  readonly #port: number;
  readonly #coap: Endpoint<string>;
  #dtls: DtlsSession | undefined;
  #timer: NodeJS.Timeout | undefined;
  #observes = false;
  #onTold: (text: string) => void = () => {};

  constructor(id: string, psk: { readonly identity: string; readonly key: string }, port: number) {
    this.id = id;
    this.#psk = psk;
    this.#port = port;
    this.#coap = new Endpoint<string>({
      send: (_, bytes) => {
        this.#dtls?.send(bytes);
      },
      now: () => performance.now(),
      deadline: (atMs) => this.#wakeAt(atMs),
    });
  }

  /** One request. Never throws: a refused handshake is an answer with status 0, 2.xx is 200, 4.03 is 403. */
  async send(method: string, path: string, body?: string): Promise<DeviceAnswer> {
    try {
      await this.#open();
      const { code, payload } = await this.#coap.request(
        'gateway',
        {
          method: method as Method,
          pathSegments: splitPath(path) ?? [],
          ...(body !== undefined && { contentFormat: JSON_FORMAT, payload: Buffer.from(body) }),
        },
        { timeoutMs: TIMEOUT_MS },
      );
      const text = Buffer.from(payload).toString('utf8');
      if (code >> 5 === 2) return { status: 200, body: text };
      const [reason = '', decision = ''] = text.split(' ');
      return { status: (code >> 5) * 100 + (code & 0x1f), body: text, reason, decision };
    } catch (thrown) {
      return { status: 0, body: '', error: (thrown as Error).message };
    }
  }

  /** What it is told next by whatever it observes at this path. Rejects when nothing comes in time. */
  async told(path: string): Promise<string> {
    await this.#open();
    const next = Promise.withResolvers<string>();
    const timer = setTimeout(() => next.reject(new Error('nothing came in time')), TIMEOUT_MS);
    this.#onTold = (text) => next.resolve(text);
    try {
      if (!this.#observes) {
        this.#observes = true;
        await this.#coap.observe(
          'gateway',
          { method: 'GET', pathSegments: splitPath(path) ?? [] },
          {
            notification: ({ payload }) => this.#onTold(Buffer.from(payload).toString('utf8')),
            end: (_, last) => {
              this.#observes = false;
              next.reject(new Error(`the observation ended: ${Buffer.from(last?.payload ?? []).toString('utf8')}`));
            },
          },
        );
      }
      return await next.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#coap.close();
    this.#dtls?.close();
  }

  async #open(): Promise<void> {
    if (this.#dtls?.state === 'open') return;
    const dtls = await connect('127.0.0.1', this.#port, {
      pskIdentity: this.#psk.identity,
      pskKey: new TextEncoder().encode(this.#psk.key),
      limits: LIMITS,
    });
    dtls.onmessage = (datagram) => this.#coap.receive('gateway', datagram, performance.now());
    dtls.onclose = () => this.#coap.forgetPeer('gateway');
    this.#dtls = dtls;
  }

  #wakeAt(atMs: number): void {
    clearTimeout(this.#timer);
    if (!Number.isFinite(atMs)) return;
    const inMs = Math.max(1, atMs - performance.now());
    this.#timer = setTimeout(() => this.#coap.advance(performance.now()), inMs).unref();
  }
}
