/**
 * CoAP over DTLS under the listener contract: a message is a POST, a refusal is a code of class 4 or 5 with reason and decision
 * in its diagnostic payload. A peer leaves with close_notify: whoever falls silent is only gone when the association idles.
 * What is too large is refused by the library on its first block, before any reason: test/e2e/coaps.test.ts.
 */
import { X509Certificate } from 'node:crypto';
import { codeText } from '../../src/coap/codes.ts';
import { Endpoint } from '../../src/coap/endpoint.ts';
import { connect } from '../../src/dtls/endpoint.ts';
import type { DtlsSession } from '../../src/dtls/options.ts';
import { peerFromCertificate } from '../../src/identity/certificate.ts';
import { chainVerifier } from '../../src/identity/path/verify-chain.ts';
import { CoapsListener } from '../../src/listeners/coaps/listener.ts';
import type { House } from './house.ts';
import {
  type Credentials,
  type Door,
  listenerContract,
  type Papers,
  type Talker,
  type Told,
} from './listener-contract.ts';

/** A confirmable request without options but these segments. */
function request(code: number, ...segments: string[]): Uint8Array {
  const options = segments.map((segment, index) =>
    Buffer.concat([Buffer.of(((index === 0 ? 11 : 0) << 4) | segment.length), Buffer.from(segment)]),
  );
  return Buffer.concat([Buffer.of(0x41, code, 0x7d, 0x34, 0x01), ...options]);
}

listenerContract({
  name: 'coaps',
  face: ({ coap }) => coap,
  tellsDecision: true,
  malformed: [
    { name: 'an empty segment', bytes: request(0x02, 'v1', '', 'x'), code: 'SP_COAP_TARGET' },
    { name: 'a slash within a segment', bytes: request(0x02, 'v1/x'), code: 'SP_COAP_TARGET' },
    { name: 'a segment that is encoded already', bytes: request(0x02, '%2e%2e'), code: 'SP_COAP_TARGET' },
    { name: 'no device behind a tilde', bytes: request(0x02, '~X', 'y'), code: 'SP_COAP_TARGET' },
    { name: 'FETCH', bytes: request(0x05, 'v1'), code: 'SP_COAP_METHOD' },
  ],
  oversized: [],
  start: async (house, papers) => new CoapsDoor(house, papers).open(),
});

class CoapsDoor implements Door {
  readonly #listener: CoapsListener;

  constructor({ limits, passage }: House, { server, authority }: Papers) {
    const trust = [new X509Certificate(authority.pem).raw];
    const verify = chainVerifier({ trust, crls: [], purpose: 'client' });
    this.#listener = new CoapsListener({
      address: { host: '127.0.0.1', port: 0 },
      credential: { certificate: server.pem, key: server.keyPem },
      limits,
      passage,
      identity: {
        psk: () => undefined,
        chainProblem: (chain) => {
          const verdict = verify(chain, Date.now());
          return verdict.accepted ? undefined : verdict.reason;
        },
        certificatePeer: (leaf, address) => peerFromCertificate(leaf, address, limits.certificateBytes),
        rawKeyPeer: () => {
          throw new Error('no raw keys here');
        },
        pskPeer: () => {
          throw new Error('no pre-shared keys here');
        },
        generation: () => '',
      },
      linksFor: () => undefined,
      isObservable: () => false,
      count: () => undefined,
    });
  }

  async open(): Promise<this> {
    await this.#listener.listen();
    return this;
  }

  async connect({ cert, key }: Credentials): Promise<Talker | undefined> {
    const shown = cert !== undefined && key !== undefined ? { cert, key } : {};
    const dtls = await connect('127.0.0.1', this.#listener.address().port, {
      ...shown,
      verifyPeer: () => ({ accepted: true }),
      limits: { handshakeDeadlineMs: 1_500, unauthenticAlertGraceMs: 50, retransmitFirstMs: 500 },
    }).catch(() => undefined);
    return dtls && new CoapsTalker(dtls);
  }

  drain(timeoutMs: number): Promise<void> {
    return this.#listener.close(timeoutMs);
  }

  close(): Promise<void> {
    return this.#listener.close(0);
  }
}

class CoapsTalker implements Talker {
  readonly closed: Promise<void>;
  readonly #dtls: DtlsSession;
  readonly #endpoint: Endpoint<string>;
  #everything = '';
  #isClosed = false;
  #onDatagram: ((datagram: Uint8Array) => void) | undefined;

  constructor(dtls: DtlsSession) {
    this.#dtls = dtls;
    this.#endpoint = new Endpoint<string>({
      send: (_, bytes) => {
        dtls.send(bytes);
      },
      now: () => performance.now(),
    });
    dtls.onmessage = (datagram) => {
      this.#everything += Buffer.from(datagram).toString('latin1');
      this.#onDatagram?.(datagram);
      this.#endpoint.receive('gateway', datagram, performance.now());
    };
    this.closed = dtls.closed.then(() => {
      this.#isClosed = true;
      this.#endpoint.close();
    });
  }

  async say(json: string): Promise<Told> {
    if (this.#isClosed) return { everything: '', open: false };
    this.#everything = '';
    const response = await this.#endpoint
      .request('gateway', {
        method: 'POST',
        pathSegments: ['v1', 'telemetry'],
        contentFormat: 50,
        payload: Buffer.from(json),
      })
      .catch(() => undefined);
    const everything = this.#everything;
    if (response === undefined) return { everything, open: false };
    const text = Buffer.from(response.payload).toString('utf8');
    if (response.code >> 5 === 2) return { answer: text, everything, open: true };
    const [reason = '', decision = ''] = text.split(' ');
    return { face: codeText(response.code), reason, decision, everything, open: true };
  }

  async utter(octets: Uint8Array): Promise<Told> {
    this.#everything = '';
    const answered = new Promise<Uint8Array>((resolve) => {
      this.#onDatagram = resolve;
    });
    this.#dtls.send(octets);
    const datagram = Buffer.from(await answered);
    const marker = datagram.indexOf(0xff);
    const [reason = '', decision = ''] = datagram
      .subarray(marker + 1)
      .toString('utf8')
      .split(' ');
    return { face: codeText(datagram[1] ?? 0), reason, decision, everything: this.#everything, open: false };
  }

  leave(): void {
    this.#dtls.close();
  }
}
