/** A real HTTPS listener on loopback before a gate of plain functions, and a client that sends whatever bytes it is told. */
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { DEFAULT_LIMITS, type Limits } from '../../../../src/config/settings.ts';
import type { Arrival } from '../../../../src/exchange/arrival.ts';
import type { Gate, Passage, Session } from '../../../../src/exchange/gate.ts';
import type { Reply } from '../../../../src/exchange/message.ts';
import type { Outcome } from '../../../../src/exchange/outcome.ts';
import type { Peer } from '../../../../src/exchange/peer.ts';
import { pass } from '../../../../src/exchange/pipeline.ts';
import { Sealed } from '../../../../src/exchange/sealed.ts';
import type { FaultCode, Reason } from '../../../../src/faults/catalogue.ts';
import type { DropReason } from '../../../../src/faults/drop.ts';
import { peerFromCertificate } from '../../../../src/identity/certificate.ts';
import { HttpsListener, type HttpsListenerOptions } from '../../../../src/listeners/https/listener.ts';
import { gateOf } from '../../exchange/gate-fixture.ts';
import { CLIENT_AUTH, type Issued, issue } from '../../upstreams/certificates.ts';

/** `localAddress` is net.connect's, which tls.connect hands on. */
export type ClientOptions = ConnectionOptions & { readonly localAddress?: string };

export interface Papers {
  readonly authority: Issued;
  readonly server: Issued;
  readonly device: Issued;
}

let papers: Promise<Papers> | undefined;

/** Made once per test file. */
export function issuePapers(): Promise<Papers> {
  papers ??= (async () => {
    const authority = await issue({ name: 'devices', ca: true });
    return {
      authority,
      server: await issue({ name: 'localhost', dns: ['localhost'] }),
      device: await device(authority),
    };
  })();
  return papers;
}

export function device(issuer: Issued, name = 'thermo-1'): Promise<Issued> {
  return issue({ name, issuer, dns: [name], usages: [CLIENT_AUTH] });
}

/** A request as the forwarder was given it. */
export interface Seen {
  readonly arrival: Arrival;
  readonly kind: Arrival['body']['kind'];
  readonly body: string;
}

export interface Wish {
  readonly limits?: Partial<Limits>;
  readonly deny?: (arrival: Arrival) => Reason | undefined;
  readonly forward?: (arrival: Arrival) => Reply | Promise<Reply>;
  /** Instead of `forward`: what gets the sealed message itself. */
  readonly forwardSealed?: (sealed: Sealed) => Promise<Reply>;
  readonly admit?: (peer: Peer) => Reason | undefined;
  readonly attend?: (session: Session) => void;
  readonly listener?: Partial<HttpsListenerOptions>;
}

export interface Stage {
  readonly listener: HttpsListener;
  readonly port: number;
  readonly papers: Papers;
  readonly seen: Seen[];
  readonly outcomes: Outcome[];
  readonly drops: DropReason[];
  readonly refusals: FaultCode[];
  readonly sessions: Set<Session>;
  client(options?: ClientOptions): Promise<RawClient>;
  close(): Promise<void>;
}

export async function startStage(wish: Wish = {}): Promise<Stage> {
  const papers = await issuePapers();
  const limits = { ...DEFAULT_LIMITS, ...wish.limits };
  const seen: Seen[] = [];
  const drops: DropReason[] = [];
  const refusals: FaultCode[] = [];
  const sessions = new Set<Session>();
  const { gate, trace } = gateOf(ports(wish, seen));
  let decisions = 0;
  const passage: Passage = {
    decisionId: () => {
      decisions += 1;
      return `0198c1d2-0000-7000-8000-${String(decisions).padStart(12, '0')}`;
    },
    now: () => Date.now(),
    admit: (peer) => wish.admit?.(peer),
    pass: (arrival) => pass(arrival, gate),
    reconsider: async () => undefined,
    attend: (session) => {
      sessions.add(session);
      wish.attend?.(session);
      return () => sessions.delete(session);
    },
    drop: (reason) => drops.push(reason),
    refuse: (code) => refusals.push(code),
  };
  const listener = new HttpsListener({
    address: { host: '127.0.0.1', port: 0 },
    tls: { certificate: papers.server.pem, key: papers.server.keyPem, clientAuthorities: [papers.authority.pem] },
    limits,
    passage,
    peerOf: (certificate, address) => peerFromCertificate(certificate, address, limits.certificateBytes),
    ...wish.listener,
  });
  await listener.listen();
  const { port } = listener.address();
  const clients: RawClient[] = [];
  return {
    listener,
    port,
    papers,
    seen,
    outcomes: trace.observed,
    drops,
    refusals,
    sessions,
    client: async (options = {}) => {
      const client = await RawClient.connect(port, { cert: papers.device.pem, key: papers.device.keyPem, ...options });
      clients.push(client);
      return client;
    },
    close: async () => {
      for (const client of clients) client.socket.destroy();
      await listener.close(0);
    },
  };
}

