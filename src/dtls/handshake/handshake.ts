/**
 * What one handshake knows while it runs, and the steps both sides share: queueing messages, deriving keys, Finished
 * (RFC 5246 7.4.9, 8.1, RFC 7627 4). It goes as a whole when the association opens or ends.
 */
import type { ClientSettings, Credential, ServerSettings } from '../context.ts';
import type { KeyShare } from '../crypto/kx.ts';
import { keyBlock, masterSecret, verifyData } from '../crypto/prf.ts';
import type { PeerKey } from '../crypto/sig.ts';
import type { Suite } from '../crypto/suites.ts';
import type { DtlsLimits } from '../limits.ts';
import type { HandshakeContext, PeerIdentity, PeerSummary } from '../options.ts';
import type { Association } from '../session/association.ts';
import type { SessionStore } from '../session/resume.ts';
import type { SecretSlab } from '../session/slab.ts';
import type { CloseReason } from '../stats.ts';
import { concat } from '../wire/bytes.ts';
import type { Extensions } from '../wire/extensions.ts';
import { HandshakeType } from '../wire/registry.ts';
import { Flight } from './flight.ts';
import type { ChainVerified, Established, PeerProof } from './proofs.ts';
import { Reassembly } from './reassembly.ts';
import type { HandshakeState } from './table.ts';
import { Transcript } from './transcript.ts';

/** What a handshake may ask of the engine around it. */
export interface HandshakeServices {
  readonly nowMs: number;
  readonly limits: DtlsLimits;
  readonly slab: SecretSlab;
  readonly sessions: SessionStore | undefined;
  random(length: number): Uint8Array;
  /** SHA-256, hex: name of a certificate or raw key. */
  fingerprint(bytes: Uint8Array): string;
  /** Gives the association a Connection ID of our own and finds it by that from now on. */
  assignConnectionId(association: Association<Handshake>, length: number, worker: number | undefined): Uint8Array;
  /** The peer wants none: it is not found by one. */
  releaseConnectionId(association: Association<Handshake>): void;
}

/** What a cell of the transition table came to. */
export type Outcome =
  | { readonly to: HandshakeState; readonly flight?: Flight; readonly established?: Established }
  | { readonly fail: CloseReason };

/** At once, or what to go on with when the caller has answered; it runs only if the handshake still exists then. */
export type MaybeOutcome = Outcome | Promise<() => MaybeOutcome>;

export class Handshake {
  readonly association: Association<Handshake>;
  readonly services: HandshakeServices;
  /** One of the two, by role. */
  readonly server: ServerSettings | undefined;
  readonly client: ClientSettings | undefined;
  state: HandshakeState = 'asking';
  deadlineMs: number;
  readonly transcript: Transcript;
  readonly reassembly: Reassembly;
  /** The flight that waits for an answer. */
  flight: Flight | undefined = undefined;
  /** The flight being filled. */
  draft: Flight;
  nextReceiveSeq = 0;
  nextSendSeq = 0;
  /** Copies of records of epoch 1 that came before their keys. */
  deferred: Uint8Array[] = [];
  deferredBytes = 0;
  /** Authentic application data that overtook Finished; delivered after it, or never. */
  heldData: Uint8Array[] = [];
  /** A ChangeCipherSpec that came while the caller was asked; counts only in the state that waits for it. */
  heldChangeCipherSpec = false;
  badFinishedRecords = 0;
  /** A fatal alert in the clear: it ends nothing, it only shortens the wait and names the reason. */
  alertSeen: number | undefined = undefined;

  clientRandom: Uint8Array = new Uint8Array(0);
  serverRandom: Uint8Array = new Uint8Array(0);
  sessionId: Uint8Array = new Uint8Array(0);
  servername = '';
  /** What the peer's hello said. */
  extensions: Extensions | undefined = undefined;
  suite: Suite | undefined = undefined;
  /** Client: what we offered. */
  offered: ReadonlySet<number> = new Set();
  extended = false;
  sendsTicket = false;
  peerRawKey = false;
  ownRawKey = false;
  /** Client: ticket of a NewSessionTicket. */
  newTicket: Uint8Array | undefined = undefined;
  certificateRequested = false;
  requestedSchemes: readonly number[] = [];
  credential: Credential | undefined = undefined;
  keyShare: KeyShare | undefined = undefined;
  agreed: Uint8Array | undefined = undefined;
  peerKey: PeerKey | undefined = undefined;
  peer: PeerIdentity = { kind: 'none' };
  /** Set on resumption, where `peer` says none. */
  resumedPeer: PeerSummary | undefined = undefined;
  resumedCreatedAtMs: number | undefined = undefined;
  principal = '';
  attachment: unknown = undefined;
  proof: PeerProof | undefined = undefined;
  chainProof: ChainVerified | undefined = undefined;

