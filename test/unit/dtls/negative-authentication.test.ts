/** Hostile authentication: certificates, signatures, raw keys, PSK, resumption and revocation, one test for each way others fell. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Peer } from '../../../src/dtls/core.ts';
import { Scheme } from '../../../src/dtls/crypto/sig.ts';
import { DtlsEngine } from '../../../src/dtls/engine.ts';
import type { ClientOptions, ResumableSession, ServerOptions, SuiteName } from '../../../src/dtls/options.ts';
import { concat, u16, vector } from '../../../src/dtls/wire/bytes.ts';
import { parseFragments, writeCertificate, writeFragment } from '../../../src/dtls/wire/handshake.ts';
import { parseRecord, plainRecord } from '../../../src/dtls/wire/record.ts';
import { Alert, ContentType, HandshakeType } from '../../../src/dtls/wire/registry.ts';
import { createAuthority, judgeBy, nameOf, type TestAuthority, type TestCredential } from './credentials.ts';
import { CLIENT, KEY, Pair, pskClient, pskServer, START_MS } from './pair.ts';
import { ScriptedClient } from './scripted-client.ts';

const SUITE: SuiteName = 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256';
const { certificate, certificateVerify, clientKeyExchange, finished } = HandshakeType;

let authority: TestAuthority;
let server: TestCredential;
let device: TestCredential;
let thief: TestCredential;
let serverOptions: ServerOptions;
let clientOptions: ClientOptions;

const der = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\n/g, ''), 'base64');

beforeAll(async () => {
  authority = await createAuthority('Test CA');
  server = await authority.issue('localhost', { purpose: 'server' });
  device = await authority.issue('probe-7', { purpose: 'client' });
  thief = await authority.issue('thief', { purpose: 'client' });
  const verifyPeer = judgeBy(authority);
  serverOptions = {
    ...server,
    verifyPeer,
    isStillAllowed: () => true,
    authorize: (peer) =>
      peer.kind === 'certificate'
        ? { allowed: true, principal: nameOf(peer.chain[0] as Uint8Array) }
        : { allowed: false, reason: 'no certificate' },
  };
  clientOptions = { ...device, verifyPeer, servername: 'localhost' };
});

/** A scripted client that has said its certificate and key exchange, as told. */
function mutual(options: ServerOptions = serverOptions): { engine: DtlsEngine; client: ScriptedClient } {
  const engine = new DtlsEngine({ server: options, nowMs: START_MS });
  return { engine, client: new ScriptedClient(engine, { suite: SUITE }).start() };
}

function exchange(client: ScriptedClient): void {
  client.message(clientKeyExchange, client.keyExchange());
  client.deriveKeys();
}

function finish(client: ScriptedClient): void {
  client.changeCipherSpec();
  client.message(finished, client.finished(), 1);
}

const hasOpened = (client: ScriptedClient) => client.effects.some(({ kind }) => kind === 'open');
const reasonOf = (client: ScriptedClient) =>
  client.effects.flatMap((effect) => (effect.kind === 'closed' ? [effect.reason] : []))[0];

