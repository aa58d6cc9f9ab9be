/** WebSockets under the listener contract: a message is a text frame, a refusal is a close with the catalogue's code (RFC 6455). */
import { connect } from 'node:tls';
import { HttpsListener } from '../../src/listeners/https/listener.ts';
import { WebSocketListener } from '../../src/listeners/websocket/listener.ts';
import { until } from '../unit/listeners/https/stage.ts';
import { frame, OPCODE, RawClient } from '../unit/websocket/wire.ts';
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

const text = (payload: string) => frame({ opcode: OPCODE.text, payload });
const { text: TEXT, ping: PING } = OPCODE;

listenerContract({
  name: 'websocket',
  face: ({ websocket }) => websocket,
  tellsDecision: false, // a close frame has room for one code; the decision is in the ledger and in the log
  malformed: [
    {
      name: 'a frame without a mask',
      bytes: frame({ opcode: TEXT, payload: '{}', masked: false }),
      code: 'SP_WEBSOCKET_PROTOCOL',
    },
    {
      name: 'a reserved bit',
      bytes: frame({ opcode: TEXT, payload: '{}', reserved: 0x40 }),
      code: 'SP_WEBSOCKET_PROTOCOL',
    },
    { name: 'an opcode that there is not', bytes: frame({ opcode: 3, payload: '{}' }), code: 'SP_WEBSOCKET_PROTOCOL' },
    {
      name: 'a continuation of nothing',
      bytes: frame({ opcode: OPCODE.continuation, payload: '{}' }),
      code: 'SP_WEBSOCKET_PROTOCOL',
    },
    {
      name: 'a ping in pieces',
      bytes: frame({ opcode: PING, payload: 'x', final: false }),
      code: 'SP_WEBSOCKET_PROTOCOL',
    },
    {
      name: 'text that is not UTF-8',
      bytes: frame({ opcode: TEXT, payload: Buffer.from([0x7b, 0xff, 0x7d]) }),
      code: 'SP_PAYLOAD_SYNTAX',
    },
  ],
  oversized: [
    {
      name: 'a message larger than any may be',
      bytes: text(`{"temperature":"${'1'.repeat(5_000)}"}`),
      code: 'SP_WEBSOCKET_TOO_LARGE',
    },
    {
      name: 'a frame that says to be larger than any may be',
      bytes: frame({ opcode: TEXT, payload: '{', lengthBytes: 8, length: 2n ** 40n }),
      code: 'SP_WEBSOCKET_TOO_LARGE',
    },
    {
      name: 'a message that grows piece by piece',
      bytes: Buffer.concat([
        frame({ opcode: TEXT, payload: `"${'1'.repeat(3_000)}`, final: false }),
        frame({ opcode: OPCODE.continuation, payload: `${'1'.repeat(3_000)}"` }),
      ]),
      code: 'SP_WEBSOCKET_TOO_LARGE',
    },
  ],
  start: async (house, papers) => new WebSocketDoor(house, papers).open(),
});

class WebSocketDoor implements Door {
  readonly #house: House;
  readonly #listener: HttpsListener;
  #port = 0;

  constructor(house: House, papers: Papers) {
    this.#house = house;
    const { limits, passage } = house;
    const upgrader = new WebSocketListener({ listener: 'https', limits, passage });
    this.#listener = new HttpsListener(httpsOptions(house, papers, upgrader));
  }

  async open(): Promise<this> {
    await this.#listener.listen();
    this.#port = this.#listener.address().port;
    return this;
  }

  /** Up to the answer to the opening handshake. */
  async connect(credentials: Credentials): Promise<Talker | undefined> {
    const socket = connect({ host: '127.0.0.1', port: this.#port, rejectUnauthorized: false, ...credentials });
    const client = new RawClient(socket, '/v1/live');
    const head = await client.opened.catch(() => '');
    return head.startsWith('HTTP/1.1 101 ') ? new WebSocketTalker(client) : undefined;
  }

  drain(timeoutMs: number): Promise<void> {
    const drained = this.#listener.close(timeoutMs);
    // As gateway.ts does.
    this.#house.sessions.closeWhere(({ protocol }) => protocol === 'websocket', 'draining');
    return drained;
  }

  close(): Promise<void> {
    return this.#listener.close(0);
  }
}

class WebSocketTalker implements Talker {
  readonly closed: Promise<void>;
  readonly #client: RawClient;
  #gone = false;

  constructor(client: RawClient) {
    this.#client = client;
    this.closed = client.ended.then(() => {
      this.#gone = true;
    });
  }

  say(json: string): Promise<Told> {
    return this.utter(text(json));
  }

  async utter(octets: Uint8Array): Promise<Told> {
    const { heard, socket, ended } = this.#client;
    const { length } = heard;
    if (!socket.destroyed) socket.write(octets);
    await until(() => this.#gone || heard.slice(length).some(({ opcode }) => opcode === TEXT), 20_000);
    const since = heard.slice(length);
    const everything = since.map(({ payload }) => payload.toString('latin1')).join('\n');
    const answer = since.find(({ opcode }) => opcode === TEXT)?.payload.toString('utf8');
    if (answer !== undefined) return { answer, everything, open: true };
    const { code, reason } = await ended;
    return { ...(code !== undefined && { face: code, reason }), everything, open: false };
  }

  leave(): void {
    this.#client.socket.destroy();
  }
}
