/** The HTTPS listener before a house of the contract. WebSockets come through the same door, with an upgrader. */

import { peerFromCertificate } from '../../src/identity/certificate.ts';
import type { HttpsListenerOptions } from '../../src/listeners/https/listener.ts';
import type { Upgrader } from '../../src/listeners/https/upgrader.ts';
import type { House } from './house.ts';
import type { Papers } from './listener-contract.ts';

export function httpsOptions(house: House, papers: Papers, upgrader?: Upgrader): HttpsListenerOptions {
  const { limits, passage } = house;
  return {
    address: { host: '127.0.0.1', port: 0 },
    tls: { certificate: papers.server.pem, key: papers.server.keyPem, clientAuthorities: [papers.authority.pem] },
    limits,
    passage,
    peerOf: (certificate, address) => peerFromCertificate(certificate, address, limits.certificateBytes),
    ...(upgrader && { upgrader }),
  };
}