describe('client certificates', () => {
  it('the right order opens, as a control', () => {
    const { client } = mutual();
    client.message(certificate, writeCertificate([der(device.cert)]));
    exchange(client);
    client.message(certificateVerify, client.certificateVerify(device.key));
    finish(client);
    expect(hasOpened(client)).toBe(true);
  });

  it('Certificate without CertificateVerify (pion CVE-2022-29222, wolfSSL CVE-2022-25640)', () => {
    const { engine, client } = mutual();
    client.message(certificate, writeCertificate([der(device.cert)]));
    exchange(client);
    finish(client);
    expect(hasOpened(client)).toBe(false);
    expect(engine.find(CLIENT)?.handshake?.state).toBe('wait-certificate-verify');
  });

  it('CertificateVerify by another key, over other bytes, replayed from another handshake', () => {
    const other = mutual().client;
    other.message(certificate, writeCertificate([der(device.cert)]));
    exchange(other);
    const replayed = other.certificateVerify(device.key);
    for (const forge of [
      (client: ScriptedClient) => client.certificateVerify(thief.key),
      () => replayed,
      () => concat(u16(Scheme.ecdsaSha256), vector(2, new Uint8Array(72))),
      () => concat(u16(Scheme.ecdsaSha256), vector(2, new Uint8Array(0))),
    ]) {
      const { client } = mutual();
      client.message(certificate, writeCertificate([der(device.cert)]));
      exchange(client);
      client.message(certificateVerify, forge(client));
      finish(client);
      expect([hasOpened(client), reasonOf(client)]).toEqual([false, 'signature-wrong']);
    }
  });

  it('CertificateVerify before ClientKeyExchange is dropped', () => {
    const { engine, client } = mutual();
    client.message(certificate, writeCertificate([der(device.cert)]));
    client.message(certificateVerify, client.certificateVerify(device.key));
    expect(engine.stats.drops['message-unexpected']).toBe(1);
    expect(engine.find(CLIENT)?.handshake?.state).toBe('wait-client-key-exchange');
  });

  it('algorithm or digest that was not offered (wolfSSL CVE-2026-2645, CVE-2026-5194)', () => {
    for (const scheme of [0x0203, 0x0403 + 0x100 * 3, 0x0401, 0x0804, 0x0000, 0xffff]) {
      const { client } = mutual();
      client.message(certificate, writeCertificate([der(device.cert)]));
      exchange(client);
      const genuine = client.certificateVerify(device.key);
      client.message(certificateVerify, concat(u16(scheme), genuine.subarray(2)));
      expect(reasonOf(client), scheme.toString(16)).toBe('signature-wrong');
    }
  });

  it('empty Certificate when one is required, and one that cannot be read', () => {
    for (const [body, reason] of [
      [writeCertificate([]), 'certificate-missing'],
      [writeCertificate([new Uint8Array(40)]), 'certificate-unreadable'],
      [
        writeCertificate([der(device.cert), der(device.cert), der(device.cert), der(device.cert), der(device.cert)]),
        'malformed-message',
      ],
      [concat(writeCertificate([der(device.cert)]), new Uint8Array(1)), 'malformed-message'],
      [Uint8Array.of(0, 0, 3, 0, 0, 0), 'malformed-message'],
    ] as const) {
      const { client } = mutual();
      client.message(certificate, body);
      exchange(client);
      finish(client);
      expect([hasOpened(client), reasonOf(client)]).toEqual([false, reason]);
    }
  });

  it('client certificate on a PSK suite is dropped', () => {
    const engine = new DtlsEngine({ server: { ...serverOptions, ...pskServer }, nowMs: START_MS });
    const client = new ScriptedClient(engine).start();
    client.message(certificate, writeCertificate([der(device.cert)]));
    expect(engine.stats.drops['message-unexpected']).toBe(1);
    expect(engine.find(CLIENT)?.handshake?.state).toBe('wait-client-key-exchange');
  });

  it('a raw key where X.509 was agreed, and the reverse', () => {
    const { client } = mutual();
    client.message(certificate, vector(3, new Uint8Array(91)));
    expect(reasonOf(client)).toBe('malformed-message');
    const pair = new Pair({
      key: server.key,
      rawPublicKeys: 'require',
      verifyRawPublicKey: () => ({ accepted: true }),
    });
    const peer = pair.connect({ ...clientOptions });
    expect(peer.state).toBe('handshaking');
    expect(pair.closed('server')).toEqual(['no-suite-in-both']);
  });

  it('expired, other authority, wrong purpose, other name: refused by the judge, never open', async () => {
    const expired = await authority.issue('old', { purpose: 'client', notAfter: new Date(Date.now() - 1_000) });
    const foreign = await (await createAuthority('Test CA')).issue('probe-7', { purpose: 'client' });
    const wrongPurpose = await authority.issue('probe-7', { purpose: 'server' });
    for (const credential of [expired, foreign, wrongPurpose]) {
      const pair = new Pair(serverOptions);
      pair.connect({ ...clientOptions, ...credential });
      expect(pair.closed('server')).toEqual(['certificate-refused']);
    }
    const pair = new Pair(serverOptions);
    const peer = pair.connect({ ...clientOptions, servername: 'elsewhere' });
    expect(peer.closeReason).toBe('certificate-refused');
    expect(pair.server.size).toBe(0);
  });

  it('a failed verification does not stick to later handshakes (Scandium CVE-2020-27222) nor leak places (CVE-2022-39368)', () => {
    const pair = new Pair(serverOptions);
    for (let i = 0; i < 50; i++) {
      const bad = new ScriptedClient(pair.server, { suite: SUITE, address: { ...CLIENT, port: 100 + i } }).start();
      bad.message(certificate, writeCertificate([]));
    }
    expect([pair.server.halfOpen, pair.server.stats.closes['certificate-missing']]).toEqual([0, 50]);
    expect(pair.connect(clientOptions).state).toBe('open');
  });

  it('the verdict may come later; a peer refused then never opens', async () => {
    for (const accepted of [true, false]) {
      const pair = new Pair({ ...serverOptions, verifyPeer: async () => ({ accepted, reason: 'late' }) });
      const peer = pair.connect(clientOptions);
      expect(pair.server.size).toBe(0);
      await pair.settle();
      expect([peer.state, pair.server.size]).toEqual(accepted ? ['open', 1] : ['handshaking', 0]);
    }
  });

  it('whoever the caller does not authorize gets access_denied and no Finished', () => {
    const pair = new Pair({ ...serverOptions, authorize: () => ({ allowed: false, reason: 'disabled' }) });
    const peer = pair.connect(clientOptions);
    expect(pair.closed('server')).toEqual(['not-authorized']);
    expect(peer.state).toBe('handshaking');
    expect(peer.handshake?.alertSeen).toBe(Alert.accessDenied);
  });
});

