/**
 * CoAP over DTLS 1.2 (RFC 7252 section 9): UDP -> DTLS (src/dtls/) -> identity -> CoAP (src/coap/) -> exchange. The libraries
 * bound and drop what is noise; here they get the gateway's limits, its identities and its passage. No policy, no upstream.
 * Leaves out plain CoAP, multicast and CoAP over TCP.
 */
import { lookup } from 'node:dns/promises';
import type { Link } from '../../coap/link-format.ts';
import type { DropReason as CoapDrop, RefusalReason } from '../../coap/stats.ts';
import type { Address, Limits } from '../../config/settings.ts';
import { DEFAULT_SUITES } from '../../dtls/crypto/suites.ts';
import { listen } from '../../dtls/endpoint.ts';
import type {
  Authorization,
  DtlsEndpoint,
  DtlsSession,
  HandshakeContext,
  PeerAddress,
  PeerIdentity,
  PeerVerdict,
  ServerOptions,
  SuiteName,
} from '../../dtls/options.ts';
import type { Passage } from '../../exchange/gate.ts';
import type { Peer } from '../../exchange/peer.ts';
import { Fault } from '../../faults/fault.ts';
import { peerAddress } from '../https/peer-address.ts';
import { Tally } from '../https/tally.ts';
import { type AssociationPorts, CoapsAssociation } from './association.ts';
import { CoapDoor } from './coap-door.ts';
import { answerRequest, type ExchangeContext } from './exchanges.ts';
import type { CoapsIdentity } from './identity-port.ts';
import { KnownPeers } from './known-peers.ts';
import { type CountNoise, NoiseMeter } from './noise-meter.ts';

/** PEM: the certificate and what leads to its root, and its key. The same as the HTTPS listener's. */
export interface Credential {
  readonly certificate: string;
  readonly key: string;
}

export interface CoapsListenerOptions {
  /** Its name in arrivals; default `coaps`. */
  readonly name?: string;
  readonly address: Address;
  readonly credential: Credential;
  readonly limits: Limits;
  readonly passage: Passage;
  readonly identity: CoapsIdentity;
  readonly linksFor: (peer: Peer) => readonly Link[] | undefined;
  readonly isObservable: (peer: Peer, path: string) => boolean;
  /** Told what the two libraries dropped. */
  readonly count: CountNoise;
}

/** Our Connection IDs: one byte for a worker some day, seven random ones. */
const CONNECTION_ID_BYTES = 8;
const TICK_MS = 250;
/** The library's own order, and last what a listener whose certificate is RSA can do. */
const SUITES: readonly SuiteName[] = [
  ...DEFAULT_SUITES.map(({ name }) => name),
  'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
];
/** What a well-behaved peer sends too: counted, not told as a drop. */
const ORDINARY: ReadonlySet<CoapDrop | RefusalReason> = new Set([
  'ping',
  'duplicate',
  'duplicate-answer-gone',
  'acknowledgement-unknown',
  'token-unknown',
  'no-response-wanted',
  'notification-stale',
]);

export class CoapsListener {
  readonly #options: CoapsListenerOptions;
  readonly #context: ExchangeContext;
  readonly #coap: CoapDoor;
  readonly #known = new KnownPeers();
  readonly #devices = new Tally();
  readonly #associations = new Set<CoapsAssociation>();
  readonly #noise: NoiseMeter;
  readonly #ends: AssociationPorts;
  #credential: Credential;
  #endpoint: DtlsEndpoint | undefined;
  #ticking: NodeJS.Timeout | undefined;
  #swapping: Promise<void> = Promise.resolve();

