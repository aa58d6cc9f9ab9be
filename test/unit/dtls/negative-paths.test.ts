/** Hostile Connection IDs and address changes (RFC 9146, RFC 9853), one test for each way another implementation fell. */
import { describe, expect, it } from 'vitest';
import type { Peer } from '../../../src/dtls/core.ts';
import { seal } from '../../../src/dtls/crypto/aead.ts';
import { keyBlock } from '../../../src/dtls/crypto/prf.ts';
import type { Suite } from '../../../src/dtls/crypto/suites.ts';
import type { ClientOptions, PeerAddress, ServerOptions } from '../../../src/dtls/options.ts';
import type { DropReason } from '../../../src/dtls/stats.ts';
import { keyBytes } from '../../../src/dtls/wire/bytes.ts';
import { writeRecordHeader } from '../../../src/dtls/wire/record.ts';
import { ContentType } from '../../../src/dtls/wire/registry.ts';
import { CLIENT, Pair, pskClient, pskServer } from './pair.ts';

const MOVED: PeerAddress = { address: '203.0.113.77', port: 5_000 };
const EVIL: PeerAddress = { address: '203.0.113.66', port: 6_666 };

interface Open {
  readonly pair: Pair;
  readonly client: Peer;
  readonly server: Peer;
  readonly master: Uint8Array;
}

function open(serverOptions: Partial<ServerOptions> = {}, clientOptions: Partial<ClientOptions> = {}): Open {
  const pair = new Pair({ ...pskServer, connectionId: { length: 8 }, ...serverOptions });
  const client = pair.connect({ ...pskClient, connectionId: { length: 8 }, ...clientOptions });
  const [server] = pair.opened('server');
  if (server === undefined) throw new Error('did not open');
  return { pair, client, server, master: client.resumable?.masterSecret as Uint8Array };
}

/** A genuine record of the client's, kept from the server. */
function record({ pair, client }: Open, text: string): Uint8Array {
  const before = pair.wire.length;
  pair.intercept = () => [];
  pair.send('client', client, text);
  pair.intercept = (datagram) => [datagram];
  return (pair.wire[before] as { datagram: Uint8Array }).datagram;
}

function refused({ pair, server }: Open, datagram: Uint8Array, reason: DropReason, from: PeerAddress = CLIENT): void {
  const before = pair.server.stats.drops[reason];
  const { address, highest } = server;
  expect(pair.server.receive(datagram, from, pair.nowMs), reason).toEqual([]);
  expect(pair.server.stats.drops[reason], reason).toBe(before + 1);
  expect([server.address, server.candidate]).toEqual([address, undefined]);
  expect(highest).toBeLessThanOrEqual(server.highest);
}

/** Seals with the client's own keys what an honest client would not. */
function sealed(
  { client, server, master, pair }: Open,
  outer: number,
  inner: Uint8Array,
  cid: Uint8Array | undefined,
): Uint8Array {
  const suite = client.suite as Suite;
  const hello = pair.wire.filter(({ datagram }) => datagram[13] === 1 || datagram[13] === 2).slice(-2);
  const [clientRandom, serverRandom] = hello.map(({ datagram }) => datagram.subarray(27, 59)) as [
    Uint8Array,
    Uint8Array,
  ];
  const block = keyBlock(suite.hash, master, clientRandom, serverRandom, 2 * (suite.keyBytes + suite.saltBytes));
  const iv = block.subarray(2 * suite.keyBytes, 2 * suite.keyBytes + suite.saltBytes);
  const length = inner.length + suite.explicitNonceBytes + suite.tagBytes;
  const made = new Uint8Array(13 + (cid?.length ?? 0) + length);
  const sequence = Math.max(client.sequence, server.highest + 1);
  client.sequence = sequence + 1;
  const at = writeRecordHeader(made, outer, 1, sequence, cid, length);
  seal(suite, { key: block.subarray(0, suite.keyBytes), iv }, outer, 1, sequence, cid, inner, made, at);
  return made;
}

const CID_TYPE = ContentType.tls12Cid;

