/** Hostile fragments, hellos and cookies, one test for each way another implementation fell. */
import { describe, expect, it } from 'vitest';
import type { Effect, Peer } from '../../../src/dtls/core.ts';
import { DtlsEngine } from '../../../src/dtls/engine.ts';
import type { DropReason } from '../../../src/dtls/stats.ts';
import { concat, u8, u16, u24, vector } from '../../../src/dtls/wire/bytes.ts';
import { parseFragments, writeFragment } from '../../../src/dtls/wire/handshake.ts';
import { parseRecord, plainRecord } from '../../../src/dtls/wire/record.ts';
import { Alert, ContentType, DTLS_1_0, ExtensionType, HandshakeType } from '../../../src/dtls/wire/registry.ts';
import { CLIENT, KEY, Pair, pskClient, pskServer, SERVER, START_MS } from './pair.ts';
import { ScriptedClient } from './scripted-client.ts';

const { clientHello, clientKeyExchange, certificate, finished } = HandshakeType;
const drops = (engine: DtlsEngine, reason: DropReason) => engine.stats.drops[reason];
const wide = { helloVerifyPerSecond: 1e9, helloVerifyPerNetworkPerSecond: 1e9 };

function half(limits = {}): { pair: Pair; client: ScriptedClient } {
  const pair = new Pair({ ...pskServer, limits: { ...wide, ...limits } });
  return { pair, client: new ScriptedClient(pair.server).start() };
}

/** Header of a fragment that may lie about everything. */
function header(type: number, length: number, seq: number, offset: number, size: number, body: Uint8Array): Uint8Array {
  return concat(u8(type), u24(length), u16(seq), u24(offset), u24(size), body);
}

describe('fragmentation', () => {
  it('zero-length fragment of a longer message: no loop, no memory (pion CVE-2022-29190, OpenSSL CVE-2014-3507, GnuTLS CVE-2026-33845)', () => {
    const { pair, client } = half();
    for (let i = 0; i < 1_000; i++) {
      client.record(ContentType.handshake, header(clientKeyExchange, 100, 2, i % 100, 0, new Uint8Array(0)));
    }
    expect(drops(pair.server, 'fragment-malformed')).toBe(1_000);
    expect(pair.server.find(CLIENT)?.handshake?.reassembly.bytes).toBe(0);
    expect(client.completePsk().some(({ kind }) => kind === 'open')).toBe(true);
  });

  it('offset and length beyond the message (OpenSSL CVE-2014-0195), fragment beyond its record', () => {
    const { pair, client } = half();
    const body = new Uint8Array(50);
    client.record(ContentType.handshake, header(clientKeyExchange, 60, 2, 20, 50, body));
    client.record(ContentType.handshake, header(clientKeyExchange, 40, 2, 0, 50, body));
    client.record(ContentType.handshake, header(clientKeyExchange, 200, 2, 0, 100, body));
    client.record(ContentType.handshake, header(clientKeyExchange, 60, 2, 0xffffff, 50, body));
    expect(drops(pair.server, 'fragment-malformed')).toBe(4);
    expect(client.completePsk().some(({ kind }) => kind === 'open')).toBe(true);
  });

  it('total length or type that differs between fragments (GnuTLS CVE-2026-33846), overlaps with other bytes', () => {
    const { pair, client } = half();
    const send = (fragment: Uint8Array) => client.record(ContentType.handshake, fragment);
    send(header(clientKeyExchange, 60, 2, 0, 10, new Uint8Array(10)));
    send(header(clientKeyExchange, 61, 2, 10, 10, new Uint8Array(10)));
    send(header(certificate, 60, 2, 10, 10, new Uint8Array(10)));
    send(header(clientKeyExchange, 60, 2, 5, 10, new Uint8Array(10).fill(1)));
    expect(drops(pair.server, 'fragment-inconsistent')).toBe(3);
    expect(pair.server.find(CLIENT)?.handshake?.reassembly.bytes).toBe(60);
  });

  it('a length of 2^24 - 1 is refused before memory is taken (OpenSSL CVE-2014-3506, CVE-2016-6308, Bouncy Castle CVE-2026-59646)', () => {
    const { pair, client } = half();
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 64; i++) {
      client.record(ContentType.handshake, header(clientKeyExchange, 0xffffff, 2 + (i % 8), 0, 20, new Uint8Array(20)));
    }
    expect(drops(pair.server, 'message-too-long')).toBe(64);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
  });

  it('flood of later message numbers is bounded, the next message finds room, and all is freed (OpenSSL CVE-2016-2179, CVE-2009-1378, pion CVE-2022-29189)', () => {
    const { pair, client } = half();
    for (let seq = 3; seq < 500; seq++) {
      client.record(ContentType.handshake, header(certificate, 2_048, seq, 0, 20, new Uint8Array(20)));
    }
    const reassembly = pair.server.find(CLIENT)?.handshake?.reassembly;
    expect(reassembly?.bytes).toBeLessThanOrEqual(8_192);
    expect(drops(pair.server, 'message-too-far-ahead')).toBeGreaterThan(400);
    expect(drops(pair.server, 'reassembly-full')).toBeGreaterThan(0);
    client.message(clientKeyExchange, client.keyExchange());
    expect(pair.server.find(CLIENT)?.handshake?.state).toBe('wait-change-cipher-spec');
    pair.server.close(pair.server.find(CLIENT) as Peer, 'local-close', START_MS);
    expect(reassembly?.bytes).toBe(0);
  });

  it('the same message number twice with other content (GnuTLS CVE-2026-42009)', () => {
    const { pair, client } = half();
    client.record(ContentType.handshake, writeFragment(finished, 2, new Uint8Array(12)));
    expect(pair.server.find(CLIENT)?.handshake?.state).toBe('wait-client-key-exchange');
    expect(client.completePsk().some(({ kind }) => kind === 'open')).toBe(true);
    expect(drops(pair.server, 'message-unexpected')).toBe(1);
  });

  it('a fragmented ClientHello is dropped without a trace, whichever fragment comes', () => {
    const pair = new Pair();
    const client = new ScriptedClient(pair.server);
    const hello = client.hello();
    for (const [offset, length] of [
      [0, 20],
      [20, hello.length - 20],
      [0, hello.length - 1],
    ] as const) {
      expect(client.record(ContentType.handshake, writeFragment(clientHello, 0, hello, offset, length))).toEqual([]);
    }
    expect(drops(pair.server, 'hello-fragmented')).toBe(3);
    expect([pair.server.halfOpen, pair.server.stats.helloVerifySent]).toEqual([0, 0]);
  });
});

