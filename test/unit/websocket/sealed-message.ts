/** A sealed message that went through the three steps of the exchange, with ports that say yes. */
import type { Arrival } from '../../../src/exchange/arrival.ts';
import type { Transformer } from '../../../src/exchange/gate.ts';
import { Identified } from '../../../src/exchange/identified.ts';
import { Denied } from '../../../src/exchange/outcome.ts';
import type { Device, Peer } from '../../../src/exchange/peer.ts';
import { Permitted } from '../../../src/exchange/permitted.ts';
import { Sealed } from '../../../src/exchange/sealed.ts';

export const PEER: Peer = {
  method: 'certificate',
  address: '10.0.0.7',
  key: 'ab'.repeat(32),
  names: ['URI:urn:sallyport:device:camera-2'],
  issuer: 'CN=Sallyport test CA',
  serial: '01',
  notBefore: 0,
  notAfter: 4_102_444_800_000,
  clientAuthentication: true,
};

export const DEVICE: Device = { id: 'camera-2', segment: 'cameras', state: 'active', labels: {}, key: PEER.key };

/** Lets everything pass as it is. */
export const TRANSPARENT: Transformer = {
  decode: () => undefined,
  transform: ({ identified: { arrival } }) => ({
    verb: arrival.verb,
    path: arrival.path,
    query: arrival.query,
    headers: arrival.headers,
    contentType: arrival.contentType,
    body: arrival.body,
  }),
  transformReply: (_sealed, reply) => reply,
  redactPath: (path) => path,
};

export function arrivalOf(part: Partial<Arrival> = {}): Arrival {
  return {
    id: '019a0000-0000-7000-8000-000000000001',
    protocol: 'websocket',
    listener: 'https',
    direction: 'toCloud',
    receivedAt: 0,
    peer: PEER,
    verb: 'WS',
    path: '/v1/frames',
    query: '',
    headers: [],
    contentType: '',
    body: { kind: 'empty' },
    signal: new AbortController().signal,
    ...part,
  };
}

export async function sealedOf(part: Partial<Arrival> = {}, upstream = 'cloud'): Promise<Sealed> {
  const identified = Identified.by({ identify: () => DEVICE, admit: () => undefined }, TRANSPARENT, arrivalOf(part));
  if (identified instanceof Denied) throw identified;
  const permitted = await Permitted.by(
    { decide: () => ({ allow: true, obligations: { route: 'cameras/frames', upstream } }), revision: '1' },
    identified,
  );
  if (permitted instanceof Denied) throw permitted;
  const sealed = Sealed.by(TRANSPARENT, permitted);
  if (sealed instanceof Denied) throw sealed;
  return sealed;
}

/** A sealed message with these bytes. */
export function sealedBytes(bytes: Uint8Array | string, contentType = 'application/octet-stream'): Promise<Sealed> {
  return sealedOf({ contentType, body: { kind: 'bytes', bytes: Buffer.from(bytes) } });
}
