/**
 * A client that says what it is told, in any order and epoch, with right cryptography where asked: the hostile peer of the state
 * tests. It talks to one server engine and keeps its own transcript and keys.
 */

import type { Effect } from '../../../src/dtls/core.ts';
import { type DirectionKey, seal } from '../../../src/dtls/crypto/aead.ts';
import { generateKeyShare, pskPremaster } from '../../../src/dtls/crypto/kx.ts';
import { keyBlock, masterSecret, verifyData } from '../../../src/dtls/crypto/prf.ts';
import { SCHEMES, SigningKey } from '../../../src/dtls/crypto/sig.ts';
import { recordOverheadBytes, type Suite, suiteByName } from '../../../src/dtls/crypto/suites.ts';
import type { DtlsEngine } from '../../../src/dtls/engine.ts';
import { Reassembly } from '../../../src/dtls/handshake/reassembly.ts';
import { Transcript } from '../../../src/dtls/handshake/transcript.ts';
import { DEFAULT_LIMITS } from '../../../src/dtls/limits.ts';
import type { PeerAddress, SuiteName } from '../../../src/dtls/options.ts';
import { concat, u16, vector } from '../../../src/dtls/wire/bytes.ts';
import { writeExtension, writeExtensionBlock } from '../../../src/dtls/wire/extensions.ts';
import {
  parseFragments,
  parseHelloVerifyRequest,
  parseServerHello,
  parseServerKeyExchange,
  writeClientHello,
  writeFragment,
} from '../../../src/dtls/wire/handshake.ts';
import { parseRecord, plainRecord, writeRecordHeader } from '../../../src/dtls/wire/record.ts';
import { ContentType, ExtensionType, HandshakeType } from '../../../src/dtls/wire/registry.ts';
import { CLIENT, KEY, START_MS } from './pair.ts';

export interface ScriptOptions {
  readonly suite?: SuiteName;
  readonly address?: PeerAddress;
  readonly pskKey?: Uint8Array;
  readonly extensions?: readonly (readonly [number, Uint8Array])[];
  readonly extended?: boolean;
}

export class ScriptedClient {
  readonly engine: DtlsEngine;
  readonly address: PeerAddress;
  readonly suite: Suite;
  readonly random = new Uint8Array(32).fill(7);
  nowMs = START_MS;
  plainSequence = 0;
  sequence = 0;
  messageSeq = 0;
  transcript = new Transcript(100_000);
  serverRandom = new Uint8Array(32);
  /** Messages of the server's flight, by type. */
  readonly received = new Map<number, Uint8Array>();
  effects: Effect[] = [];
  readonly #options: ScriptOptions;
  #master: Uint8Array = new Uint8Array(48);
  #share = generateKeyShare(23);
  #group = 23;
  key: DirectionKey = { key: new Uint8Array(16), iv: new Uint8Array(4) };

  constructor(engine: DtlsEngine, options: ScriptOptions = {}) {
    this.engine = engine;
    this.#options = options;
    this.address = options.address ?? CLIENT;
    this.suite = suiteByName(options.suite ?? 'TLS_PSK_WITH_AES_128_CCM_8') as Suite;
  }

  hello(cookie: Uint8Array = new Uint8Array(0), sessionId: Uint8Array = new Uint8Array(0)): Uint8Array {
    const extensions = this.#options.extensions ?? [
      ...(this.#options.extended === false ? [] : [[ExtensionType.extendedMasterSecret, new Uint8Array(0)] as const]),
      [ExtensionType.supportedGroups, writeExtension.words([23])] as const,
      [ExtensionType.signatureAlgorithms, writeExtension.words(SCHEMES)] as const,
    ];
    return writeClientHello(this.random, sessionId, cookie, [this.suite.id], writeExtensionBlock(extensions));
  }

  /** Both hellos; afterwards the server is half-open and its flight 4 is read. */
  start(): this {
    this.message(HandshakeType.clientHello, this.hello());
    const cookie = parseHelloVerifyRequest(this.received.get(HandshakeType.helloVerifyRequest) as Uint8Array);
    this.received.clear();
    this.transcript.restart();
    this.message(HandshakeType.clientHello, this.hello(cookie));
    const hello = parseServerHello(this.received.get(HandshakeType.serverHello) as Uint8Array);
    if (hello !== undefined) this.serverRandom = new Uint8Array(hello.random);
    return this;
  }

  /** Sends bytes as they are. @returns what the server did. */
  raw(datagram: Uint8Array): readonly Effect[] {
    const effects = this.engine.receive(datagram, this.address, this.nowMs);
    this.effects.push(...effects);
    for (const effect of effects) if (effect.kind === 'send') this.#read(effect.datagram);
    return effects;
  }

