/** A DTLS server of our own for the benchmarks: port, then certificate, key and authority files, or `psk`. Echoes. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { listen } from '../src/dtls/endpoint.ts';

const [port, kind, ...files] = process.argv.slice(2) as [string, string, ...string[]];
const wide = { maxHalfOpenPerHost: 10_000, helloVerifyPerSecond: 1e6, helloVerifyPerNetworkPerSecond: 1e6 };
const read = (at: number) => readFileSync(files[at] as string, 'utf8');
const issuer = kind === 'psk' ? undefined : new X509Certificate(read(2));
await listen(
  (session) => {
    session.onmessage = (data) => void session.send(data);
  },
  {
    host: '127.0.0.1',
    port: Number(port),
    limits: wide,
    // The same work as the others do: sign, verify the chain and the client's signature.
    ...(issuer === undefined
      ? { psk: () => new TextEncoder().encode('secretPSK') }
      : {
          cert: read(0),
          key: read(1),
          verifyPeer: ([leaf]) => {
            const certificate = new X509Certificate(leaf as Uint8Array);
            const accepted = certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
            return accepted ? { accepted } : { accepted: false, reason: 'unknown-authority' };
          },
        }),
  },
);
process.stdout.write('listening\n');