  constructor(options: CoapsListenerOptions) {
    this.#options = options;
    const { name = 'coaps', passage, limits, linksFor, isObservable, count } = options;
    this.#credential = options.credential;
    this.#noise = new NoiseMeter(passage, count);
    this.#ends = { passage, revoke: (principal) => this.#revoke(principal), left: (one) => this.#left(one) };
    this.#context = {
      listener: name,
      passage,
      exchanges: new Tally(),
      linksFor,
      isObservable,
      limits,
      draining: false,
    };
    this.#coap = new CoapDoor({
      limits: { maxRequestBodyBytes: limits.inspectedBodyBytes, maxPeers: limits.connections },
      handle: (request) => answerRequest(request, this.#context),
      refused: (association, reason) => {
        count('coap', reason, 1);
        if (!ORDINARY.has(reason)) passage.drop('coap-refused', association.peer, reason);
      },
      tooLarge: (association) => passage.drop('coap-refused', association.peer, 'answer larger than a record may be'),
    });
  }

  /** Throws SP_GATEWAY_LISTEN, SP_CERTIFICATE_INVALID. */
  async listen(): Promise<void> {
    const { host, port } = this.#options.address;
    await this.#bind({ host, port });
    this.#ticking = setInterval(() => this.#noise.look(this.#endpoint?.stats), TICK_MS).unref();
  }

  /** Where it listens; the port is the real one when 0 was asked for. */
  address(): Address {
    const { address, port } = this.#endpoint?.address ?? { address: this.#options.address.host, port: 0 };
    return { host: address, port };
  }

  get associations(): number {
    return this.#associations.size;
  }

  /** From now on. How large a body may be is told to the library at the start and waits for the next one. */
  setLimits(limits: Limits): void {
    this.#context.limits = limits;
  }

  /** For new handshakes. Another certificate ends every association: the devices shake hands anew. Never rejects. */
  setCredential(credential: Credential): Promise<void> {
    if (credential.certificate === this.#credential.certificate && credential.key === this.#credential.key)
      return this.#swapping;
    this.#credential = credential;
    this.#swapping = this.#swapping.then(async () => {
      if (this.#endpoint === undefined || this.#context.draining) return;
      const { address: host, port } = this.#endpoint.address;
      await this.#endpoint.close();
      await this.#bind({ host, port }).catch(() => this.#options.passage.drop('connection-cap', { address: '' }));
    });
    return this.#swapping;
  }

  /** After a change of the registry: whoever is no longer admitted under these keys loses what could be resumed. */
  reconsider(keys: readonly string[]): void {
    for (const principal of this.#known.ofKeys(keys)) {
      const peer = this.#known.find(principal);
      if (peer !== undefined && this.#options.passage.admit(peer) !== undefined) this.#revoke(principal);
    }
  }

  /** Takes nothing new, lets what is under way end within `drainTimeoutMs`, then cuts it. */
  async close(drainTimeoutMs: number): Promise<void> {
    this.#context.draining = true;
    await this.#swapping;
    if (this.#endpoint) this.#endpoint.busy = true;
    const deadline = performance.now() + drainTimeoutMs;
    while (this.#isBusy() && performance.now() < deadline) await new Promise((later) => setTimeout(later, 20));
    for (const association of [...this.#associations]) association.close('draining');
    this.#coap.close();
    await this.#endpoint?.close();
    this.#noise.look(this.#endpoint?.stats);
    clearInterval(this.#ticking);
  }

  async #bind({ host, port }: Address): Promise<void> {
    try {
      const { address } = await lookup(host);
      this.#endpoint = await listen((session) => this.#welcome(session), {
        ...this.#serverOptions(),
        host: address,
        port,
      });
      this.#noise.restart();
    } catch (thrown) {
      const { message } = thrown as Error;
      const wrong = message === '' || !(thrown instanceof Error) ? 'cannot listen' : message;
      throw new Fault('SP_GATEWAY_LISTEN', `${host}:${port} (UDP): ${wrong}`, {
        cause: thrown,
        details: { host, port },
      });
    }
  }

  #serverOptions(): ServerOptions {
    const { limits } = this.#context;
    const { identity, passage } = this.#options;
    return {
      cert: this.#credential.certificate,
      key: this.#credential.key,
      suites: SUITES,
      listenerId: this.#context.listener,
      policyGeneration: () => identity.generation(),
      connectionId: { length: CONNECTION_ID_BYTES },
      rawPublicKeys: 'accept',
      requestCert: true,
      psk: (claimed, context) => this.#psk(claimed, context),
      verifyPeer: (chain, _, context) => this.#verifyChain(chain, context),
      // Any well-formed key may finish the handshake; whether it is anybody's is said by `authorize`.
      verifyRawPublicKey: () => ({ accepted: true }),
      authorize: (proof, context) => this.#authorize(proof, context),
      isStillAllowed: (principal) => {
        const peer = this.#known.find(principal);
        return peer !== undefined && passage.admit(peer) === undefined;
      },
      limits: {
        maxAssociations: limits.connections,
        maxAssociationsPerHost: limits.connectionsPerAddress,
        maxChainLength: limits.certificateChain,
      },
    };
  }

  #psk(claimed: string, { address }: HandshakeContext): Uint8Array | undefined {
    const found = this.#options.identity.psk(claimed);
    if (found === undefined) return undefined;
    this.#known.claim(placeOf(address), claimed, found);
    return found.key;
  }

  #verifyChain(chain: readonly Uint8Array[], { address }: HandshakeContext): PeerVerdict {
    const problem = this.#options.identity.chainProblem(chain);
    if (problem === undefined) return { accepted: true };
    this.#options.passage.drop('handshake-failed', { address: peerAddress(address.address) }, problem);
    return { accepted: false, reason: problem };
  }

  /** The key is proven: whose is it, and may he come in. */
  #authorize(proof: PeerIdentity, { address: place }: HandshakeContext): Authorization {
    const { passage } = this.#options;
    const address = peerAddress(place.address);
    let peer: Peer;
    try {
      peer = this.#peerOf(proof, place, address);
    } catch (thrown) {
      const reason = Fault.from(thrown).message;
      passage.drop('identity-refused', { address }, reason);
      return { allowed: false, reason };
    }
    const refused = passage.admit(peer);
    if (refused !== undefined) {
      passage.drop('identity-refused', peer, refused);
      return { allowed: false, reason: refused };
    }
    return { allowed: true, principal: this.#known.remember(peer) };
  }

  #peerOf(proof: PeerIdentity, place: PeerAddress, address: string): Peer {
    const { identity } = this.#options;
    switch (proof.kind) {
      case 'psk': {
        const fingerprint = this.#known.claimed(placeOf(place), proof.identity);
        if (fingerprint === undefined) throw new Fault('SP_EXCHANGE_UNPROVEN');
        return identity.pskPeer(proof.identity, fingerprint, address);
      }
      case 'certificate':
        return identity.certificatePeer(proof.chain[0] ?? new Uint8Array(), address);
      case 'raw-public-key':
        return identity.rawKeyPeer(proof.subjectPublicKeyInfo, address);
      case 'none':
        throw new Fault('SP_EXCHANGE_UNPROVEN');
    }
  }

  /** The end of a handshake, full or resumed. */
  #welcome(dtls: DtlsSession): void {
    const { passage } = this.#options;
    const known = this.#known.find(dtls.principal);
    if (known === undefined) {
      dtls.close();
      return;
    }
    const peer = Object.freeze({ ...known, address: peerAddress(dtls.remoteAddress.address) });
    const refused = passage.admit(peer);
    if (refused !== undefined) {
      passage.drop('identity-refused', peer, refused);
      this.#revoke(dtls.principal);
      return;
    }
    if (!this.#devices.take(peer.key, this.#context.limits.connectionsPerDevice)) {
      passage.drop('identity-cap', peer);
      dtls.close();
      return;
    }
    const association = new CoapsAssociation(dtls, peer, this.#ends);
    this.#associations.add(association);
    dtls.onmessage = (datagram) => this.#coap.receive(association, datagram);
    association.attend(); // may close it at once
  }

  #left(association: CoapsAssociation): void {
    if (!this.#associations.delete(association)) return;
    this.#devices.give(association.peer.key);
    this.#coap.forget(association);
  }

  #revoke(principal: string): void {
    this.#known.forget(principal);
    this.#endpoint?.revoke(principal);
  }

  #isBusy(): boolean {
    for (const { running } of this.#associations) if (running > 0) return true;
    return false;
  }
}

function placeOf({ address, port }: PeerAddress): string {
  return `${address}|${port}`;
}
