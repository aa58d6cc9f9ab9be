/**
 * Hostile records, one test for each way another implementation fell. Each asserts silence, unchanged state, a counted reason, and
 * that the good association still works afterwards.
 */
import { describe, expect, it } from 'vitest';
import type { Peer } from '../../../src/dtls/core.ts';
import type { ClientOptions, ServerOptions } from '../../../src/dtls/options.ts';
import type { DropReason } from '../../../src/dtls/stats.ts';
import { writeFragment } from '../../../src/dtls/wire/handshake.ts';
import { plainRecord, writeRecordHeader } from '../../../src/dtls/wire/record.ts';
import { ContentType, HandshakeType } from '../../../src/dtls/wire/registry.ts';
import { CLIENT, KEY, Pair, pskClient, pskServer } from './pair.ts';
import { ScriptedClient } from './scripted-client.ts';

interface Open {
  readonly pair: Pair;
  readonly client: Peer;
  readonly server: Peer;
}

function open(serverOptions: ServerOptions = pskServer, clientOptions: ClientOptions = pskClient): Open {
  const pair = new Pair(serverOptions);
  const client = pair.connect(clientOptions);
  const [server] = pair.opened('server');
  if (server === undefined) throw new Error('did not open');
  return { pair, client, server };
}

/** Gives a datagram to the server as from the client; expects silence, no event, and the drop. */
function refused({ pair, server }: Open, datagram: Uint8Array, reason: DropReason, from = CLIENT): void {
  const before = { highest: server.highest, activity: server.lastActivityMs, address: server.address };
  const drops = pair.server.stats.drops[reason];
  const effects = pair.server.receive(datagram, from, pair.nowMs + 5);
  expect(effects, reason).toEqual([]);
  expect(pair.server.stats.drops[reason], reason).toBe(drops + 1);
  expect({ highest: server.highest, activity: server.lastActivityMs, address: server.address }).toEqual(before);
}

function stillWorks({ pair, client, server }: Open): void {
  pair.send('client', client, 'still');
  pair.send('server', server, 'here');
  expect([pair.heard('server').at(-1), pair.heard('client').at(-1)]).toEqual(['still', 'here']);
}

/** A record of epoch 1 with garbage in it. */
function garbage(sequence: number, length: number, type: number = ContentType.applicationData, epoch = 1): Uint8Array {
  const record = new Uint8Array(13 + length).fill(0x5a);
  writeRecordHeader(record, type, epoch, sequence, undefined, length);
  return record;
}

/** A genuine record of the client's, sealed and kept from the server. */
function genuine({ pair, client }: Open, plaintext: Uint8Array): Uint8Array {
  const before = pair.wire.length;
  pair.intercept = () => [];
  pair.send('client', client, new TextDecoder().decode(plaintext));
  pair.intercept = (datagram) => [datagram];
  return (pair.wire[before] as { datagram: Uint8Array }).datagram;
}

