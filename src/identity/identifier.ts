/**
 * Who is this? The step every exchange begins with, asked for every request: a map look-up, then nothing but comparisons of
 * numbers while the registry does not change. What the peer says of itself (Host, path, client id) plays no part here.
 */
import type { Identifier } from '../exchange/gate.ts';
import type { Device, Peer } from '../exchange/peer.ts';
import type { Reason } from '../faults/catalogue.ts';
import { methodOf } from './bare-key.ts';
import { namesAnother } from './device-id.ts';
import { isAccepted } from './lifecycle.ts';
import type { DeviceRegistry } from './registry.ts';

export interface IdentifierClock {
  /** Wall clock, milliseconds since the epoch. */
  now(): number;
  /**
   * A moment that has certainly passed (the build, the last record of the ledger), milliseconds since the epoch. A clock
   * that was set back below it does not make expired certificates valid again.
   */
  floor(): number;
}

interface Answer {
  readonly version: number;
  readonly device: Device | Reason;
}

export class DeviceIdentifier implements Identifier {
  readonly #registry: DeviceRegistry;
  readonly #clock: IdentifierClock;
  /** By Peer object: a listener makes one per connection, and forgets it with the connection. */
  readonly #answers = new WeakMap<Peer, Answer>();

  constructor(registry: DeviceRegistry, clock: IdentifierClock) {
    this.#registry = registry;
    this.#clock = clock;
  }

  /** The device, also a disabled or quarantined one, or why there is none. Never throws. */
  identify(peer: Peer): Device | Reason {
    const { version } = this.#registry;
    let answer = this.#answers.get(peer);
    if (answer === undefined || answer.version !== version) {
      answer = { version, device: this.#lookUp(peer) };
      this.#answers.set(peer, answer);
    }
    if (typeof answer.device === 'string') return answer.device;
    const now = Math.max(this.#clock.now(), this.#clock.floor());
    // So written that a NaN, wherever it comes from, is an expired certificate.
    return now >= peer.notBefore && now <= peer.notAfter ? answer.device : 'certificate-expired';
  }

  /** Whether a handshake's connection may live. A quarantined device may: policy is to tell it so. */
  admit(peer: Peer): Reason | undefined {
    const device = this.identify(peer);
    if (typeof device === 'string') return device;
    switch (device.state) {
      case 'active':
      case 'quarantined':
        return undefined;
      case 'retired':
        return 'device-retired';
      default:
        return 'device-disabled';
    }
  }

  #lookUp(peer: Peer): Device | Reason {
    const enrolment = this.#registry.byKey(peer.key);
    if (enrolment === undefined) return 'unknown-identity';
    const { device, names, issuer } = enrolment;
    if (!isAccepted(enrolment)) return enrolment.standing === 'retired' ? 'device-retired' : 'unknown-identity';
    if (!peer.clientAuthentication) return 'certificate-not-for-clients';
    // A key registered bare does not come with a certificate that somebody made for it, nor the other way round.
    if (methodOf(issuer) !== peer.method) return 'identity-mismatch';
    // Another trusted authority vouching for the same key is not who enrolled the device.
    if (peer.issuer !== issuer) return 'identity-mismatch';
    if (!bears(peer.names, names) || namesAnother(peer.names, device.id)) return 'identity-mismatch';
    return device;
  }
}

/** True if the certificate has all registered names. One registered without any must not have got some since. */
function bears(presented: readonly string[], registered: readonly string[]): boolean {
  if (registered.length === 0) return presented.length === 0;
  return registered.every((name) => presented.includes(name));
}
