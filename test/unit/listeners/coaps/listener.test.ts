import { generateKeyPairSync, type webcrypto, X509Certificate } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../../../src/dtls/endpoint.ts';
import type { DtlsSession } from '../../../../src/dtls/options.ts';
import type { Session } from '../../../../src/exchange/gate.ts';
import type { Peer } from '../../../../src/exchange/peer.ts';
import type { DropReason } from '../../../../src/faults/drop.ts';
import { Fault } from '../../../../src/faults/fault.ts';
import { pskPeer, rawKeyPeer } from '../../../../src/identity/bare-key.ts';
import { keyOf } from '../../../../src/identity/public-key.ts';
import { CoapsAssociation } from '../../../../src/listeners/coaps/association.ts';
import type { PskFound } from '../../../../src/listeners/coaps/identity-port.ts';
import { CoapsListener } from '../../../../src/listeners/coaps/listener.ts';
import { House } from '../../../contract/house.ts';
import { type Issued, issue } from '../../upstreams/certificates.ts';

const KEY = new TextEncoder().encode('0123456789abcdef0123456789abcdef');
const PRINT = 'a'.repeat(64);
let first: Issued;
let second: Issued;
const listeners: CoapsListener[] = [];

beforeAll(async () => {
  [first, second] = [await issue({ name: 'localhost' }), await issue({ name: 'localhost' })];
});
afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.close(0);
});

async function open(house: House, psk: (identity: string) => PskFound | undefined, port = 0): Promise<CoapsListener> {
  const listener = new CoapsListener({
    address: { host: '127.0.0.1', port },
    credential: { certificate: first.pem, key: first.keyPem },
    limits: { ...house.limits, connectionsPerDevice: 2 },
    passage: house.passage,
    identity: {
      psk,
      chainProblem: () => 'no-trusted-path',
      certificatePeer: () => {
        throw new Fault('SP_CERTIFICATE_INVALID');
      },
      rawKeyPeer,
      pskPeer,
      generation: () => '',
    },
    linksFor: () => [],
    isObservable: () => false,
    count: () => undefined,
  });
  await listener.listen();
  listeners.push(listener);
  return listener;
}

/** A device's bare key. */
function rawKey(): { key: string; registered: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { key, registered: keyOf(publicKey.export({ type: 'spki', format: 'der' })) };
}

const limits = { handshakeDeadlineMs: 1_000, unauthenticAlertGraceMs: 50 };
const byPsk = (listener: CoapsListener, session?: DtlsSession['session']) =>
  connect('127.0.0.1', listener.address().port, {
    pskIdentity: 'probe-7',
    pskKey: KEY,
    limits,
    ...(session && { session }),
  });

describe('a listener', () => {
  it('says which address it could not have', async () => {
    const taken = createSocket('udp4').bind(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address();
    await expect(open(new House(), () => undefined, port)).rejects.toMatchObject({ code: 'SP_GATEWAY_LISTEN' });
    taken.close();
  });

  it('with another certificate ends what is open and shows the new one', async () => {
    const house = new House();
    house.register('probe-7', PRINT);
    const listener = await open(house, () => ({ fingerprint: PRINT, key: KEY }));
    const { port } = listener.address();
    const before = await byPsk(listener);
    await listener.setCredential({ certificate: first.pem, key: first.keyPem });
    expect(before.state).toBe('open');
    await listener.setCredential({ certificate: second.pem, key: second.keyPem });
    await before.closed;
    expect(listener.address().port).toBe(port);
    let shown: Uint8Array | undefined;
    await connect('127.0.0.1', port, {
      verifyPeer: ([leaf]) => {
        shown = leaf;
        return { accepted: true };
      },
      limits,
    }).catch(() => undefined);
    expect(Buffer.from(shown ?? []).equals(new X509Certificate(second.pem).raw)).toBe(true);
    expect((await byPsk(listener, before.session)).state).toBe('open');
  });

  it('with an RSA certificate is understood too', async () => {
    const rsa: webcrypto.RsaHashedKeyGenParams = {
      ...{ name: 'RSASSA-PKCS1-v1_5', modulusLength: 2_048, hash: 'SHA-256' },
      publicExponent: Uint8Array.of(1, 0, 1),
    };
    const house = new House();
    const listener = await open(house, () => undefined);
    const { pem, keyPem, key: listenerKey } = await issue({ name: 'localhost', algorithm: rsa });
    await listener.setCredential({ certificate: pem, key: keyPem });
    const { key, registered } = rawKey();
    house.register('bare-1', registered);
    const dtls = await connect('127.0.0.1', listener.address().port, {
      ...{ key, rawPublicKeys: 'accept', suites: ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'], limits },
      // It asks the listener for its bare key as well, and knows it.
      verifyPeer: () => ({ accepted: false, reason: '' }),
      verifyRawPublicKey: (spki) => ({ accepted: keyOf(spki) === listenerKey, reason: '' }),
    });
    expect(dtls.cipher).toBe('TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256');
    await expect.poll(() => listener.associations).toBe(1);
  });

  it('lets a device have limits.connectionsPerDevice associations, and another one when one ends', async () => {
    const house = new House();
    house.register('probe-7', PRINT);
    const listener = await open(house, () => ({ fingerprint: PRINT, key: KEY }));
    const [one] = [await byPsk(listener), await byPsk(listener)];
    const third = await byPsk(listener).catch(() => undefined);
    await third?.closed;
    expect(house.drops).toEqual(['identity-cap']);
    one?.close();
    await expect.poll(() => listener.associations).toBe(1);
    expect((await byPsk(listener)).state).toBe('open');
  });

  it('takes the end of a handshake for its beginning’s key, though the identity has another one by now', async () => {
    const house = new House();
    house.register('probe-7', 'b'.repeat(64));
    let asked = 0;
    const listener = await open(house, () => {
      asked += 1;
      return { fingerprint: PRINT, key: KEY };
    });
    await expect(byPsk(listener)).rejects.toThrow();
    expect(asked).toBe(1);
    expect(house.drops).toContain('identity-refused');
  });
});

describe('an association', () => {
  it('keeps its identity when its address changes, and says where it is now', () => {
    const drops: DropReason[] = [];
    let attended: Session | undefined;
    const dtls = { onpathchange: undefined, onclose: undefined, principal: 'p', close: () => undefined };
    const association = new CoapsAssociation(dtls as never, pskPeer('probe-7', PRINT, '10.0.0.1'), {
      passage: {
        attend: (session: Session) => {
          attended = session;
          return () => undefined;
        },
        drop: (reason: DropReason, { address }: Peer) => drops.push(`${reason} ${address}` as DropReason),
      } as never,
      revoke: () => undefined,
      left: () => undefined,
    });
    association.attend();
    (dtls as unknown as DtlsSession).onpathchange?.(
      { address: '10.0.0.1', port: 1 },
      { address: '::ffff:10.0.0.2', port: 2 },
    );
    expect(attended?.peer).toMatchObject({ address: '10.0.0.2', key: PRINT, method: 'psk' } satisfies Partial<Peer>);
    (dtls as unknown as DtlsSession).onclose?.('idle');
    (dtls as unknown as DtlsSession).onclose?.('idle');
    association.close('revoked');
    // Once, however often it ends.
    expect(drops).toEqual(['idle-timeout 10.0.0.2']);
  });
});