describe('Connection ID', () => {
  it('is negotiated and used both ways; own and peer of different lengths (mbedTLS CVE-2022-46393)', () => {
    for (const [server, client] of [
      [8, 4],
      [4, 8],
      [8, 0],
      [0, 8],
      [32, 5],
    ] as const) {
      const pair = new Pair({ ...pskServer, connectionId: { length: server } }, { connectionIdLength: client });
      const peer = pair.connect({ ...pskClient, connectionId: { length: client } });
      expect([peer.peerCid?.length, peer.ownCid?.length], `${server} ${client}`).toEqual([server, client]);
      pair.send('client', peer, 'up');
      pair.send('server', pair.opened('server')[0] as Peer, 'down');
      expect([pair.heard('server'), pair.heard('client')]).toEqual([['up'], ['down']]);
      const types = pair.wire.slice(-2).map(({ datagram }) => datagram[0]);
      expect(types).toEqual([server > 0 ? CID_TYPE : 23, client > 0 ? CID_TYPE : 23]);
    }
  });

  it('of wrong length, unknown, of another association', () => {
    const one = open();
    const genuine = record(one, 'x');
    refused(one, Uint8Array.from([...genuine.subarray(0, 14), ...genuine.subarray(15)]), 'record-truncated');
    refused(
      one,
      Uint8Array.from(genuine, (byte, i) => (i === 11 ? byte ^ 1 : byte)),
      'connection-id-unknown',
    );
    const swapped = Uint8Array.from(genuine);
    swapped.set(keyBytes(one.server.ownCid as string), 11);
    swapped[swapped.length - 1] = (swapped[swapped.length - 1] as number) ^ 1;
    refused(one, swapped, 'record-unauthentic');
    expect(one.pair.server.size).toBe(1);
  });

  it('in epoch 0, and where none was negotiated', () => {
    const one = open();
    const genuine = record(one, 'x');
    refused(
      one,
      Uint8Array.from(genuine, (byte, i) => (i === 4 ? 0 : byte)),
      'epoch-zero-forbidden',
    );
    const without = new Pair();
    without.connect();
    const uncalled = new Uint8Array(13 + 40);
    writeRecordHeader(uncalled, CID_TYPE, 1, 5, undefined, 40);
    without.server.receive(uncalled, CLIENT, without.nowMs);
    expect(without.server.stats.drops['connection-id-unexpected']).toBe(1);
  });

  it('plain record where a Connection ID is required', () => {
    const one = open();
    refused(one, sealed(one, ContentType.applicationData, Uint8Array.of(65), undefined), 'connection-id-missing');
  });

  it('inner plaintext of zeros only, 2^14 bytes of padding, unknown inner type', () => {
    const one = open();
    const ownCid = keyBytes(one.server.ownCid as string);
    const receive = (inner: Uint8Array) =>
      one.pair.server.receive(sealed(one, CID_TYPE, inner, ownCid), CLIENT, one.pair.nowMs);
    expect(receive(new Uint8Array(0))).toEqual([]);
    expect(receive(new Uint8Array(1_000))).toEqual([]);
    expect(one.pair.server.stats.drops['inner-plaintext-empty']).toBe(2);
    const padded = new Uint8Array(16_000);
    padded.set([72, 105, 23]);
    expect(receive(padded)).toMatchObject([{ kind: 'data', data: Buffer.from('Hi') }]);
    expect(receive(Uint8Array.of(1, 25))).toEqual([]);
    expect(one.pair.server.stats.drops['content-type-unknown']).toBe(1);
  });
});

