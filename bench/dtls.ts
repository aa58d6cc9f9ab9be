/** `dtls`: server CPU of full handshakes, beside `openssl s_server` with certificates and libcoap's server with a PSK. */
import { execFileSync } from 'node:child_process';
import { connect } from '../src/dtls/endpoint.ts';
import type { ClientOptions } from '../src/dtls/options.ts';
import type { Bench, BenchOptions } from './core/bench.ts';
import { type Child, SERVER_CORE, Workplace } from './core/children.ts';
import { lineOf, type Outcome, round } from './core/outcome.ts';
import { cpuMicros } from './core/process-usage.ts';
import { alternate } from './core/rounds.ts';
import { median } from './core/statistics.ts';

const KEY = 'secretPSK';
const CERTIFICATE_SUITE = 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256';
/** s_server stays connected to its first client's port, so everybody's client keeps one. */
const OWN_PORT = 47_811;
const WARM_UP = 100;

export const dtls: Bench = {
  name: 'dtls',
  about: 'full DTLS 1.2 handshakes, beside openssl s_server (certificates on both sides) and libcoap (PSK)',
  needs: ['openssl', 'coap-server-openssl'],
  run,
};

interface Subject {
  readonly name: string;
  readonly child: Child;
  readonly port: number;
  readonly options: ClientOptions;
}

async function run({ rounds, seconds }: BenchOptions): Promise<Outcome> {
  const workplace = new Workplace();
  try {
    const at = certificates(workplace);
    const server = [at('server.pem'), at('server.key'), at('ca.pem')];
    const device = { cert: at('device.pem'), key: at('device.key') };
    const program = new URL('./dtls-server.ts', import.meta.url).pathname;
    const options = { core: SERVER_CORE };
    const start = (name: string, command: string, words: string[]) => workplace.start(name, command, words, options);
    const certificateClient: ClientOptions = {
      ...readAll(device),
      suites: [CERTIFICATE_SUITE],
      verifyPeer: () => ({ accepted: true }),
    };
    const pskClient: ClientOptions = {
      suites: ['TLS_PSK_WITH_AES_128_CCM_8'],
      pskIdentity: 'Client_identity',
      pskKey: new TextEncoder().encode(KEY),
    };
    const files = ['-cert', server[0], '-key', server[1], '-CAfile', server[2], '-Verify', '1'] as string[];
    const words = ['-dtls1_2', '-listen', '-quiet', '-4', '-accept', '47801', ...files];
    const subjects: Subject[] = [
      {
        name: 'openssl s_server, certificates',
        // It ends with its input, which is therefore a pipe that nobody writes to or closes.
        child: start('openssl', 'sh', [
          '-c',
          `mkfifo ${at('in')}; exec openssl s_server ${words.join(' ')} <>${at('in')}`,
        ]),
        port: 47_801,
        options: certificateClient,
      },
      {
        name: 'ours, certificates',
        child: start('ours', process.execPath, [program, '47802', 'certificates', ...(server as string[])]),
        port: 47_802,
        options: certificateClient,
      },
      {
        name: 'libcoap with OpenSSL, PSK',
        child: start('libcoap', 'coap-server-openssl', ['-A', '127.0.0.1', '-p', '47803', '-k', KEY, '-v', '0']),
        port: 47_804,
        options: pskClient,
      },
      {
        name: 'ours, PSK',
        child: start('ours-psk', process.execPath, [program, '47805', 'psk']),
        port: 47_805,
        options: pskClient,
      },
    ];
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    for (const subject of subjects) await shakeHands(subject, WARM_UP);
    const handshakes = Math.max(100, Math.round(200 * seconds));
    const results = await alternate(subjects, rounds, async (subject) => {
      const before = cpuMicros(subject.child.pid);
      await shakeHands(subject, handshakes);
      return (cpuMicros(subject.child.pid) - before) / handshakes;
    });
    const of = (number: number) => results.get(subjects[number] as Subject) as number[];
    return {
      lines: [
        lineOf({
          name: 'dtls/mutual-ecdsa',
          against: 'openssl s_server -dtls1_2',
          unit: 'CPU µs per handshake',
          baseline: of(0),
          ours: of(1),
          bar: { kind: 'ratio', atMost: 0.8 },
        }),
        lineOf({
          name: 'dtls/psk-ccm8',
          against: 'libcoap server with OpenSSL',
          unit: 'CPU µs per handshake',
          baseline: of(2),
          ours: of(3),
          bar: { kind: 'ratio', atMost: 2 },
        }),
      ],
      table: subjects.map((subject, number) => ({
        name: subject.name,
        figures: { 'CPU µs': round(median(of(number))) },
      })),
      method: `One handshake after another with cookie exchange and close_notify, our own client on the other core; ECDHE on the curve each server prefers, P-256 certificates on both sides, no resumption.`,
    };
  } finally {
    await workplace.close();
  }
}

async function shakeHands({ port, options }: Subject, times: number): Promise<void> {
  for (let done = 0; done < times; done += 1) {
    const session = await connect('127.0.0.1', port, { ...options, port: OWN_PORT });
    session.close();
    await session.closed;
    // The socket is closed a turn later.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function readAll({ cert, key }: { cert: string; key: string }): { cert: string; key: string } {
  const read = (path: string) => execFileSync('cat', [path], { encoding: 'utf8' });
  return { cert: read(cert), key: read(key) };
}

/** An authority, a server and a device, made by openssl. */
function certificates(workplace: Workplace): (name: string) => string {
  const at = (name: string) => workplace.path(name);
  const openssl = (...words: string[]) => execFileSync('openssl', words, { stdio: 'ignore' });
  const key = (name: string) =>
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', at(name));
  key('ca.key');
  openssl('req', '-x509', '-key', at('ca.key'), '-subj', '/CN=bench', '-days', '2', '-out', at('ca.pem'));
  for (const name of ['server', 'device']) {
    key(`${name}.key`);
    openssl('req', '-new', '-key', at(`${name}.key`), '-subj', `/CN=${name}`, '-out', at(`${name}.csr`));
    const issuer = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '2'];
    openssl('x509', '-req', '-in', at(`${name}.csr`), ...issuer, '-out', at(`${name}.pem`));
  }
  return at;
}