describe('record layer', () => {
  it('empty datagram, 1 to 12 bytes, length beyond the datagram, header without body (OpenSSL CVE-2014-3571)', () => {
    const one = open();
    refused(one, new Uint8Array(0), 'datagram-size');
    for (let length = 1; length < 13; length++) refused(one, garbage(9, 40).subarray(0, length), 'record-truncated');
    refused(one, garbage(9, 40).subarray(0, 13), 'record-truncated');
    refused(one, garbage(9, 40).subarray(0, 52), 'record-truncated');
    refused(one, plainRecord(ContentType.handshake, 1, new Uint8Array(0)), 'epoch-zero-forbidden');
    stillWorks(one);
  });

  it('of several records the second truncated: the first counts, the rest is left', () => {
    const one = open();
    const record = genuine(one, new TextEncoder().encode('first'));
    const effects = one.pair.server.receive(
      Uint8Array.from([...record, ...record.subarray(0, 20)]),
      CLIENT,
      one.pair.nowMs,
    );
    expect(effects.map(({ kind }) => kind)).toEqual(['data']);
    expect(one.pair.server.stats.drops['record-truncated']).toBe(1);
    stillWorks(one);
  });

  it('source port 0', () => {
    refused(open(), garbage(9, 40), 'source-port-zero', { ...CLIENT, port: 0 });
  });

  it('unknown content type and wrong version are silent, not a fatal alert (openssl issues 25389, 25840)', () => {
    const one = open();
    for (const type of [0, 19, 24, 26, 27, 255]) refused(one, garbage(9, 40, type), 'content-type-unknown');
    for (const version of [0xfeff, 0x0303, 0xfefc, 0x0000]) {
      const record = garbage(9, 40);
      record[1] = version >> 8;
      record[2] = version & 255;
      refused(one, record, 'version-wrong');
    }
    stillWorks(one);
  });

  it('protected fragment shorter than nonce and tag (OpenSSL CVE-2026-75806, dimpl PR 112)', () => {
    const one = open();
    for (let length = 0; length < 16; length++) refused(one, garbage(9, length), 'record-too-short');
    stillWorks(one);
  });

  it('empty plaintext under a forged tag (OpenSSL CVE-2026-75803)', () => {
    for (const suite of ['TLS_PSK_WITH_AES_128_GCM_SHA256', 'TLS_PSK_WITH_AES_128_CCM_8'] as const) {
      const one = open({ ...pskServer, suites: [suite] });
      refused(one, garbage(9, suite.endsWith('CCM_8') ? 16 : 24), 'record-unauthentic');
      stillWorks(one);
    }
  });

  it('record longer than encryption may make it', () => {
    const one = open();
    refused(one, garbage(9, 16_384 + 257), 'record-too-long');
    stillWorks(one);
  });

  it('next-epoch record with a huge sequence number does not move the window (OpenSSL CVE-2016-2181, tinydtls CVE-2021-42142)', () => {
    const one = open();
    refused(one, garbage(2 ** 48 - 1, 64, ContentType.applicationData, 2), 'epoch-unknown');
    refused(one, garbage(2 ** 48 - 1, 64), 'record-unauthentic');
    stillWorks(one);
  });

  it('flood of next-epoch records is bounded in number and bytes, and copied exactly (CVE-2009-1377, CVE-2015-0206, CVE-2026-54874)', () => {
    const pair = new Pair();
    const client = new ScriptedClient(pair.server).start();
    const big = Buffer.alloc(65_536);
    for (let i = 0; i < 50; i++) {
      big.set(garbage(i, 600), 0);
      client.raw(big.subarray(0, 613));
    }
    const handshake = pair.server.find(CLIENT)?.handshake;
    expect(handshake?.deferred).toHaveLength(2);
    expect(handshake?.deferredBytes).toBe(1226);
    for (const kept of handshake?.deferred ?? []) expect(kept.buffer.byteLength).toBe(613);
    expect(pair.server.stats.drops['next-epoch-full']).toBe(48);
    // The genuine handshake still comes through: it is sent again.
    client.completePsk();
    client.message(HandshakeType.finished, new Uint8Array(12), 1);
    expect(pair.server.stats.closes.internal).toBe(0);
  });

  it('forgeries put in wait for the keys do not end the handshake as a wrong key', () => {
    const pair = new Pair();
    const client = new ScriptedClient(pair.server).start();
    for (let i = 0; i < 5; i++) client.raw(garbage(i + 100, 60));
    expect(client.completePsk().some(({ kind }) => kind === 'open')).toBe(true);
    expect(pair.server.stats.drops['record-unauthentic']).toBe(2);
  });

  it('application data in the clear, before and after the handshake (pion CVE-2019-20786, wolfSSL CVE-2020-24585)', () => {
    const pair = new Pair();
    const client = new ScriptedClient(pair.server).start();
    client.record(ContentType.applicationData, new TextEncoder().encode('evil'));
    expect(pair.server.stats.drops['epoch-zero-forbidden']).toBe(1);
    client.completePsk();
    client.record(ContentType.applicationData, new TextEncoder().encode('evil'));
    expect(client.effects.some(({ kind }) => kind === 'data')).toBe(false);
    expect(pair.server.size).toBe(1);
  });

  it('application data between ChangeCipherSpec and Finished is not delivered before Finished (OpenSSL CVE-2014-8176)', () => {
    const pair = new Pair();
    const client = new ScriptedClient(pair.server).start();
    client.message(HandshakeType.clientKeyExchange, client.keyExchange());
    client.deriveKeys();
    client.changeCipherSpec();
    client.record(ContentType.applicationData, new TextEncoder().encode('early'), 1);
    expect(client.effects.some(({ kind }) => kind === 'data' || kind === 'open')).toBe(false);
    for (let i = 0; i < 9; i++) client.record(ContentType.applicationData, new Uint8Array(3000), 1);
    expect(pair.server.stats.drops['data-before-open']).toBe(9);
    // One is held already, so one more is, however small they are.
    for (let i = 0; i < 9; i++) client.record(ContentType.applicationData, Uint8Array.of(i), 1);
    expect(pair.server.stats.drops['data-before-open']).toBe(17);
    const kinds = client.message(HandshakeType.finished, client.finished(), 1).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind !== 'send')).toEqual(['open', 'data', 'data']);
  });

  it('alert, close_notify and unknown types in the clear leave an open association alone (OpenSSL PR 32622)', () => {
    const one = open();
    for (const alert of [[1, 0], [2, 40], [2, 20], [2, 100], [1, 90], [3, 3], [2]]) {
      refused(one, plainRecord(ContentType.alert, 7, Uint8Array.from(alert)), 'alert-unauthenticated');
    }
    refused(one, plainRecord(ContentType.changeCipherSpec, 8, Uint8Array.of(1)), 'epoch-zero-forbidden');
    refused(one, garbage(5, 18, ContentType.alert), 'record-unauthentic');
    stillWorks(one);
  });

  it('a fatal alert in the clear ends no handshake, it only shortens the wait (threats row 5)', async () => {
    const pair = new Pair();
    const client = new ScriptedClient(pair.server).start();
    client.record(ContentType.alert, Uint8Array.of(2, 40));
    client.record(ContentType.alert, Uint8Array.of(1, 0));
    expect(client.completePsk().some(({ kind }) => kind === 'open')).toBe(true);
    const silent = new ScriptedClient(pair.server, { address: { ...CLIENT, port: 7 } }).start();
    silent.record(ContentType.alert, Uint8Array.of(2, 40));
    await pair.pass(3_900, 100);
    expect(pair.server.halfOpen).toBe(1);
    await pair.pass(200, 100);
    expect(pair.closed('server')).toContain('peer-alert');
  });

  it('mixed epochs in one message (tinydtls CVE-2021-42141), one record across a key change (wolfSSL CVE-2023-6937)', () => {
    const pair = new Pair();
    const client = new ScriptedClient(pair.server).start();
    client.message(HandshakeType.clientKeyExchange, client.keyExchange());
    client.deriveKeys();
    client.changeCipherSpec();
    const body = client.finished();
    const first = writeFragment(HandshakeType.finished, client.messageSeq, body, 0, 6);
    const second = writeFragment(HandshakeType.finished, client.messageSeq, body, 6, 6);
    client.record(ContentType.handshake, first, 0);
    client.record(ContentType.handshake, second, 1);
    expect(pair.server.stats.drops['fragment-inconsistent']).toBe(1);
    expect(pair.server.size).toBe(0);
    // ClientKeyExchange and Finished in one record of epoch 0: Finished is of the wrong epoch.
    const other = new ScriptedClient(pair.server, { address: { ...CLIENT, port: 9 } }).start();
    const exchange = other.keyExchange();
    other.transcript.add(HandshakeType.clientKeyExchange, other.messageSeq, exchange);
    other.deriveKeys();
    const both = [
      writeFragment(HandshakeType.clientKeyExchange, other.messageSeq, exchange),
      writeFragment(HandshakeType.finished, other.messageSeq + 1, other.finished()),
    ];
    other.record(ContentType.handshake, Uint8Array.from(both.flatMap((part) => [...part])));
    other.changeCipherSpec();
    expect(pair.server.size).toBe(0);
  });

  it('replay inside the window, at its edge and behind it; the window moves only after authentication', () => {
    const one = open();
    const records: Uint8Array[] = [];
    for (let i = 0; i < 70; i++) records.push(genuine(one, Uint8Array.of(65)));
    const receive = (i: number) => one.pair.server.receive(records[i] as Uint8Array, CLIENT, one.pair.nowMs).length;
    // A forgery of the newest first: it must not push the others out.
    const forged = Uint8Array.from(records[69] as Uint8Array);
    forged[forged.length - 1] = (forged[forged.length - 1] as number) ^ 1;
    expect(one.pair.server.receive(forged, CLIENT, one.pair.nowMs)).toEqual([]);
    expect(receive(0)).toBe(1);
    expect(receive(0)).toBe(0);
    expect(receive(69)).toBe(1);
    expect([receive(69), receive(68), receive(68), receive(6), receive(6), receive(5), receive(4)]).toEqual([
      0, 1, 0, 1, 0, 0, 0,
    ]);
    stillWorks(one);
  });

  it('nonces never repeat over resends and rehandshakes, and are never random (pion CVE-2026-26014, wolfSSL CVE-2026-5446, tinydtls CVE-2021-42146)', async () => {
    const pair = new Pair();
    const numbers: string[] = [];
    let lost = 3;
    pair.intercept = (datagram, from) => {
      for (let at = 0; at < datagram.length; ) {
        const length = ((datagram[at + 11] as number) << 8) | (datagram[at + 12] as number);
        if (from === 'server') numbers.push(Buffer.from(datagram.subarray(at + 3, at + 11)).toString('hex'));
        if (from === 'server' && datagram[at + 4] === 1) {
          // RFC 6347 4.1.2.1: the explicit nonce is epoch and sequence number.
          expect(datagram.subarray(at + 13, at + 21)).toEqual(datagram.subarray(at + 3, at + 11));
        }
        at += 13 + length;
      }
      return from === 'server' && datagram[13] !== 3 && lost-- > 0 ? [] : [datagram];
    };
    const client = pair.connect({ ...pskClient, suites: ['TLS_PSK_WITH_AES_128_CCM_8'] });
    await pair.pass(25_000, 500);
    expect(client.state).toBe('open');
    const [server] = pair.opened('server');
    for (let i = 0; i < 5; i++) pair.send('server', server as Peer, 'x');
    const afterHello = numbers.slice(1);
    expect(new Set(afterHello).size).toBe(afterHello.length);
    // A reconnect has new keys: same numbers, other nonce salt.
    const salt = (peer: Peer) => peer.slot;
    const before = salt(server as Peer);
    pair.connect({ ...pskClient, suites: ['TLS_PSK_WITH_AES_128_CCM_8'] });
    const second = pair.opened('server').at(-1) as Peer;
    expect(second).not.toBe(server);
    expect(salt(second)).not.toBe(before);
  });

  it('the sequence number is never wrapped: at 2^48 - 1 nothing more is sent', () => {
    const one = open({ ...pskServer, limits: { maxRecordsPerKey: Number.MAX_SAFE_INTEGER } });
    one.server.sequence = 2 ** 48 - 1;
    expect(one.pair.send('server', one.server, 'last')).toBe('sent');
    expect(one.pair.heard('client')).toEqual(['last']);
    one.pair.send('server', one.server, 'one too many');
    expect(one.pair.heard('client')).toEqual(['last']);
    const limited = open({ ...pskServer, limits: { maxRecordsPerKey: 10 } });
    while (limited.server.state === 'open') limited.pair.send('server', limited.server, 'x');
    expect(limited.pair.closed('server')).toEqual(['record-limit']);
    expect(limited.pair.closed('client')).toEqual(['peer-close']);
  });

  it('epoch 2^16 - 1 and every other unknown one', () => {
    const one = open();
    for (const epoch of [2, 3, 256, 0xffff])
      refused(one, garbage(9, 40, ContentType.applicationData, epoch), 'epoch-unknown');
    stillWorks(one);
  });

  it('10^4 forged records: the association stays, no alert goes out; then it is slower, and closed at the limit (threats row 5, RFC 9147 4.5.3)', () => {
    const one = open({
      ...pskServer,
      limits: { authFailureAlarm: 10_000, maxAuthFailuresShortTag: 10_020, maxAuthFailures: 10_020 },
    });
    for (let i = 0; i < 10_000; i++) {
      expect(one.pair.server.receive(garbage(i, 40), CLIENT, one.pair.nowMs)).toEqual([]);
    }
    stillWorks(one);
    let opened = 0;
    for (let ms = 0; ms < 1_000; ms++) {
      const before = one.pair.server.stats.drops['auth-failures-alarm'];
      one.pair.server.receive(garbage(ms, 40), CLIENT, one.pair.nowMs + ms);
      if (one.pair.server.stats.drops['auth-failures-alarm'] === before) opened += 1;
      if (one.server.state === 'closed') break;
    }
    expect(opened).toBeLessThanOrEqual(100);
    expect(one.server.closeReason).toBe('auth-failure-limit');
  });

  it('a plaintext over the negotiated limit is fatal, but only when authentic (RFC 6066 4, RFC 8449 4)', () => {
    const one = open(pskServer, { ...pskClient, recordSizeLimitBytes: 64 });
    expect(one.pair.send('server', one.server, 'x'.repeat(65))).toBe('too-large');
    one.server.sendLimitBytes = 1_000;
    one.pair.send('server', one.server, 'x'.repeat(65));
    expect(one.pair.heard('client')).toEqual([]);
    expect(one.pair.closed('client')).toEqual(['record-overflow']);
    expect(one.pair.closed('server')).toEqual(['peer-alert']);
  });

  it('keys are wiped at close', () => {
    const one = open();
    const { slot } = one.server;
    expect(slot).toBeGreaterThanOrEqual(0);
    one.pair.server.close(one.server, 'local-close', one.pair.nowMs);
    expect(one.server.slot).toBe(-1);
    expect(one.pair.server.send(one.server, KEY, one.pair.nowMs)).toBe('closed');
  });
});
