/**
 * The listeners of a gateway, built and plugged into its parts: HTTPS with WebSockets, and CoAP over DTLS if it is configured.
 * With several workers all share the HTTPS port, and the lead alone has the UDP port.
 */
import { createHash, X509Certificate } from 'node:crypto';
import type { Link } from './coap/link-format.ts';
import { DROP_REASONS as COAP_DROPS, REFUSAL_REASONS } from './coap/stats.ts';
import type { Address, Settings } from './config/settings.ts';
import { DROP_REASONS as DTLS_DROPS } from './dtls/stats.ts';
import type { Gate } from './exchange/gate.ts';
import type { Peer } from './exchange/peer.ts';
import { Fault } from './faults/fault.ts';
import { type GateParts, passageOf } from './gate.ts';
import { pskPeer, rawKeyPeer } from './identity/bare-key.ts';
import { peerFromCertificate } from './identity/certificate.ts';
import { KnownCertificates } from './identity/known-certificates.ts';
import { chainVerifier } from './identity/path/verify-chain.ts';
import { readPsk } from './identity/psk.ts';
import type { CoapsIdentity, PskFound } from './listeners/coaps/identity-port.ts';
import type { CoapsListener } from './listeners/coaps/listener.ts';
import { HttpsListener } from './listeners/https/listener.ts';
import type { TlsMaterial } from './listeners/https/tls-context.ts';
import { WebSocketListener } from './listeners/websocket/listener.ts';
import { shown } from './parts.ts';
import { isChannel, reachableLinks } from './policy/links.ts';
import { listenerTls } from './provision.ts';
import type { Crew } from './workers/crew.ts';

export interface DoorPorts {
  readonly directory: string;
  readonly crew: Crew;
  readonly parts: GateParts;
  /** Asked for each message, so that a reload takes effect at once. */
  readonly gate: () => Gate;
  readonly settings: () => Settings;
}

export class Doors {
  readonly #ports: DoorPorts;
  readonly #known = new KnownCertificates();
  #https: HttpsListener | undefined;
  #webSocket: WebSocketListener | undefined;
  #coaps: CoapsListener | undefined;
  #verifyChain: ReturnType<typeof chainVerifier> = () => ({ accepted: false, reason: 'no-trusted-path', detail: '' });
  #trust = '';
  /** Devices whose key file was complained about. */
  readonly #unreadable = new Set<string>();

  constructor(ports: DoorPorts) {
    this.#ports = ports;
  }

