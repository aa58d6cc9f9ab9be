/**
 * Our side of BoringSSL's test runner (ssl/test/runner): for each connection it dials `-port`, says `-shim-id`, and speaks DTLS in
 * frames over TCP, on the runner's clock. Exit 0 passed, 89 not implemented, else an error text that config.json maps.
 *
 *     P length(4) datagram      T nanoseconds(8): advance the clock, answer t      M mtu(4)      E nanoseconds(8): next timeout
 *
 *     go test ./ssl/test/runner -shim-path $PWD/test/bogo/shim.sh -shim-config $PWD/test/bogo/config.json -test 'DTLS*' -loose-errors
 *
 * The server is driven behind the cookie stage, because the runner takes no HelloVerifyRequest.
 */
import { readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import type { Effect, Peer } from '../../src/dtls/core.ts';
import { SUITES } from '../../src/dtls/crypto/suites.ts';
import { DtlsEngine } from '../../src/dtls/engine.ts';
import type { ClientOptions, PeerAddress, ResumableSession, ServerOptions } from '../../src/dtls/options.ts';
import type { DropReason } from '../../src/dtls/stats.ts';
import { type Flags, parseFlags } from './flags.ts';

const NOT_IMPLEMENTED = 89;
const RUNNER: PeerAddress = { address: '127.0.0.1', port: 1 };
const LIMITS = {
  retransmitFirstMs: 400,
  maxFlightSends: 13,
  handshakeDeadlineMs: 24 * 3_600_000,
  resendSpacingMs: 0,
  unauthenticAlertGraceMs: 0,
  maxHandshakeMessageBytes: 65_536,
  maxReassemblyBytes: 131_072,
  maxTranscriptBytes: 262_144,
  maxBadFinishedRecords: 1,
};
/** What we drop in silence and the runner wants to see refused. */
const REFUSALS = new Set<DropReason>([
  'message-unexpected',
  'fragment-malformed',
  'fragment-inconsistent',
  'message-too-long',
  'change-cipher-spec-malformed',
  'hello-malformed',
  'version-wrong',
]);

function readFlags(): { first: Flags; later: Flags } {
  const args = process.argv.slice(2);
  if (args.includes('-is-handshaker-supported')) {
    process.stdout.write('No\n');
    process.exit(0);
  }
  const parsed = parseFlags(args);
  if ('unknown' in parsed) {
    process.stderr.write(`not implemented: ${parsed.unknown}\n`);
    process.exit(NOT_IMPLEMENTED);
  }
  return parsed;
}

function refuse(text: string): never {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}

const { first, later } = readFlags();
const DTLS_1_2 = 0xfefd;
const isTooNew = (text: string | undefined) => text !== undefined && Number(text) < DTLS_1_2;
const isTooOld = (text: string | undefined) => text !== undefined && Number(text) > DTLS_1_2;
if (!first.has('dtls') || isTooNew(first.value('min-version')) || isTooOld(first.value('max-version'))) {
  process.exit(NOT_IMPLEMENTED);
}

/** Certificate, key, PSK and the rest, as both sides have them. */
function credentials(flags: Flags) {
  const certFile = flags.value('cert-file');
  const keyFile = flags.value('key-file');
  const psk = flags.value('psk');
  const alpn = flags.value('select-alpn') ?? flags.value('advertise-alpn');
  return {
    ...(certFile === undefined ? {} : { cert: readFileSync(certFile, 'utf8') }),
    ...(keyFile === undefined ? {} : { key: readFileSync(keyFile, 'utf8') }),
    ...(alpn === undefined || alpn === '' ? {} : { alpnProtocols: namesOf(flags, alpn) }),
    pskKey: psk === undefined || psk === '' ? undefined : new TextEncoder().encode(psk),
    suites: SUITES.map(({ name }) => name),
  };
}

/** advertise-alpn is the wire form of the list, select-alpn one name. */
function namesOf(flags: Flags, text: string): string[] {
  if (flags.value('select-alpn') !== undefined) return [text];
  const names: string[] = [];
  for (let at = 0; at < text.length; at += 1 + text.charCodeAt(at))
    names.push(text.slice(at + 1, at + 1 + text.charCodeAt(at)));
  return names;
}

const verdict = (flags: Flags) =>
  flags.has('verify-fail') ? ({ accepted: false, reason: 'verify-fail' } as const) : ({ accepted: true } as const);

function serverOptions(flags: Flags): ServerOptions {
  const { pskKey, ...own } = credentials(flags);
  const requestCert = flags.has('verify-peer') || flags.has('require-any-client-certificate');
  return {
    ...own,
    dangerouslySkipCookie: true,
    requestCert,
    clientCertificateOptional: !flags.has('require-any-client-certificate'),
    verifyPeer: () => verdict(flags),
    isStillAllowed: () => true,
    limits: LIMITS,
    ...(pskKey === undefined
      ? {}
      : { psk: (identity) => (identity === (flags.value('psk-identity') ?? '') ? pskKey : undefined) }),
  };
}

function clientOptions(flags: Flags, session: ResumableSession | undefined): ClientOptions {
  const { pskKey, ...own } = credentials(flags);
  const servername = flags.value('host-name');
  return {
    ...own,
    verifyPeer: () => verdict(flags),
    limits: LIMITS,
    ...(servername === undefined ? {} : { servername }),
    ...(session === undefined ? {} : { session }),
    ...(pskKey === undefined ? {} : { pskIdentity: flags.value('psk-identity') ?? '', pskKey }),
  };
}

/** One connection. */
class Connection {
  readonly #engine: DtlsEngine;
  readonly #flags: Flags;
  readonly #socket: Socket;
  readonly #clock: { nowMs: number };
  #peer: Peer | undefined;
  #wasOpen = false;
  #failure: string | undefined;
  #buffer = Buffer.alloc(0);

  constructor(engine: DtlsEngine, flags: Flags, socket: Socket, clock: { nowMs: number }) {
    this.#engine = engine;
    this.#flags = flags;
    this.#socket = socket;
    this.#clock = clock;
    engine.onDrop = (reason) => {
      if (REFUSALS.has(reason)) this.#failure ??= `refused: ${reason}`;
    };
  }

  /** Runs until the runner hangs up. @returns what a client can resume with. */
  async run(session: ResumableSession | undefined): Promise<ResumableSession | undefined> {
    const done = new Promise<void>((resolve) => this.#socket.on('close', () => resolve()));
    this.#socket.on('data', (chunk: Buffer) => this.#onBytes(chunk));
    this.#socket.on('error', () => {});
    if (!this.#flags.has('server')) {
      this.#peer = this.#engine.connect(RUNNER, clientOptions(this.#flags, session), this.#clock.nowMs);
      this.#carryOut(this.#engine.drain());
    }
    await done;
    if (this.#failure !== undefined) refuse(this.#failure);
    if (!this.#wasOpen) refuse('the runner hung up before the handshake was done');
    if (this.#peer?.state === 'open') {
      if (this.#flags.has('check-close-notify')) refuse('no close_notify came');
      this.#engine.close(this.#peer, 'local-close', this.#clock.nowMs, true);
    }
    this.#engine.drain();
    return this.#peer?.resumable;
  }

  #onBytes(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    while (this.#buffer.length > 0 && this.#takeFrame()) {}
  }

  /** False when the frame is not whole yet. */
  #takeFrame(): boolean {
    const opcode = String.fromCharCode(this.#buffer[0] as number);
    const size = opcode === 'P' || opcode === 'M' ? 5 : 9;
    if (this.#buffer.length < size) return false;
    if (opcode === 'P') {
      const length = this.#buffer.readUInt32BE(1);
      if (this.#buffer.length < size + length) return false;
      const datagram = Uint8Array.from(this.#buffer.subarray(size, size + length));
      this.#buffer = this.#buffer.subarray(size + length);
      this.#carryOut(this.#engine.receive(datagram, RUNNER, this.#clock.nowMs));
      this.#carryOut(this.#engine.poll(this.#clock.nowMs));
      this.#give();
      return true;
    }
    const nanoseconds = size === 9 ? this.#buffer.readBigUInt64BE(1) : 0n;
    this.#buffer = this.#buffer.subarray(size);
    if (opcode === 'T') {
      this.#socket.write('t');
      this.#clock.nowMs += Number(nanoseconds / 1_000_000n);
      this.#carryOut(this.#engine.poll(this.#clock.nowMs));
    } else if (opcode === 'E') {
      this.#expectTimeout(nanoseconds);
    } else if (opcode !== 'M') {
      refuse(`unknown opcode ${opcode}`);
    }
    return true;
  }

  #expectTimeout(nanoseconds: bigint): void {
    const flight = this.#peer?.handshake?.flight ?? this.#engine.find(RUNNER)?.handshake?.flight;
    const due = flight === undefined ? undefined : flight.lastSentMs + flight.timeoutMs - this.#clock.nowMs;
    const expected = nanoseconds === 2n ** 64n - 1n ? undefined : Number(nanoseconds / 1_000_000n);
    if (due !== expected) this.#failure ??= `timeout of ${expected} expected, ${due} is set`;
  }

  #carryOut(effects: readonly Effect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send': {
          const header = Buffer.alloc(5);
          header[0] = 0x50;
          header.writeUInt32BE(effect.datagram.length, 1);
          this.#socket.write(Buffer.concat([header, effect.datagram]));
          break;
        }
        case 'open':
          this.#onOpen(effect.association);
          break;
        case 'data':
          this.#send(
            effect.association,
            effect.data.map((byte) => byte ^ 0xff),
          );
          break;
        case 'closed':
          this.#onClosed(effect.association, effect.reason);
          break;
        default:
      }
    }
  }

  #send(peer: Peer, data: Uint8Array): void {
    this.#engine.send(peer, data, this.#clock.nowMs);
    this.#carryOut(this.#engine.drain());
  }

  #onOpen(peer: Peer): void {
    this.#peer = peer;
    this.#wasOpen = true;
    const flags = this.#flags;
    if (flags.has('expect-session-miss') && peer.reused) refuse('resumed, a miss was expected');
    if (flags.has('expect-extended-master-secret') && !peer.extendedMasterSecret) refuse('no extended master secret');
    const alpn = flags.value('expect-alpn');
    if (alpn !== undefined && alpn !== peer.alpnProtocol) refuse(`protocol ${peer.alpnProtocol}, ${alpn} was expected`);
    const name = flags.value('expect-server-name');
    if (name !== undefined && name !== peer.servername) refuse(`server name ${peer.servername}, ${name} was expected`);
    if (flags.has('shim-writes-first')) this.#send(peer, new TextEncoder().encode('hello'));
    const length = flags.value('export-keying-material');
    if (length !== undefined) {
      const context = flags.value('export-context');
      const label = flags.value('export-label') ?? '';
      const bytes = context === undefined ? undefined : new TextEncoder().encode(context);
      this.#send(peer, this.#engine.exportKeyingMaterial(peer, Number(length), label, bytes));
    }
    if (!flags.has('shim-shuts-down')) return;
    this.#engine.close(peer, 'local-close', this.#clock.nowMs);
    this.#carryOut(this.#engine.drain());
    this.#socket.end();
  }

  #onClosed(peer: Peer, reason: string): void {
    if (reason === 'peer-close' || reason === 'local-close') {
      if (peer === this.#peer || this.#wasOpen) this.#socket.end();
      return;
    }
    this.#failure ??= `ended: ${reason}${peer.handshake?.alertSeen ?? ''}`;
    this.#socket.end();
  }

  /** A drop that the runner wants to see as an end becomes one. */
  #give(): void {
    if (this.#failure === undefined || this.#wasOpen) return;
    const peer = this.#peer ?? this.#engine.find(RUNNER);
    if (peer !== undefined && peer.state !== 'closed') {
      this.#engine.close(peer, 'malformed-message', this.#clock.nowMs);
      this.#carryOut(this.#engine.drain());
    }
    this.#socket.end();
  }
}

const clock = { nowMs: 1_000_000 };
const engine = new DtlsEngine({
  nowMs: clock.nowMs,
  limits: LIMITS,
  ...(first.has('server') ? { server: serverOptions(first) } : {}),
});
let session: ResumableSession | undefined;
for (let count = 0; count <= Number(first.value('resume-count') ?? 0); count++) {
  const flags = count === 0 ? first : later;
  const port = Number(flags.value('port'));
  const socket = createConnection({ port, host: flags.has('ipv6') ? '::1' : '127.0.0.1' });
  const id = Buffer.alloc(8);
  id.writeBigUInt64LE(BigInt(flags.value('shim-id') ?? 0));
  socket.write(id);
  session = await new Connection(engine, flags, socket, clock).run(session);
  clock.nowMs += 1_000;
}
process.exit(0);