  constructor(
    association: Association<Handshake>,
    services: HandshakeServices,
    settings: { readonly server?: ServerSettings; readonly client?: ClientSettings },
  ) {
    this.association = association;
    this.services = services;
    this.server = settings.server;
    this.client = settings.client;
    this.deadlineMs = services.nowMs + services.limits.handshakeDeadlineMs;
    this.transcript = new Transcript(services.limits.maxTranscriptBytes);
    this.reassembly = new Reassembly(services.limits);
    this.draft = new Flight(services.limits);
  }

  get role(): 'client' | 'server' {
    return this.association.role;
  }

  get context(): HandshakeContext {
    return { address: this.association.address, servername: this.servername };
  }

  /** Adds a message to the flight and the transcript. */
  queue(type: number, body: Uint8Array, epoch: 0 | 1 = 0): void {
    const messageSeq = this.nextSendSeq++;
    this.draft.messages.push({ type, messageSeq, epoch, body });
    // Our own messages are bounded by our own configuration; the peer's are what the limit is for.
    this.transcript.add(type, messageSeq, body);
  }

  /** ChangeCipherSpec and Finished: from here on we write with the new keys. */
  queueFinished(): void {
    this.draft.messages.push({ type: 'change-cipher-spec', messageSeq: 0, epoch: 0, body: new Uint8Array(0) });
    this.association.writes = true;
    this.queue(HandshakeType.finished, this.verifyData(this.role), 1);
  }

  /** The flight being filled; a new one begins. */
  takeDraft(): Flight {
    const flight = this.draft;
    this.draft = new Flight(this.services.limits);
    return flight;
  }

  verifyData(sender: 'client' | 'server'): Uint8Array {
    const { hash } = this.suite as Suite;
    const master = this.services.slab.view(this.association.slot, 'masterSecret');
    return verifyData(hash, master, sender, this.transcript.hash(hash));
  }

  /** Master secret and keys from the premaster secret, which is wiped; the transcript must end with ClientKeyExchange. */
  deriveKeys(premaster: Uint8Array): void {
    const { hash } = this.suite as Suite;
    const seed = this.extended ? this.transcript.hash(hash) : concat(this.clientRandom, this.serverRandom);
    const master = masterSecret(hash, premaster, this.extended, seed);
    premaster.fill(0);
    this.agreed?.fill(0);
    this.agreed = undefined;
    this.keyShare = undefined;
    this.expandKeys(master);
    master.fill(0);
  }

  /** Keys from a master secret, into the slab. RFC 5246 6.3: client key, server key, client IV, server IV; AEAD has no MAC keys. */
  expandKeys(master: Uint8Array): void {
    const { association, services } = this;
    const suite = this.suite as Suite;
    const { slab } = services;
    const length = 2 * (suite.keyBytes + suite.saltBytes);
    const block = keyBlock(suite.hash, master, this.clientRandom, this.serverRandom, length);
    const ivs = 2 * suite.keyBytes;
    slab.write(association.slot, 'masterSecret', master);
    slab.write(association.slot, 'clientKey', block.subarray(0, suite.keyBytes));
    slab.write(association.slot, 'serverKey', block.subarray(suite.keyBytes, ivs));
    slab.write(association.slot, 'clientIv', block.subarray(ivs, ivs + suite.saltBytes));
    slab.write(association.slot, 'serverIv', block.subarray(ivs + suite.saltBytes));
    slab.write(association.slot, 'clientRandom', this.clientRandom);
    slab.write(association.slot, 'serverRandom', this.serverRandom);
    block.fill(0);
    association.suite = suite;
    association.extendedMasterSecret = this.extended;
    const log = (this.server ?? this.client)?.options.dangerouslyLogKeys;
    if (log !== undefined) {
      log(`CLIENT_RANDOM ${Buffer.from(this.clientRandom).toString('hex')} ${Buffer.from(master).toString('hex')}`);
    }
  }

  summary(): PeerSummary {
    if (this.resumedPeer !== undefined) return this.resumedPeer;
    const { peer, services } = this;
    switch (peer.kind) {
      case 'psk':
        return { kind: 'psk', name: peer.identity };
      case 'certificate':
        return { kind: 'certificate', name: services.fingerprint(peer.chain[0] as Uint8Array) };
      case 'raw-public-key':
        return { kind: 'raw-public-key', name: services.fingerprint(peer.subjectPublicKeyInfo) };
      case 'none':
        return { kind: 'none', name: '' };
    }
  }

  /** Wipes what is secret and gives back what is large. */
  wipe(): void {
    this.agreed?.fill(0);
    this.agreed = undefined;
    this.keyShare = undefined;
    this.deferred = [];
    this.heldData = [];
    this.reassembly.clear();
    this.transcript.restart();
    this.flight = undefined;
  }
}

/** Asks the caller; goes on at once with a value, later with a promise. One that throws or rejects is a bug and fails closed. */
export function ask<T>(question: () => T | Promise<T>, then: (value: T) => MaybeOutcome): MaybeOutcome {
  let answer: T | Promise<T>;
  try {
    answer = question();
  } catch {
    return { fail: 'internal' };
  }
  if (!(answer instanceof Promise)) return then(answer);
  return answer.then(
    (value) => () => then(value),
    () => () => ({ fail: 'internal' }),
  );
}