describe('Finished', () => {
  it('skipped, wrong, with the wrong hash, before ChangeCipherSpec', () => {
    for (const forge of [
      (client: ScriptedClient) => Uint8Array.from(client.finished(), (byte, i) => (i === 11 ? byte ^ 1 : byte)),
      () => new Uint8Array(12),
      (client: ScriptedClient) => client.finished().subarray(0, 11),
      (client: ScriptedClient) => concat(client.finished(), new Uint8Array(1)),
      () => new Uint8Array(0),
    ]) {
      const { client } = { client: new ScriptedClient(new Pair().server).start() };
      exchange(client);
      client.changeCipherSpec();
      client.message(finished, forge(client), 1);
      expect([hasOpened(client), reasonOf(client)]).toEqual([false, 'finished-wrong']);
    }
  });
});

describe('key exchange', () => {
  it('points off the curve, at infinity, compressed, truncated', () => {
    for (const point of [new Uint8Array(65).fill(4), Uint8Array.of(0), new Uint8Array(33).fill(2), new Uint8Array(0)]) {
      const { client } = mutual();
      client.message(certificate, writeCertificate([der(device.cert)]));
      client.message(clientKeyExchange, vector(1, point));
      expect(reasonOf(client)).toBe('point-invalid');
    }
  });

  it('PSK identities: empty, 65,535 bytes, NUL, invalid UTF-8: like any wrong key, and never asked for', () => {
    const asked: string[] = [];
    for (const identity of [
      new Uint8Array(0),
      new Uint8Array(8_000).fill(65),
      new TextEncoder().encode('probe-7\0x'),
      Uint8Array.of(0xff, 0xfe),
      new TextEncoder().encode('unknown'),
    ]) {
      const psk = (name: string) => {
        asked.push(name);
        return undefined;
      };
      const engine = new DtlsEngine({ server: { ...pskServer, psk }, nowMs: START_MS });
      const client = new ScriptedClient(engine).start();
      client.message(clientKeyExchange, vector(2, identity));
      client.deriveKeys();
      finish(client);
      expect([hasOpened(client), engine.find(CLIENT)?.handshake?.state]).toEqual([false, 'wait-finished']);
      // The client says it again, and is told what a wrong key is told.
      client.raw(client.sealed(ContentType.handshake, new Uint8Array(24)));
      expect(reasonOf(client)).toBe('key-wrong');
    }
    expect(asked).toEqual(['unknown']);
  });

  it('ECDHE_PSK parameters truncated (pion CVE-2026-54908)', () => {
    const suite = 'TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256';
    const whole = new ScriptedClient(new Pair().server, { suite }).start().keyExchange();
    for (let cut = 0; cut < whole.length; cut++) {
      const client = new ScriptedClient(new Pair().server, { suite }).start();
      client.message(clientKeyExchange, whole.subarray(0, cut));
      expect(reasonOf(client), `${cut}`).toBe('malformed-message');
    }
  });

  it('client side: ServerKeyExchange without a signature, or with that of another (Scandium CVE-2021-34433)', async () => {
    const other = await authority.issue('localhost', { purpose: 'server' });
    for (const forge of [
      (body: Uint8Array) => body.subarray(0, 4 + (body[3] as number)),
      (body: Uint8Array) => concat(body.subarray(0, 4 + (body[3] as number)), u16(Scheme.ecdsaSha256), u16(0)),
      (body: Uint8Array) => Uint8Array.from(body, (byte, i) => (i === 20 ? byte ^ 1 : byte)),
    ]) {
      const pair = new Pair({ ...serverOptions, ...other });
      pair.intercept = (datagram, from) => {
        if (from === 'client') return [datagram];
        const out: Uint8Array[] = [];
        for (let at = 0; at < datagram.length; ) {
          const record = parseRecord(datagram, at, 0);
          if (record === undefined) break;
          const [fragment] = record.epoch === 0 ? (parseFragments(record.fragment) ?? []) : [];
          const isExchange =
            fragment?.type === HandshakeType.serverKeyExchange && fragment.length === fragment.body.length;
          out.push(
            isExchange
              ? plainRecord(
                  record.type,
                  record.sequence,
                  writeFragment(fragment.type, fragment.messageSeq, forge(fragment.body)),
                )
              : datagram.subarray(at, record.end),
          );
          at = record.end;
        }
        return out;
      };
      expect(['signature-wrong', 'malformed-message']).toContain(pair.connect(clientOptions).closeReason);
    }
  });
});