describe('hello and cookie', () => {
  const build = (parts: {
    sessionId?: Uint8Array;
    cookie?: Uint8Array;
    suites?: Uint8Array;
    compression?: Uint8Array;
    rest?: Uint8Array;
  }) =>
    concat(
      u16(0xfefd),
      new Uint8Array(32).fill(3),
      vector(1, parts.sessionId ?? new Uint8Array(0)),
      vector(1, parts.cookie ?? new Uint8Array(0)),
      parts.suites ?? vector(2, u16(0xc0a8)),
      parts.compression ?? Uint8Array.of(1, 0),
      parts.rest ?? new Uint8Array(0),
    );
  const say = (engine: DtlsEngine, body: Uint8Array, seq = 0): readonly Effect[] =>
    engine.receive(plainRecord(ContentType.handshake, 0, writeFragment(clientHello, seq, body)), CLIENT, START_MS);

  it('odd suites, no suites, no compression list (tinydtls CVE-2021-42143), session id of 33, truncations: silence', () => {
    const { server } = new Pair({ ...pskServer, limits: wide });
    const bad = [
      build({ suites: vector(2, Uint8Array.of(0xc0, 0xa8, 0)) }),
      build({ suites: vector(2, new Uint8Array(0)) }),
      build({ suites: concat(u16(0xffff), u16(0xc0a8)) }),
      build({ compression: Uint8Array.of(0) }),
      build({ compression: Uint8Array.of(200, 0) }),
      build({ sessionId: new Uint8Array(33) }),
    ];
    const whole = build({});
    for (let cut = 0; cut < whole.length; cut++) bad.push(whole.subarray(0, cut));
    for (const body of bad) expect(say(server, body)).toEqual([]);
    // The cut that leaves no body at all is no ClientHello either.
    expect(drops(server, 'hello-malformed')).toBe(bad.length);
  });

  it('duplicate extensions, bytes after the block, an extension beyond it: silence; an absent block is fine', () => {
    const { server } = new Pair({ ...pskServer, limits: wide });
    const ems = concat(u16(ExtensionType.extendedMasterSecret), u16(0));
    for (const rest of [
      vector(2, concat(ems, ems)),
      concat(vector(2, ems), u8(0)),
      vector(2, concat(u16(23), u16(9))),
      concat(u16(99), ems),
      u8(0),
    ]) {
      expect(say(server, build({ rest }))).toEqual([]);
    }
    expect(say(server, build({}))).toHaveLength(1);
  });

  it('cookie of another address, port, time, random or suite is none; none leaves state (mbedTLS CVE-2022-35409)', () => {
    const pair = new Pair({ ...pskServer, limits: wide });
    const client = new ScriptedClient(pair.server);
    client.message(clientHello, client.hello());
    const cookie = (client.received.get(HandshakeType.helloVerifyRequest) as Uint8Array).subarray(3);
    const hello = client.hello(cookie);
    const from = (body: Uint8Array, address = CLIENT, nowMs = START_MS) => {
      const record = plainRecord(ContentType.handshake, 1, writeFragment(clientHello, 1, body));
      pair.server.receive(record, address, nowMs);
      return pair.server.halfOpen;
    };
    expect(from(hello, { ...CLIENT, port: CLIENT.port + 1 })).toBe(0);
    expect(from(hello, { ...CLIENT, address: '198.51.100.8' })).toBe(0);
    expect(from(hello, CLIENT, START_MS + 121_000)).toBe(0);
    const other = Uint8Array.from(hello);
    other[5] = 99;
    expect(from(other)).toBe(0);
    for (const wrong of [cookie.subarray(1), concat(cookie, u8(0)), new Uint8Array(20), new Uint8Array(255)]) {
      expect(from(client.hello(wrong))).toBe(0);
    }
    expect(drops(pair.server, 'cookie-wrong')).toBe(8);
    // Good in its own minute and the next.
    expect(from(hello, CLIENT, START_MS + 61_000)).toBe(1);
  });

  it('the cookie does not cover extensions: wolfSSL and Scandium drop connection_id from their second hello', () => {
    const pair = new Pair();
    const client = new ScriptedClient(pair.server);
    client.message(clientHello, client.hello());
    const cookie = (client.received.get(HandshakeType.helloVerifyRequest) as Uint8Array).subarray(3);
    const bare = new ScriptedClient(pair.server, { extensions: [] });
    bare.record(ContentType.handshake, writeFragment(clientHello, 1, bare.hello(cookie)));
    expect(pair.server.halfOpen).toBe(1);
  });

  it('HelloVerifyRequest also for resumption (Scandium CVE-2022-2576, wolfSSL CVE-2022-34293)', () => {
    const pair = new Pair();
    const client = pair.connect();
    const { resumable } = client;
    pair.client.close(client, 'local-close', pair.nowMs);
    pair.carry('client', pair.client.drain());
    const before = pair.server.stats.helloVerifySent;
    pair.nowMs += 10;
    const again = pair.connect({ ...pskClient, ...(resumable === undefined ? {} : { session: resumable }) });
    expect([again.reused, pair.server.stats.helloVerifySent]).toEqual([true, before + 1]);
  });

  it('10^5 hellos from as many ports: never more bytes out than in, no state, bounded rate (threats row 1)', () => {
    const { server } = new Pair({ ...pskServer, limits: wide });
    const bodies = [build({}), build({ rest: vector(2, new Uint8Array(300)) })];
    for (let i = 0; i < 100_000; i++) {
      const datagram = plainRecord(
        ContentType.handshake,
        i,
        writeFragment(clientHello, 0, bodies[i & 1] as Uint8Array),
      );
      let out = 0;
      for (const effect of server.receive(datagram, { address: '203.0.113.9', port: 1 + (i % 65_535) }, START_MS)) {
        if (effect.kind === 'send') out += effect.datagram.length;
      }
      if (out > datagram.length) expect.unreachable(`${out} for ${datagram.length}`);
    }
    expect([server.halfOpen, server.size, server.stats.handshakesStarted]).toEqual([0, 0, 0]);
    const limited = new Pair().server;
    for (let i = 0; i < 5_000; i++) say(limited, build({}));
    expect(limited.stats.helloVerifySent).toBe(2_000);
    expect(drops(limited, 'hello-rate')).toBe(3_000);
  });

  it('a hello shorter than its answer is not answered', () => {
    const { server } = new Pair();
    // Nothing that parses is that short; a longer cookie is what would change it, so the check is tried by itself.
    const hello = build({});
    expect(say(server, hello)[0]).toMatchObject({ kind: 'send' });
    const sent = say(server, hello)[0];
    expect(sent?.kind === 'send' ? sent.datagram.length : 0).toBeLessThanOrEqual(hello.length + 25);
  });

  it('a forged ClientHello for a live address leaves the association usable (RFC 6347 4.2.8, mbedTLS 2.7.15)', () => {
    const pair = new Pair({ ...pskServer, limits: wide });
    const client = pair.connect();
    const forger = new ScriptedClient(pair.server);
    for (let i = 0; i < 100; i++)
      forger.record(ContentType.handshake, writeFragment(clientHello, i % 3, forger.hello()));
    pair.send('client', client, 'alive');
    // Even with a cookie seen on the way the old one goes on until the new handshake is finished.
    forger.messageSeq = 0;
    forger.start();
    pair.send('client', client, 'and kicking');
    expect(pair.heard('server')).toEqual(['alive', 'and kicking']);
    expect(pair.server.size).toBe(1);
    forger.completePsk();
    expect(pair.server.size).toBe(1);
    expect(client.state).toBe('open');
    expect(forger.effects.some((effect) => effect.kind === 'closed' && effect.reason === 'replaced')).toBe(true);
  });

  it('rapid hellos from one address, and one with another message number in mid-handshake (Erlang CVE-2026-55950, GnuTLS issue 1233)', () => {
    const { pair, client } = half();
    const state = pair.server.find(CLIENT)?.handshake;
    for (const seq of [0, 1, 2, 3, 4, 77, 0xffff])
      client.record(ContentType.handshake, writeFragment(clientHello, seq, client.hello()));
    expect(pair.server.find(CLIENT)?.handshake).toBe(state);
    expect(client.completePsk().some(({ kind }) => kind === 'open')).toBe(true);
  });

  it('a late copy of the first hello is not answered a second time: OpenSSL’s client stumbles over it', () => {
    const { pair, client } = half();
    const copy = writeFragment(clientHello, 0, client.hello());
    expect(client.record(ContentType.handshake, copy)).toEqual([]);
    client.completePsk();
    expect(client.record(ContentType.handshake, copy)).toEqual([]);
    expect(drops(pair.server, 'hello-repeated')).toBe(2);
    // A client that began anew has another random, and is answered.
    client.random.fill(8);
    expect(client.record(ContentType.handshake, writeFragment(clientHello, 0, client.hello()))).toHaveLength(1);
  });

  it('version 1.0, and one of no DTLS at all: protocol_version, after the cookie', () => {
    for (const version of [0xfeff, 0x0303, 0x0100]) {
      const pair = new Pair({ ...pskServer, limits: wide });
      const client = new ScriptedClient(pair.server);
      const hello = (cookie?: Uint8Array) => {
        const body = Uint8Array.from(client.hello(cookie));
        body.set([version >> 8, version & 255]);
        return body;
      };
      client.message(clientHello, hello());
      const cookie = (client.received.get(HandshakeType.helloVerifyRequest) as Uint8Array).subarray(3);
      client.message(clientHello, hello(cookie));
      expect(pair.server.stats.closes['protocol-version']).toBe(1);
    }
  });

  it('a replayed hello with its cookie begins nothing anew', () => {
    const pair = new Pair();
    const client = pair.connect();
    const hellos = pair.wire.filter(({ from, datagram }) => from === 'client' && datagram[13] === clientHello);
    for (const { datagram } of hellos.slice(1)) expect(pair.server.receive(datagram, CLIENT, pair.nowMs)).toEqual([]);
    expect(drops(pair.server, 'hello-repeated')).toBe(1);
    expect([pair.server.halfOpen, client.state]).toEqual([0, 'open']);
  });

  it('unknown server name, version 1.0, no null compression: one alert, only after the cookie', () => {
    const pair = new Pair({ ...pskServer, requireExtendedMasterSecret: true, limits: wide });
    const bare = new ScriptedClient(pair.server, { extended: false });
    expect(() => bare.start()).toThrow();
    expect(pair.server.stats.closes['missing-extended-master-secret']).toBe(1);
    const alerts = bare.effects.flatMap((effect) =>
      effect.kind === 'send' && effect.datagram[0] === ContentType.alert ? [effect.datagram[14]] : [],
    );
    expect(alerts).toEqual([Alert.handshakeFailure]);
  });
});