function ports(wish: Wish, seen: Seen[]): Partial<Gate> {
  return {
    now: () => Date.now(),
    decider: {
      revision: 'r1',
      decide: ({ arrival }) => {
        const reason = wish.deny?.(arrival);
        if (reason !== undefined) return { allow: false, reasons: [reason] };
        return { allow: true, obligations: { route: 'sensors/telemetry', upstream: 'cloud', stream: true } };
      },
    },
    transformer: {
      decode: () => undefined,
      transform: ({ identified: { arrival } }) => arrival,
      transformReply: (_, reply) => reply,
      redactPath: (path) => path,
    },
    forwarder: {
      forward: async (sealed) => {
        if (wish.forwardSealed) return wish.forwardSealed(sealed);
        const { arrival } = Sealed.assert(sealed).permitted.identified;
        seen.push({ arrival, kind: arrival.body.kind, body: await textOf(arrival) });
        if (wish.forward) return wish.forward(arrival);
        const bytes = Buffer.from('{"ok":true}');
        return { status: 200, headers: [], contentType: 'application/json', body: { kind: 'bytes', bytes } };
      },
    },
  };
}

async function textOf({ body }: Arrival): Promise<string> {
  if (body.kind === 'empty') return '';
  if (body.kind === 'bytes') return Buffer.from(body.bytes).toString('latin1');
  const chunks: Uint8Array[] = [];
  for await (const chunk of body.stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

export interface Response {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export class RawClient {
  readonly socket: TLSSocket;
  received = '';
  session: Buffer | undefined;
  closed = false;

  constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1');
    });
    socket.on('session', (session: Buffer) => {
      this.session = session;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
    });
  }

  /** Rejects if the handshake fails. */
  static connect(port: number, options: ClientOptions): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options });
      const client = new RawClient(socket);
      socket.once('secureConnect', () => resolve(client));
      socket.once('close', () => reject(new Error('closed in the handshake')));
    });
  }

  send(bytes: string | Uint8Array): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    return this;
  }

  /** Everything up to the end of the connection. */
  async toEnd(timeoutMs = 10_000): Promise<string> {
    await until(() => this.closed, timeoutMs);
    return this.received;
  }

  /** The next complete final response; interim ones are skipped. */
  async response(timeoutMs = 5_000): Promise<Response> {
    let taken: { response: Response; end: number } | undefined;
    await until(() => {
      taken = parseResponse(this.received, this.closed);
      while (taken !== undefined && taken.response.status < 200) {
        this.received = this.received.slice(taken.end);
        taken = parseResponse(this.received, this.closed);
      }
      return taken !== undefined || this.closed;
    }, timeoutMs);
    if (taken === undefined) throw new Error(`closed without a response: ${JSON.stringify(this.received)}`);
    this.received = this.received.slice(taken.end);
    return taken.response;
  }

  /** Sends and waits for one response. */
  ask(bytes: string | Uint8Array): Promise<Response> {
    return this.send(bytes).response();
  }
}

export function parseResponse(text: string, closed: boolean): { response: Response; end: number } | undefined {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return undefined;
  const [line = '', ...fields] = text.slice(0, head).split('\r\n');
  const headers = Object.fromEntries(
    fields.map((field) => [
      field.slice(0, field.indexOf(':')).toLowerCase(),
      field.slice(field.indexOf(':') + 1).trim(),
    ]),
  );
  const status = Number(line.split(' ')[1]);
  const length = headers['content-length'];
  let end = head + 4;
  if (length !== undefined) end += Number(length);
  else if (headers['transfer-encoding'] === 'chunked') {
    const last = text.indexOf('0\r\n\r\n', end);
    if (last < 0) return undefined;
    end = last + 5;
  } else if (status >= 200 && status !== 204 && status !== 304 && headers.connection === 'close') {
    if (!closed) return undefined;
    end = text.length;
  }
  if (text.length < end) return undefined;
  return { response: { status, headers, body: text.slice(head + 4, end) }, end };
}

export async function until(condition: () => boolean, timeoutMs = 5_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`nothing happened within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A whole request; `Host` is added. */
export function request(verb: string, path: string, headers: Record<string, string> = {}, body = ''): string {
  const all: Record<string, string> = { host: 'localhost', ...headers };
  if (body !== '' && all['transfer-encoding'] === undefined) all['content-length'] ??= String(body.length);
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${verb} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}