/** Shakes hands once, closes, and gives what to resume with. */
function first(pair: Pair, options: ClientOptions): ResumableSession {
  const peer = pair.connect(options);
  const { resumable } = peer;
  if (resumable === undefined) throw new Error('nothing to resume');
  pair.client.close(peer, 'local-close', pair.nowMs);
  pair.carry('client', pair.client.drain());
  pair.nowMs += 1_000;
  return resumable;
}

describe('resumption', () => {
  const secrets = { ticketSecret: new Uint8Array(32).fill(1) };

  it('the same peer resumes, with the same principal and without being asked for its certificate', () => {
    const pair = new Pair(serverOptions);
    const session = first(pair, clientOptions);
    const again = pair.connect({ ...clientOptions, session });
    expect([again.reused, pair.opened('server').at(-1)?.principal]).toEqual([true, 'probe-7']);
  });

  it('not under another server name, listener, policy generation, suite list or ticket key; not after its life (wolfSSL CVE-2026-11703, node CVE-2026-123872)', () => {
    const base: ServerOptions = { ...pskServer, ...secrets, listenerId: 'a', policyGeneration: () => '1' };
    const session = first(new Pair(base), { ...pskClient, servername: 'one.example' });
    const resumes = (options: Partial<ServerOptions>, client: Partial<ClientOptions> = {}, lateMs = 0) => {
      const pair = new Pair({ ...base, ...options });
      pair.nowMs += 2_000 + lateMs;
      const given = { ...session, ...(client.servername === undefined ? {} : { servername: client.servername }) };
      return pair.connect({ ...pskClient, servername: 'one.example', ...client, session: given }).reused;
    };
    expect(resumes({})).toBe(true);
    expect(resumes({}, { servername: 'two.example' })).toBe(false);
    expect(resumes({ listenerId: 'b' })).toBe(false);
    expect(resumes({ policyGeneration: () => '2' })).toBe(false);
    expect(resumes({ suites: ['TLS_PSK_WITH_AES_128_CCM_8'] })).toBe(false);
    expect(resumes({ ticketSecret: new Uint8Array(32).fill(2) })).toBe(false);
    expect(resumes({ isStillAllowed: () => false })).toBe(false);
    expect(resumes({}, {}, 25 * 3_600_000)).toBe(false);
  });

  it('an altered ticket is a full handshake', () => {
    const pair = new Pair(pskServer);
    const session = first(pair, pskClient);
    for (const at of [0, 12, 40, session.ticket.length - 1]) {
      const ticket = Uint8Array.from(session.ticket, (byte, i) => (i === at ? byte ^ 1 : byte));
      const peer = pair.connect({ ...pskClient, session: { ...session, ticket } });
      expect([peer.state, peer.reused]).toEqual(['open', false]);
      pair.client.close(peer, 'local-close', pair.nowMs);
      pair.carry('client', pair.client.drain());
    }
  });

  it('a stolen ticket without the master secret opens nothing', () => {
    const pair = new Pair(pskServer);
    const session = first(pair, pskClient);
    pair.connect({ ...pskClient, session: { ...session, masterSecret: new Uint8Array(48) } });
    expect(pair.server.size).toBe(0);
  });

  it('extended master secret stripped from a resumption is refused (RFC 7627 5.3), sessions without it are never kept', () => {
    const pair = new Pair(pskServer);
    const session = first(pair, pskClient);
    const stripped = new ScriptedClient(pair.server, {
      suite: session.suite,
      extensions: [[35, session.ticket]],
      address: { ...CLIENT, port: 77 },
    });
    stripped.nowMs = pair.nowMs;
    expect(() => stripped.start()).toThrow();
    expect(pair.server.stats.closes['missing-extended-master-secret']).toBe(1);
    const classic = new Pair(pskServer);
    const client = new ScriptedClient(classic.server, { extended: false }).start();
    expect(client.completePsk().some(({ kind }) => kind === 'open')).toBe(true);
    expect(client.received.has(HandshakeType.newSessionTicket)).toBe(false);
    expect(classic.server.cachedSessions).toBe(0);
  });

  it('revoked: association, Connection ID, session id and ticket end at once, the others go on (threats row 10)', () => {
    const allowed = new Set(['probe-7']);
    const pair = new Pair({
      ...pskServer,
      connectionId: { length: 8 },
      isStillAllowed: (principal) => allowed.has(principal),
    });
    const session = first(pair, pskClient);
    const peer = pair.connect({ ...pskClient, connectionId: { length: 8 } });
    const [server] = pair.opened('server').slice(-1);
    const before = pair.wire.length;
    pair.intercept = () => [];
    pair.send('client', peer, 'late');
    pair.intercept = (datagram) => [datagram];
    const late = (pair.wire[before] as { datagram: Uint8Array }).datagram;
    expect(pair.server.revoke('nobody', pair.nowMs)).toBe(0);
    expect(pair.server.revoke('probe-7', pair.nowMs)).toBe(1);
    pair.carry('server', pair.server.drain());
    expect([server?.closeReason, peer.closeReason]).toEqual(['revoked', 'peer-alert']);
    expect(pair.server.size).toBe(0);
    // What was on its way finds no Connection ID any more.
    expect(pair.server.receive(late, CLIENT, pair.nowMs)).toEqual([]);
    expect(pair.server.stats.drops['connection-id-unknown']).toBe(1);
    // Allowed again by the registry: the old ticket is still void, a new handshake is not.
    const again = pair.connect({ ...pskClient, session });
    expect([again.state, again.reused]).toEqual(['open', false]);
  });

  it('revoked between the hello and Finished of a resumption', () => {
    let allowed = true;
    const pair = new Pair({ ...pskServer, isStillAllowed: () => allowed });
    const session = first(pair, pskClient);
    let flights = 0;
    pair.intercept = (datagram, from) => {
      // The client's last flight of the resumption: ChangeCipherSpec and Finished.
      if (from === 'client' && ++flights === 3) allowed = false;
      return [datagram];
    };
    pair.connect({ ...pskClient, session });
    expect(pair.closed('server').at(-1)).toBe('not-authorized');
    expect(pair.server.size).toBe(0);
  });

  it('more revocations than are kept by name void every ticket: fail closed', () => {
    const pair = new Pair({ ...pskServer, limits: { maxRevokedPrincipals: 5 } });
    const session = first(pair, pskClient);
    for (let i = 0; i < 6; i++) pair.server.revoke(`other-${i}`, pair.nowMs);
    pair.nowMs += 10;
    expect(pair.connect({ ...pskClient, session }).reused).toBe(false);
  });
});