describe('ChangeCipherSpec (OpenSSL CVE-2009-1386, CVE-2014-0224)', () => {
  it('first, twice, with a wrong body: dropped; missing: nothing opens', () => {
    const { pair, client } = half();
    client.changeCipherSpec();
    expect(pair.server.find(CLIENT)).toMatchObject({ reads: false });
    client.message(clientKeyExchange, client.keyExchange());
    client.deriveKeys();
    for (const body of [[], [0], [1, 1], [2]]) client.record(ContentType.changeCipherSpec, Uint8Array.from(body));
    expect(pair.server.find(CLIENT)).toMatchObject({ reads: false });
    const early = client.finished();
    client.message(finished, early, 1);
    expect(pair.server.size).toBe(0);
    client.changeCipherSpec();
    client.changeCipherSpec();
    expect(pair.server.size).toBe(1);
  });
});

describe('client side', () => {
  /** Replaces the server's HelloVerifyRequest or first flight by something else. */
  function hostile(
    change: (body: Uint8Array, type: number) => Uint8Array[] | undefined,
    options = pskClient,
  ): { pair: Pair; client: Peer } {
    const pair = new Pair();
    pair.intercept = (datagram, from) => {
      if (from === 'client') return [datagram];
      const out: Uint8Array[] = [];
      for (let at = 0; at < datagram.length; ) {
        const record = parseRecord(datagram, at, 0);
        if (record === undefined) break;
        const [fragment] =
          record.type === ContentType.handshake && record.epoch === 0 ? (parseFragments(record.fragment) ?? []) : [];
        const changed = fragment === undefined ? undefined : change(fragment.body, fragment.type);
        if (changed === undefined) out.push(datagram.subarray(at, record.end));
        else
          for (const body of changed) {
            out.push(
              plainRecord(
                ContentType.handshake,
                record.sequence,
                writeFragment(fragment?.type ?? 0, fragment?.messageSeq ?? 0, body),
              ),
            );
          }
        at = record.end;
      }
      return out;
    };
    return { pair, client: pair.connect({ ...options, suites: ['TLS_PSK_WITH_AES_128_CCM_8'] }) };
  }

  it('HelloVerifyRequest truncated or with an empty cookie (mbedTLS, pion GHSA-4xgv-j62q-h3rj)', () => {
    for (let cut = 0; cut < 23; cut++) {
      const { client } = hostile((body, type) =>
        type === HandshakeType.helloVerifyRequest ? [body.subarray(0, cut)] : undefined,
      );
      expect(client.closeReason, `${cut}`).toBe('malformed-message');
    }
    const { client } = hostile((_, type) =>
      type === HandshakeType.helloVerifyRequest ? [Uint8Array.of(0xfe, 0xff, 0)] : undefined,
    );
    expect(client.closeReason).toBe('malformed-message');
  });

  it('a second HelloVerifyRequest is not obeyed; hellos do not recurse (OpenSSL CVE-2014-0221)', () => {
    const pair = new Pair();
    const client = pair.client.connect(SERVER, pskClient, START_MS);
    pair.client.drain();
    const verify = (seq: number) => {
      const body = concat(u16(DTLS_1_0), vector(1, new Uint8Array(20).fill(seq)));
      const record = plainRecord(
        ContentType.handshake,
        seq,
        writeFragment(HandshakeType.helloVerifyRequest, seq, body),
        DTLS_1_0,
      );
      return pair.client.receive(record, SERVER, START_MS).filter(({ kind }) => kind === 'send').length;
    };
    expect(verify(0)).toBe(1);
    for (let seq = 1; seq < 200; seq++) expect(verify(seq)).toBe(0);
    for (let i = 0; i < 200; i++) {
      const request = plainRecord(
        ContentType.handshake,
        i,
        writeFragment(HandshakeType.helloRequest, i % 5, new Uint8Array(0)),
      );
      expect(pair.client.receive(request, SERVER, START_MS)).toEqual([]);
    }
    expect(client.handshake?.state).toBe('wait-server-hello-verified');
    // Those with a later number wait, within the bounds of the reassembly.
    expect(client.handshake?.reassembly.bytes).toBeLessThan(200);
  });

  it('HelloRequest before the ServerHello takes no place (OpenSSL issue 32363)', () => {
    const pair = new Pair();
    pair.intercept = (datagram, from) =>
      from === 'server'
        ? [
            plainRecord(ContentType.handshake, 50, writeFragment(HandshakeType.helloRequest, 0, new Uint8Array(0))),
            datagram,
          ]
        : [datagram];
    expect(pair.connect().state).toBe('open');
  });

  it('randoms are random, and the second hello repeats the first (GnuTLS CVE-2020-11501)', () => {
    const randoms = new Set<string>();
    for (let i = 0; i < 8; i++) {
      const pair = new Pair();
      pair.connect();
      const hellos = pair.wire.filter(
        ({ datagram }) => datagram[13] === clientHello || datagram[13] === HandshakeType.serverHello,
      );
      const [first, second, answer] = hellos.map(({ datagram }) =>
        Buffer.from(datagram.subarray(27, 59)).toString('hex'),
      );
      expect(first).toBe(second);
      for (const random of [first, answer]) {
        expect(random).not.toBe('00'.repeat(32));
        randoms.add(random as string);
      }
    }
    expect(randoms.size).toBe(16);
  });

  it('an extension nobody offered, a suite nobody offered, another version, compression: each ends it', () => {
    const serverHello = (edit: (body: Uint8Array) => Uint8Array) =>
      hostile((body, type) => (type === HandshakeType.serverHello ? [edit(body)] : undefined)).client.closeReason;
    const tail = (extension: Uint8Array) => (body: Uint8Array) => {
      const at = 2 + 32 + 1 + (body[34] as number) + 3;
      return concat(body.subarray(0, at), vector(2, concat(body.subarray(at + 2), extension)));
    };
    expect(serverHello(tail(concat(u16(ExtensionType.connectionId), vector(2, u8(0)))))).toBe('unsupported-extension');
    expect(serverHello(tail(concat(u16(0x1234), u16(0))))).toBe('unsupported-extension');
    expect(serverHello(tail(concat(u16(ExtensionType.extendedMasterSecret), u16(0))))).toBe('malformed-message');
    const at = (index: number, value: number) => (body: Uint8Array) =>
      Uint8Array.from(body, (byte, i) => (i === index ? value : byte));
    expect(serverHello(at(1, 0xff))).toBe('protocol-version');
    expect(serverHello((body) => at(35 + (body[34] as number), 0x13)(body))).toBe('no-suite-in-both');
    expect(serverHello((body) => at(37 + (body[34] as number), 1)(body))).toBe('malformed-message');
    expect(serverHello((body) => body)).toBeUndefined();
  });
});