  /** Opens what is configured. Returns the address that workers share, and what to show. Throws SP_GATEWAY_LISTEN. */
  async open(): Promise<{ readonly place: Address; readonly shown: Readonly<Record<string, string>> }> {
    const { crew, directory } = this.#ports;
    const { listen } = this.#ports.settings();
    const tls = listenerTls(directory);
    const place = await crew.place((listen.https ?? listen.coaps) as Address);
    const addresses: Record<string, string> = {};
    let port = place.port;
    if (listen.https) {
      this.#https = this.#httpsAt(place, tls);
      await this.#https.listen();
      port = this.#https.address().port;
      addresses.https = shown(this.#https.address());
    }
    if (listen.coaps && crew.worker === 0) {
      this.#coaps = await this.#coapsAt(listen.https ? listen.coaps : place, tls);
      await this.#coaps.listen();
      addresses.coaps = shown(this.#coaps.address());
    }
    return { place: { ...place, port }, shown: addresses };
  }

  /** Takes over settings that are in force already, and this material. */
  take(tls: TlsMaterial): void {
    const { limits } = this.#ports.settings();
    this.#useTls(tls);
    this.#https?.setLimits(limits);
    this.#webSocket?.setLimits(limits);
    this.#coaps?.setLimits(limits);
  }

  /** Reads the trusted authorities anew. Throws SP_KEY_INVALID, SP_CERTIFICATE_INVALID. */
  renewTrust(): void {
    this.#useTls(listenerTls(this.#ports.directory));
  }

  /** After a change of this device in the registry. */
  reconsider(id: string): void {
    this.#unreadable.delete(id);
    this.#coaps?.reconsider(this.#ports.parts.registry.keysOf(id));
  }

  async close(drainTimeoutMs: number): Promise<void> {
    await Promise.all([this.#https?.close(drainTimeoutMs), this.#coaps?.close(drainTimeoutMs)]);
  }

  #httpsAt(address: Address, tls: TlsMaterial): HttpsListener {
    const { crew, parts, gate } = this.#ports;
    const { limits } = this.#ports.settings();
    const passage = passageOf(parts, gate);
    this.#webSocket = new WebSocketListener({ listener: 'https', limits, passage });
    return new HttpsListener({
      address,
      tls: this.#withTickets(tls),
      limits,
      passage,
      peerOf: (certificate, address) => this.#known.peer(certificate, address, limits.certificateBytes),
      upgrader: this.#webSocket,
      ...(crew.counts && { elsewhere: crew.counts }),
    });
  }

  async #coapsAt(address: Address, tls: TlsMaterial): Promise<CoapsListener> {
    // Who has no small devices need not hold CoAP and DTLS.
    const { CoapsListener } = await import('./listeners/coaps/listener.ts');
    const { parts, gate, crew } = this.#ports;
    const { metrics } = parts;
    const { limits } = this.#ports.settings();
    this.#useTrust(tls);
    for (const reason of DTLS_DROPS) metrics.dtlsDrops.declare(reason);
    for (const reason of [...COAP_DROPS, ...REFUSAL_REASONS]) metrics.coapRefusals.declare(reason);
    return new CoapsListener({
      address,
      credential: tls,
      // The settings have this worker's share of what is divided, and nobody shares here.
      limits: { ...limits, connections: limits.connections * crew.of },
      passage: passageOf(parts, gate),
      identity: this.#identity(),
      linksFor: (peer) => this.#linksFor(peer),
      isObservable: (peer, path) => this.#isObservable(peer, path),
      count: (library, reason, count) => {
        if (library === 'dtls') metrics.dtlsDrops.addMany(count, reason);
        else metrics.coapRefusals.addMany(count, reason);
      },
    });
  }

  #identity(): CoapsIdentity {
    const maxBytes = () => this.#ports.settings().limits.certificateBytes;
    return {
      psk: (identity) => this.#psk(identity),
      chainProblem: (chain) => {
        const verdict = this.#verifyChain(chain, Date.now());
        return verdict.accepted ? undefined : verdict.reason;
      },
      certificatePeer: (leaf, address) => peerFromCertificate(leaf, address, maxBytes()),
      rawKeyPeer,
      pskPeer,
      generation: () => `${this.#ports.gate().decider.revision} ${this.#trust}`,
    };
  }

  /** A device that may not come is met as one that nobody knows: nothing tells the two apart. */
  #psk(identity: string): PskFound | undefined {
    const { parts, directory } = this.#ports;
    const device = parts.registry.byPskIdentity(identity)?.device;
    if (device === undefined) return undefined;
    if (parts.identifier.admit(pskPeer(identity, device.key, '')) !== undefined) return undefined;
    try {
      const key = readPsk(directory, device.id, device.key);
      if (key !== undefined) return { fingerprint: device.key, key };
      throw new Fault('SP_KEY_INVALID', 'keys/psk has another key for this device than the registry.');
    } catch (thrown) {
      if (!this.#unreadable.has(device.id)) {
        this.#unreadable.add(device.id);
        const fault = Fault.from(thrown);
        parts.log.error(
          { code: fault.code, device: device.id, error: fault },
          'a device’s pre-shared key cannot be used',
        );
      }
      return undefined;
    }
  }

  #linksFor(peer: Peer): readonly Link[] | undefined {
    const device = this.#ports.parts.identifier.identify(peer);
    if (typeof device === 'string' || device.state !== 'active') return undefined;
    const segment = this.#ports.settings().segments.get(device.segment);
    return segment === undefined ? [] : reachableLinks(segment, device.id);
  }

  #isObservable(peer: Peer, path: string): boolean {
    const device = this.#ports.parts.identifier.identify(peer);
    const segment = typeof device === 'string' ? undefined : this.#ports.settings().segments.get(device.segment);
    return segment !== undefined && typeof device !== 'string' && isChannel(segment, path, device.id);
  }

  #useTls(tls: TlsMaterial): void {
    this.#https?.setSecureContext(this.#withTickets(tls));
    if (this.#coaps === undefined) return;
    this.#useTrust(tls);
    void this.#coaps.setCredential(tls);
  }

  #useTrust({ certificate, clientAuthorities }: TlsMaterial): void {
    const trust = clientAuthorities.map((pem) => new X509Certificate(pem).raw);
    this.#verifyChain = chainVerifier({ trust, crls: [], purpose: 'client' });
    const hash = createHash('sha256').update(certificate);
    for (const der of trust) hash.update(der);
    this.#trust = hash.digest('hex');
  }

  #withTickets(tls: TlsMaterial): TlsMaterial {
    const ticketKeys = this.#ports.crew.ticketKeys([tls.certificate, ...tls.clientAuthorities]);
    return ticketKeys ? { ...tls, ticketKeys } : tls;
  }
}