describe('extensions', () => {
  const everything = (): ClientOptions => ({ ...pskClient, pskKey: KEY });

  it('application protocols: ours first that is theirs; none in both ends it (RFC 7301)', () => {
    const talk = (ours: string[] | undefined, theirs: string[]) => {
      const pair = new Pair({ ...pskServer, ...(ours === undefined ? {} : { alpnProtocols: ours }) });
      const peer = pair.connect({ ...everything(), alpnProtocols: theirs });
      return [peer.state, peer.alpnProtocol, ...pair.closed('server')];
    };
    expect(talk(['coap', 'mqtt'], ['mqtt', 'coap'])).toEqual(['open', 'coap']);
    expect(talk(['coap'], ['mqtt'])).toEqual(['handshaking', '', 'no-application-protocol']);
    expect(talk(undefined, ['mqtt'])).toEqual(['open', '']);
  });

  it('sni chooses the credential, later too; an unknown name is refused', async () => {
    const other = await authority.issue('two.example', { purpose: 'server' });
    const pair = new Pair({
      verifyPeer: judgeBy(authority),
      isStillAllowed: () => true,
      sni: async (name) => (name === 'two.example' ? other : undefined),
    });
    const good = pair.connect({ ...clientOptions, servername: 'two.example' });
    await pair.settle();
    expect(good.state).toBe('open');
    pair.client.close(good, 'local-close', pair.nowMs);
    pair.carry('client', pair.client.drain());
    const bad = pair.connect({ ...clientOptions, servername: 'three.example' });
    await pair.settle();
    expect([bad.state, bad.handshake?.alertSeen]).toEqual(['handshaking', Alert.unrecognizedName]);
  });

  it('both sides export the same keying material, and none of the protocol’s own labels', () => {
    const pair = new Pair(pskServer);
    const client = pair.connect();
    const [server] = pair.opened('server') as [Peer];
    const of = (engine: DtlsEngine, peer: Peer) =>
      Buffer.from(engine.exportKeyingMaterial(peer, 32, 'EXPORTER-sallyport', Uint8Array.of(1))).toString('hex');
    expect(of(pair.client, client)).toBe(of(pair.server, server));
    expect(() => pair.server.exportKeyingMaterial(server, 32, 'master secret')).toThrow('label');
  });

  it('every suite shakes hands, with RSA and AES-256 when asked for', async () => {
    const rsa = await authority.issue('localhost', { purpose: 'server', rsa: true });
    const { SUITES } = await import('../../../src/dtls/crypto/suites.ts');
    for (const suite of SUITES) {
      const suites = [suite.name];
      const own = suite.signature === 'rsa' ? rsa : server;
      const isPsk = suite.keyExchange !== 'ecdhe';
      const pair = new Pair(isPsk ? { ...pskServer, suites } : { ...serverOptions, ...own, suites });
      const peer = pair.connect(isPsk ? { ...pskClient, suites } : { ...clientOptions, suites });
      expect([peer.state, peer.suite?.name], suite.name).toEqual(['open', suite.name]);
      pair.send('client', peer, 'hello');
      expect(pair.heard('server')).toEqual(['hello']);
    }
  });
});