describe('timers and resources', () => {
  it('a resend never shares a cursor with a send in progress, and has new record numbers (OpenSSL CVE-2026-84782)', async () => {
    const pair = new Pair();
    let sent = 0;
    pair.intercept = (datagram, from) => {
      if (from === 'client') sent += 1;
      return from === 'client' && sent > 2 ? [] : [datagram];
    };
    pair.connect({ ...pskClient, suites: ['TLS_PSK_WITH_AES_128_CCM_8'] });
    await pair.pass(29_000, 500);
    const flights = pair.wire.filter(({ from, datagram }) => from === 'client' && datagram[13] === clientKeyExchange);
    expect(flights.length).toBeGreaterThan(2);
    const bodies = flights.map(({ datagram }) => Buffer.from(datagram.subarray(13, 40)).toString('hex'));
    expect(new Set(bodies).size).toBe(1);
    expect(new Set(flights.map(({ datagram }) => Buffer.from(datagram.subarray(3, 11)).toString('hex'))).size).toBe(
      flights.length,
    );
  });

  it('junk does not put off the resend or the deadline', async () => {
    const pair = new Pair();
    const client = new ScriptedClient(pair.server).start();
    const counts: number[] = [];
    for (let second = 1; second <= 31; second++) {
      pair.nowMs += 1_000;
      client.nowMs = pair.nowMs;
      client.record(ContentType.handshake, writeFragment(finished, 2, new Uint8Array(12)));
      client.record(ContentType.handshake, writeFragment(99, 2, new Uint8Array(12)));
      const effects = pair.server.poll(pair.nowMs);
      pair.carry('server', effects);
      counts.push(pair.server.stats.flightsResent);
    }
    expect(counts[2]).toBe(1);
    expect(counts[28]).toBe(3);
    expect(pair.closed('server')).toEqual(['handshake-deadline']);
  });

  it('closing during a pending psk question leaves nothing and the answer is for nobody', async () => {
    let answer: (key: Uint8Array) => void = () => {};
    const engine = new DtlsEngine({
      server: { ...pskServer, psk: () => new Promise((resolve) => (answer = resolve)) },
      nowMs: START_MS,
    });
    const client = new ScriptedClient(engine).start();
    client.completePsk();
    const asked = engine.find(CLIENT) as Peer;
    engine.close(asked, 'local-close', START_MS);
    answer(KEY);
    await new Promise((resolve) => setImmediate(resolve));
    expect(engine.poll(START_MS).filter(({ kind }) => kind === 'open')).toEqual([]);
    expect([engine.halfOpen, engine.size, asked.slot]).toEqual([0, 0, -1]);
  });

  it('a callback that throws or rejects refuses, and only this handshake', async () => {
    for (const psk of [
      () => {
        throw new TypeError('bug');
      },
      async () => {
        throw new TypeError('bug');
      },
    ]) {
      const pair = new Pair({ ...pskServer, psk });
      pair.connect();
      await pair.settle();
      expect(pair.closed('server')).toEqual(['internal']);
      expect(pair.server.size).toBe(0);
    }
  });

  it('10,000 half-open handshakes given up leave nothing behind; limits hold for all and for each host', () => {
    const pair = new Pair({ ...pskServer, suites: ['TLS_PSK_WITH_AES_128_CCM_8'], limits: wide });
    for (let i = 0; i < 10_000; i++) {
      const address = { address: `10.${i >> 8}.${i & 255}.1`, port: 9 };
      new ScriptedClient(pair.server, { address }).start();
      const left = pair.server.find(address);
      if (left !== undefined && i % 2 === 0) pair.server.close(left, 'local-close', START_MS, true);
      if (pair.server.halfOpen > 900) pair.server.closeAll('local-close', START_MS, true);
    }
    pair.server.closeAll('local-close', START_MS, true);
    expect(pair.server.halfOpen).toBe(0);
    for (let port = 1; port <= 25; port++) {
      try {
        new ScriptedClient(pair.server, { address: { address: '10.1.1.1', port } }).start();
      } catch {}
    }
    expect(pair.server.halfOpen).toBe(20);
    expect(drops(pair.server, 'half-open-host-full')).toBe(5);
  });

  it('a full table lets an idle one go, and refuses newcomers when none is idle', () => {
    const pair = new Pair({ ...pskServer, limits: { ...wide, maxAssociations: 3, evictableIdleMs: 1_000 } });
    const join = (port: number) => {
      const client = new ScriptedClient(pair.server, { address: { ...CLIENT, port } });
      client.nowMs = pair.nowMs;
      try {
        client.start().completePsk();
      } catch {}
      return client.effects.filter(({ kind }) => kind === 'open').length;
    };
    expect([join(1), join(2), join(3), join(4)]).toEqual([1, 1, 1, 0]);
    expect(drops(pair.server, 'associations-full')).toBe(1);
    pair.nowMs += 2_000;
    expect([join(5), pair.server.size, pair.server.stats.closes.evicted]).toEqual([1, 3, 1]);
  });

  it('a device that restarts with Connection IDs leaves no more than its share behind', () => {
    const pair = new Pair({
      ...pskServer,
      connectionId: { length: 8 },
      limits: { ...wide, maxAssociationsPerPrincipal: 2 },
    });
    for (let port = 1; port <= 6; port++) {
      const fresh = new DtlsEngine({ nowMs: START_MS, connectionIdLength: 8 });
      const address = { ...CLIENT, port };
      fresh.connect(SERVER, { ...pskClient, connectionId: { length: 8 } }, START_MS);
      let up = fresh.drain();
      while (up.length > 0) {
        const down = up.flatMap((sent) =>
          sent.kind === 'send' ? pair.server.receive(sent.datagram, address, START_MS) : [],
        );
        up = down.flatMap((back) => (back.kind === 'send' ? fresh.receive(back.datagram, SERVER, START_MS) : []));
      }
      expect(pair.server.size).toBe(Math.min(port, 2));
    }
    expect(pair.server.stats.closes.replaced).toBe(4);
  });

  it('idle associations end, with a word', async () => {
    const pair = new Pair();
    pair.connect();
    await pair.pass(29 * 60_000, 60_000);
    expect(pair.server.size).toBe(1);
    await pair.pass(2 * 60_000, 60_000);
    expect([pair.server.size, pair.closed('server')]).toEqual([0, ['idle']]);
  });
});