  record(type: number, fragment: Uint8Array, epoch: 0 | 1 = 0): readonly Effect[] {
    return this.raw(epoch === 0 ? plainRecord(type, this.plainSequence++, fragment) : this.sealed(type, fragment));
  }

  /** A record of epoch 1, right or wrong as our keys are. */
  sealed(type: number, plaintext: Uint8Array, sequence = this.sequence++): Uint8Array {
    const length = plaintext.length + recordOverheadBytes(this.suite);
    const record = new Uint8Array(13 + length);
    const at = writeRecordHeader(record, type, 1, sequence, undefined, length);
    seal(this.suite, this.key, type, 1, sequence, undefined, plaintext, record, at);
    return record;
  }

  /** A handshake message with the next number, counted into the transcript. */
  message(type: number, body: Uint8Array, epoch: 0 | 1 = 0): readonly Effect[] {
    this.transcript.add(type, this.messageSeq, body);
    const fragment = writeFragment(type, this.messageSeq++, body);
    return this.record(ContentType.handshake, fragment, epoch);
  }

  /** Body of a ClientKeyExchange; derives our keys from the transcript as it will be with it. */
  keyExchange(): Uint8Array {
    const point = vector(1, this.#share?.publicKey ?? new Uint8Array(0));
    const identity = vector(2, new TextEncoder().encode('probe-7'));
    const { keyExchange } = this.suite;
    return keyExchange === 'psk' ? identity : keyExchange === 'ecdhe' ? point : concat(identity, point);
  }

  /** After ClientKeyExchange is in the transcript. */
  deriveKeys(): void {
    const ske = this.received.get(HandshakeType.serverKeyExchange);
    const parsed = ske === undefined ? undefined : parseServerKeyExchange(ske, this.suite.keyExchange);
    this.#group = parsed?.group ?? 23;
    const agreed =
      parsed === undefined || this.suite.keyExchange === 'psk' ? undefined : this.#share?.agree(parsed.point);
    const premaster =
      this.suite.keyExchange === 'ecdhe'
        ? (agreed ?? new Uint8Array(32))
        : pskPremaster(this.#options.pskKey ?? KEY, agreed);
    const { hash, keyBytes, saltBytes } = this.suite;
    const extended = this.#options.extended !== false;
    const seed = extended ? this.transcript.hash(hash) : concat(this.random, this.serverRandom);
    this.#master = masterSecret(hash, premaster, extended, seed);
    const block = keyBlock(hash, this.#master, this.random, this.serverRandom, 2 * (keyBytes + saltBytes));
    this.key = { key: block.subarray(0, keyBytes), iv: block.subarray(2 * keyBytes, 2 * keyBytes + saltBytes) };
  }

  certificateVerify(key: string): Uint8Array {
    const signing = new SigningKey(key);
    const scheme = signing.schemes[0] as number;
    return concat(u16(scheme), vector(2, signing.sign(scheme, this.transcript.bytes())));
  }

  finished(): Uint8Array {
    return verifyData(this.suite.hash, this.#master, 'client', this.transcript.hash(this.suite.hash));
  }

  changeCipherSpec(): readonly Effect[] {
    return this.record(ContentType.changeCipherSpec, Uint8Array.of(1));
  }

  /** The rest of a PSK handshake as it should be. */
  completePsk(): readonly Effect[] {
    this.message(HandshakeType.clientKeyExchange, this.keyExchange());
    this.deriveKeys();
    this.changeCipherSpec();
    return this.message(HandshakeType.finished, this.finished(), 1);
  }

  /** Messages of the server that can be read in the clear. */
  #read(datagram: Uint8Array): void {
    for (let at = 0; at < datagram.length; ) {
      const record = parseRecord(datagram, at, 0);
      if (record === undefined) return;
      at = record.end;
      if (record.epoch !== 0 || record.type !== ContentType.handshake) continue;
      for (const fragment of parseFragments(record.fragment) ?? []) {
        const one = new Reassembly({ ...DEFAULT_LIMITS, reassemblyWindow: 1_000_000 });
        const whole = this.#partial.get(fragment.messageSeq) ?? one;
        this.#partial.set(fragment.messageSeq, whole);
        whole.add(fragment, 0, fragment.messageSeq);
        const message = whole.take(fragment.messageSeq);
        if (message === undefined || this.received.has(message.type)) continue;
        this.received.set(message.type, message.body);
        if (message.type !== HandshakeType.helloVerifyRequest) {
          this.transcript.add(message.type, message.messageSeq, message.body);
        }
      }
    }
  }

  readonly #partial = new Map<number, Reassembly>();

  get group(): number {
    return this.#group;
  }
}