describe('address change', () => {
  const without = { connectionId: { length: 8 } };

  it('a newer authentic record from a new address is answered there, and moves the peer once it has proven to receive there (RFC 9853)', () => {
    const one = open();
    const { pair, server, client } = one;
    pair.clientAddress = MOVED;
    pair.send('client', client, 'moved');
    expect(pair.heard('server')).toEqual(['moved']);
    expect([server.address, server.candidate, pair.server.stats.pathsChanged]).toEqual([MOVED, undefined, 1]);
    expect(pair.events.find(({ kind }) => kind === 'path')).toMatchObject({ from: CLIENT, to: MOVED });
    pair.send('server', server, 'seen');
    expect(pair.wire.at(-1)?.to).toEqual(MOVED);
    expect(pair.heard('client')).toEqual(['seen']);
  });

  it('an older authentic record from a new address moves nothing (wolfSSL issue 10609)', () => {
    const one = open();
    const older = record(one, 'older');
    const newer = record(one, 'newer');
    one.pair.server.receive(newer, CLIENT, one.pair.nowMs);
    const effects = one.pair.server.receive(older, EVIL, one.pair.nowMs);
    expect(effects.map(({ kind }) => kind)).toEqual(['data']);
    expect([one.server.address, one.server.candidate]).toEqual([CLIENT, undefined]);
  });

  it('10^4 forged and replayed records from an attacker’s address: not one byte goes there (threats row 6)', () => {
    const one = open();
    const genuine = record(one, 'x');
    one.pair.server.receive(genuine, CLIENT, one.pair.nowMs);
    for (let i = 0; i < 10_000; i++) {
      const forged =
        i % 2 === 0
          ? genuine
          : Uint8Array.from(genuine, (byte, at) => (at > 18 && (i + at) % 7 === 0 ? byte ^ i : byte));
      expect(one.pair.server.receive(forged, EVIL, one.pair.nowMs)).toEqual([]);
    }
    one.pair.send('server', one.server, 'answer');
    expect(one.pair.wire.filter(({ to }) => to.address === EVIL.address)).toEqual([]);
    expect(one.server.address).toEqual(CLIENT);
  });

  it('an unproven address gets at most three times what came from it; the application may prove it', () => {
    const one = open(without);
    one.server.returnRoutability = false;
    const { pair, server } = one;
    pair.server.receive(record(one, 'moved'), MOVED, pair.nowMs);
    const received = server.candidate?.receivedBytes ?? 0;
    let sent = 0;
    while (pair.server.send(server, new Uint8Array(20), pair.nowMs) === 'sent') {
      for (const effect of pair.server.drain()) if (effect.kind === 'send') sent += effect.datagram.length;
      expect(sent).toBeLessThanOrEqual(3 * received);
    }
    expect(sent).toBeGreaterThan(received);
    expect(pair.server.stats.drops['send-path-unproven']).toBe(1);
    pair.server.confirmPath(server, pair.nowMs);
    expect([server.address, pair.server.send(server, new Uint8Array(20), pair.nowMs)]).toEqual([MOVED, 'sent']);
  });

  it('a path_response from elsewhere, with other bytes or too late proves nothing; a newer record from home ends it', () => {
    const one = open();
    const { pair, server } = one;
    const effects = pair.server.receive(record(one, 'copied and raced'), EVIL, pair.nowMs);
    expect(effects.filter(({ kind }) => kind === 'send')).toMatchObject([{ address: EVIL }]);
    const respond = (cookie: Uint8Array, from: PeerAddress, nowMs = pair.nowMs) =>
      pair.server.receive(
        sealed(one, CID_TYPE, Uint8Array.of(1, ...cookie, 27), keyBytes(server.ownCid as string)),
        from,
        nowMs,
      );
    const cookie = server.candidate?.challenge as Uint8Array;
    respond(new Uint8Array(8), EVIL);
    expect(server.address).toEqual(CLIENT);
    respond(cookie, EVIL, pair.nowMs + 1_001);
    expect(server.address).toEqual(CLIENT);
    expect(pair.server.stats.drops['path-response-wrong']).toBe(2);
    // The right bytes, from an address they were not sent to, in a record that is not the newest.
    const elsewhere = sealed(one, CID_TYPE, Uint8Array.of(1, ...cookie, 27), keyBytes(server.ownCid as string));
    pair.server.receive(record(one, 'newer'), EVIL, pair.nowMs);
    pair.server.receive(elsewhere, MOVED, pair.nowMs);
    expect([server.address, server.candidate?.address]).toEqual([CLIENT, EVIL]);
    pair.server.receive(record(one, 'home'), CLIENT, pair.nowMs);
    expect([server.address, server.candidate]).toEqual([CLIENT, undefined]);
  });

  it('without a Connection ID a record from another address is of nobody', () => {
    const pair = new Pair();
    const client = pair.connect();
    pair.clientAddress = MOVED;
    pair.send('client', client, 'moved');
    expect([pair.heard('server'), pair.server.stats.drops['association-unknown']]).toEqual([[], 1]);
  });
});
