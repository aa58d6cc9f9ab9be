/** HTTPS under the listener contract: a message is a POST, a refusal is a problem document (RFC 9457). */
import { HttpsListener } from '../../src/listeners/https/listener.ts';
import { parseResponse, RawClient, request, until } from '../unit/listeners/https/stage.ts';
import type { House } from './house.ts';
import { httpsOptions } from './https-options.ts';
import {
  type Credentials,
  type Door,
  listenerContract,
  type Papers,
  type Talker,
  type Told,
} from './listener-contract.ts';

const TYPE = { 'content-type': 'application/json' };
const bytes = (text: string) => Buffer.from(text, 'latin1');
const get = (target: string, ...fields: string[]) =>
  bytes([`GET ${target} HTTP/1.1`, 'Host: localhost', ...fields, '', ''].join('\r\n'));

listenerContract({
  name: 'https',
  face: ({ http }) => http,
  tellsDecision: true,
  malformed: [
    {
      name: 'an ambiguous length',
      bytes: get('/v1', 'Content-Length: 0', 'Content-Length: 5'),
      code: 'SP_HTTP_FRAMING',
    },
    { name: 'two Hosts', bytes: get('/v1', 'Host: evil.example'), code: 'SP_HTTP_HOST' },
    { name: 'a target of two slashes', bytes: get('//evil.example/v1'), code: 'SP_HTTP_TARGET' },
    { name: 'a header that some read as another', bytes: get('/v1', 'X_Device: thermo-2'), code: 'SP_HTTP_HEADER' },
    {
      name: 'an upgrade to anything',
      bytes: get('/v1', 'Connection: Upgrade', 'Upgrade: h2c'),
      code: 'SP_HTTP_UPGRADE',
    },
    { name: 'no HTTP at all', bytes: bytes('hello, gateway\r\n\r\n'), code: 'SP_HTTP_SYNTAX' },
  ],
  oversized: [
    {
      name: 'a body that says to be larger than any may be',
      bytes: bytes(request('POST', '/v1', { ...TYPE, 'content-length': '8193' }, '{')),
      code: 'SP_HTTP_BODY_TOO_LARGE',
    },
    {
      name: 'a body too large to look at',
      bytes: bytes(request('POST', '/v1', TYPE, `{"temperature":"${'1'.repeat(5_000)}"}`)),
      code: 'stream-not-allowed',
    },
    {
      name: 'a body that does not say how large it is',
      bytes: bytes(
        request(
          'POST',
          '/v1',
          { ...TYPE, 'transfer-encoding': 'chunked' },
          `1388\r\n${'1'.repeat(5_000)}\r\n0\r\n\r\n`,
        ),
      ),
      code: 'stream-not-allowed',
    },
  ],
  start: async (house, papers) => new HttpsDoor(house, papers).open(),
});

class HttpsDoor implements Door {
  readonly #listener: HttpsListener;
  #port = 0;

  constructor(house: House, papers: Papers) {
    this.#listener = new HttpsListener(httpsOptions(house, papers));
  }

  async open(): Promise<this> {
    await this.#listener.listen();
    this.#port = this.#listener.address().port;
    return this;
  }

  async connect(credentials: Credentials): Promise<Talker | undefined> {
    const client = await RawClient.connect(this.#port, credentials).catch(() => undefined);
    return client && new HttpsTalker(client);
  }

  drain(timeoutMs: number): Promise<void> {
    return this.#listener.close(timeoutMs);
  }

  close(): Promise<void> {
    return this.#listener.close(0);
  }
}

class HttpsTalker implements Talker {
  readonly closed: Promise<void>;
  readonly #client: RawClient;

  constructor(client: RawClient) {
    this.#client = client;
    this.closed = client.closed
      ? Promise.resolve()
      : new Promise((resolve) => client.socket.once('close', () => resolve()));
  }

  say(json: string): Promise<Told> {
    return this.utter(bytes(request('POST', '/v1/telemetry', TYPE, json)));
  }

  async utter(octets: Uint8Array): Promise<Told> {
    const client = this.#client;
    client.received = '';
    client.send(octets);
    await until(() => client.closed || parseResponse(client.received, false) !== undefined, 20_000);
    const everything = client.received;
    const { response } = parseResponse(everything, client.closed) ?? {};
    if (response === undefined) return { everything, open: false };
    const open = response.headers.connection !== 'close';
    if (!open) await until(() => client.closed, 20_000);
    if (response.status === 200) return { answer: response.body, everything, open };
    const { reason, decision, status } = JSON.parse(response.body) as {
      reason: string;
      decision: string;
      status: number;
    };
    return { face: status === response.status ? status : 0, reason, decision, everything, open };
  }

  leave(): void {
    this.#client.socket.destroy();
  }
}
