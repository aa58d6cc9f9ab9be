/**
 * State x message x epoch, generated from the transition tables: a listed cell leads to a listed state, every other one is dropped
 * and changes neither state nor message number nor transcript. And no sequence of messages opens a door without a proven peer.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Peer } from '../../../src/dtls/core.ts';
import { DtlsEngine } from '../../../src/dtls/engine.ts';
import type { FlightMessage } from '../../../src/dtls/handshake/flight.ts';
import type { Handshake } from '../../../src/dtls/handshake/handshake.ts';
import {
  CLIENT_STATES,
  CLIENT_TABLE,
  type HandshakeState,
  MESSAGE_NAMES,
  type MessageName,
  messageName,
  SERVER_STATES,
  SERVER_TABLE,
  transitionOf,
} from '../../../src/dtls/handshake/table.ts';
import type { ClientOptions, ServerOptions } from '../../../src/dtls/options.ts';
import { sealRecord } from '../../../src/dtls/record/channel.ts';
import { writeCertificate, writeFragment } from '../../../src/dtls/wire/handshake.ts';
import { plainRecord } from '../../../src/dtls/wire/record.ts';
import { ContentType, HandshakeType } from '../../../src/dtls/wire/registry.ts';
import { createAuthority, judgeBy, type TestAuthority, type TestCredential } from './credentials.ts';
import { CLIENT, Pair, pskClient, pskServer, SERVER, START_MS } from './pair.ts';
import { ScriptedClient } from './scripted-client.ts';

const TYPES = new Map<MessageName, number>();
for (let type = 0; type < 256; type++) {
  const name = messageName(type);
  if (name !== undefined) TYPES.set(name, type);
}

let authority: TestAuthority;
let server: TestCredential;
let device: TestCredential;
let certificates: { server: ServerOptions; client: ClientOptions };

beforeAll(async () => {
  authority = await createAuthority('Test CA');
  server = await authority.issue('localhost', { purpose: 'server' });
  device = await authority.issue('probe-7', { purpose: 'client' });
  const verifyPeer = judgeBy(authority);
  certificates = {
    server: { ...server, verifyPeer, isStillAllowed: () => true, authorize: () => ({ allowed: true, principal: 'd' }) },
    client: { ...device, verifyPeer },
  };
});

/** All messages each side says in one handshake, as bodies, in order. */
function script(
  serverOptions: ServerOptions,
  clientOptions: ClientOptions,
): Record<'client' | 'server', FlightMessage[]> {
  const pair = new Pair(serverOptions);
  const said: Record<'client' | 'server', FlightMessage[]> = { client: [], server: [] };
  const seen = new Set<unknown>();
  const note = (side: 'client' | 'server', peer: Peer | undefined) => {
    const flight = peer?.handshake?.flight ?? peer?.farewell?.flight;
    if (flight === undefined || seen.has(flight)) return;
    seen.add(flight);
    said[side].push(...flight.messages);
  };
  pair.intercept = (datagram) => {
    note('client', pair.client.find(SERVER));
    note('server', pair.server.find(CLIENT));
    return [datagram];
  };
  pair.connect(clientOptions);
  note('client', pair.client.find(SERVER));
  note('server', pair.server.find(CLIENT));
  return said;
}

interface Snapshot {
  readonly state: HandshakeState;
  readonly next: number;
  readonly transcript: number;
}

function snapshot(handshake: Handshake | undefined): Snapshot | undefined {
  if (handshake === undefined) return undefined;
  return {
    state: handshake.state,
    next: handshake.nextReceiveSeq,
    transcript: handshake.transcript.bytes().length,
  };
}

/** Walks one side through a genuine handshake and tries every other cell in each state on the way. */
function walk(side: 'client' | 'server', pair: Pair, options: ClientOptions): Map<HandshakeState, string[]> {
  const engine = side === 'server' ? pair.server : pair.client;
  const here = side === 'server' ? CLIENT : SERVER;
  const visited = new Map<HandshakeState, string[]>();
  const bodies = new Map<MessageName, Uint8Array>();
  /** Tries every unlisted cell. `other` is the honest peer, whose keys the attacker is given. */
  const tryAll = (peer: Peer, other: Peer | undefined) => {
    const handshake = peer.handshake as Handshake;
    const { state } = handshake;
    if (visited.has(state)) return;
    const cells: string[] = [];
    visited.set(state, cells);
    for (const name of MESSAGE_NAMES) {
      for (const epoch of [0, 1] as const) {
        const listed = transitionOf(side, state, name);
        if (listed !== undefined && listed.epoch === epoch) continue;
        if (epoch === 1 && (other === undefined || other.suite === undefined)) continue;
        const before = snapshot(handshake);
        const body = bodies.get(name) ?? new Uint8Array(40);
        const plaintext =
          name === 'change-cipher-spec'
            ? Uint8Array.of(1)
            : writeFragment(TYPES.get(name) as number, handshake.nextReceiveSeq, body);
        const type = name === 'change-cipher-spec' ? ContentType.changeCipherSpec : ContentType.handshake;
        let record: Uint8Array | undefined;
        if (epoch === 0) record = plainRecord(type, 1000, plaintext);
        else
          record = sealRecord((engine === pair.server ? clientSlab : serverSlab)(), other as Peer, type, 1, plaintext);
        // Records that only wait for their keys must not use up the window that the genuine Finished needs.
        if (epoch === 1 && !peer.reads && other !== undefined) other.sequence -= 1;
        if (record === undefined) continue;
        const effects = engine.receive(record, here, pair.nowMs);
        expect(snapshot(peer.handshake), `${side} ${state} ${name} epoch ${epoch}`).toEqual(before);
        expect(effects.filter(({ kind }) => kind === 'open' || kind === 'data' || kind === 'closed')).toEqual([]);
        cells.push(`${name}/${epoch}`);
      }
    }
  };
  // The slab is the engine's own; the test reaches it through the honest peer's handshake.
  let slabs: Partial<Record<'client' | 'server', Handshake['services']['slab']>> = {};
  const clientSlab = () => slabs.client as Handshake['services']['slab'];
  const serverSlab = () => slabs.server as Handshake['services']['slab'];

  // One handshake message per datagram reaches the side under test, so that every state is seen.
  pair.intercept = (datagram, from) => {
    const client = pair.client.find(SERVER);
    const serverPeer = pair.server.find(CLIENT);
    slabs = {
      client: client?.handshake?.services.slab ?? slabs.client,
      server: serverPeer?.handshake?.services.slab ?? slabs.server,
    } as typeof slabs;
    if (from === side) return [datagram];
    const parts: Uint8Array[] = [];
    for (let at = 0; at < datagram.length; ) {
      const length = ((datagram[at + 11] as number) << 8) | (datagram[at + 12] as number);
      parts.push(datagram.subarray(at, at + 13 + length));
      at += 13 + length;
    }
    const under = side === 'server' ? serverPeer : client;
    const other = side === 'server' ? client : serverPeer;
    for (const part of parts.slice(0, -1)) {
      if (under?.handshake !== undefined) tryAll(under, other);
      for (const effect of engine.receive(part, here, pair.nowMs)) {
        if (effect.kind === 'send') throw new Error('the side under test answered in the middle of a flight');
      }
    }
    if (under?.handshake !== undefined) tryAll(under, other);
    return parts.slice(-1);
  };
  for (const one of script(scripted, options)[side === 'server' ? 'client' : 'server']) {
    if (one.type === 'change-cipher-spec') continue;
    bodies.set(messageName(one.type) as MessageName, one.body);
  }
  const peer = pair.connect(options);
  expect(peer.state).toBe('open');
  return visited;
}

let scripted: ServerOptions;

describe('state x message x epoch', () => {
  const seen = { client: new Set<string>(), server: new Set<string>() };

  it.each(['certificates', 'psk', 'psk with hint', 'resumed'] as const)('%s', (scenario) => {
    for (const side of ['server', 'client'] as const) {
      const isCertificates = scenario === 'certificates' || scenario === 'resumed';
      const serverOptions = isCertificates
        ? certificates.server
        : {
            ...pskServer,
            ...(scenario === 'psk with hint'
              ? { pskIdentityHint: 'hint', suites: ['TLS_PSK_WITH_AES_128_CCM_8'] as const }
              : {}),
          };
      scripted = serverOptions;
      let options: ClientOptions = isCertificates ? certificates.client : pskClient;
      const pair = new Pair(serverOptions);
      if (scenario === 'resumed') {
        const first = pair.connect(options);
        const { resumable } = first;
        expect(resumable).toBeDefined();
        pair.client.close(first, 'local-close', pair.nowMs);
        pair.carry('client', pair.client.drain());
        if (resumable !== undefined) options = { ...options, session: resumable };
        pair.nowMs += 1000;
      }
      for (const [state, cells] of walk(side, pair, options)) {
        seen[side].add(state);
        expect(cells.length, state).toBeGreaterThan(10);
      }
    }
  });

  it('every state of the tables was seen, but for those this server does not lead to', () => {
    const missed = (states: readonly string[], had: Set<string>) => states.filter((state) => !had.has(state));
    expect(missed(SERVER_STATES, seen.server)).toEqual(['asking', 'open']);
    // No renewed ticket on resumption comes from our server; the cell is the same function as in a full handshake.
    expect(missed(CLIENT_STATES, seen.client)).toEqual(['asking', 'wait-session-ticket-resumed', 'open']);
  });

  it('every listed cell leads to states of its own table, and every state but the first is led to', () => {
    for (const [table, states, first] of [
      [SERVER_TABLE, SERVER_STATES, ['asking', 'wait-certificate', 'wait-change-cipher-spec-resumed']],
      [CLIENT_TABLE, CLIENT_STATES, ['asking', 'wait-server-hello']],
    ] as const) {
      const led = new Set<string>(first);
      for (const cells of Object.values(table)) {
        for (const cell of Object.values(cells)) for (const to of cell.to) led.add(to);
      }
      expect([...led].sort()).toEqual([...states].sort());
    }
  });

  it('while the caller is asked, messages wait and nothing moves', async () => {
    let answer: (key: Uint8Array | undefined) => void = () => {};
    const engine = new DtlsEngine({
      server: { ...pskServer, psk: () => new Promise((resolve) => (answer = resolve)) },
      nowMs: START_MS,
    });
    const client = new ScriptedClient(engine).start();
    client.completePsk();
    const handshake = engine.find(CLIENT)?.handshake;
    expect(handshake?.state).toBe('asking');
    expect(client.effects.some(({ kind }) => kind === 'open')).toBe(false);
    answer(new TextEncoder().encode('secretPSK'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(engine.poll(START_MS).some(({ kind }) => kind === 'open')).toBe(true);
  });
});

/** Says one letter of an alphabet. */
type Letter = (client: ScriptedClient) => void;

/** Words of `length` letters after which the server opened or delivered data. */
function opensWithout(
  engine: () => DtlsEngine,
  start: (engine: DtlsEngine) => ScriptedClient,
  letters: Readonly<Record<string, Letter>>,
  length: number,
  isWanted: (word: readonly string[]) => boolean = () => true,
): string[] {
  const opened = new Set<string>();
  const names = Object.keys(letters);
  let shared = engine();
  for (let number = 0; number < names.length ** length; number++) {
    const word = Array.from(
      { length },
      (_, i) => names[Math.floor(number / names.length ** i) % names.length] as string,
    );
    if (!isWanted(word)) continue;
    const client = start(shared);
    for (const name of word) {
      (letters[name] as Letter)(client);
      if (!client.effects.some(({ kind }) => kind === 'open' || kind === 'data')) continue;
      opened.add(word.join(' '));
      break;
    }
    const left = shared.find(client.address);
    if (left !== undefined) shared.close(left, 'local-close', START_MS, true);
    shared.drain();
    if (number % 500 === 0) shared = engine();
  }
  return [...opened];
}

/** Longer sequences over the larger alphabet: threats row 4 asks for 6, which is `DTLS_SEQUENCES=6` and takes long. */
const LONGEST = Number(process.env.DTLS_SEQUENCES ?? 0);

describe('sequences of messages', () => {
  const limits = { helloVerifyPerSecond: 1e9, helloVerifyPerNetworkPerSecond: 1e9 };
  const keyless: Readonly<Record<string, Letter>> = {
    exchange: (client) => {
      client.message(HandshakeType.clientKeyExchange, client.keyExchange());
      client.deriveKeys();
    },
    change: (client) => void client.changeCipherSpec(),
    finished: (client) => void client.message(HandshakeType.finished, client.finished(), 1),
    'finished-plain': (client) => void client.message(HandshakeType.finished, client.finished(), 0),
    'empty-finished': (client) => void client.message(HandshakeType.finished, new Uint8Array(0), 1),
    data: (client) => void client.record(ContentType.applicationData, Uint8Array.of(1), 1),
    'data-plain': (client) => void client.record(ContentType.applicationData, Uint8Array.of(1), 0),
  };

  const few = Object.fromEntries(Object.entries(keyless).filter(([name]) => !/empty|-plain/.test(name)));

  it('of a client with the wrong PSK never open', () => {
    const engine = () => new DtlsEngine({ server: { ...pskServer, limits }, nowMs: START_MS });
    const start = (one: DtlsEngine) => new ScriptedClient(one, { pskKey: new Uint8Array(9) }).start();
    expect(opensWithout(engine, start, LONGEST > 0 ? keyless : few, LONGEST || 5)).toEqual([]);
  }, 600_000);

  it('of a client with the right PSK open in the one right order only', () => {
    const engine = () => new DtlsEngine({ server: { ...pskServer, limits }, nowMs: START_MS });
    const start = (one: DtlsEngine) => new ScriptedClient(one).start();
    const opened = opensWithout(engine, start, LONGEST > 0 ? keyless : few, LONGEST || 5);
    // Finished may overtake ChangeCipherSpec on the way and waits for it; nothing else may be otherwise.
    for (const word of opened) {
      const messages = word.split(' ').filter((name) => !/data|^change$/.test(name));
      expect(messages.slice(0, 2), word).toEqual(['exchange', 'finished']);
      expect(word).toContain('change');
    }
    expect(opened.some((word) => word.startsWith('exchange change finished'))).toBe(true);
  }, 600_000);

  it('of a client with a copied certificate and without its key never open', () => {
    const chain = () => writeCertificate([Buffer.from(device.cert.replace(/-----[^-]+-----|\n/g, ''), 'base64')]);
    const letters: Readonly<Record<string, Letter>> = {
      ...Object.fromEntries(Object.entries(keyless).filter(([name]) => !/empty|data-plain/.test(name))),
      certificate: (client) => void client.message(HandshakeType.certificate, chain()),
      'no-certificate': (client) => void client.message(HandshakeType.certificate, writeCertificate([])),
      // Signed with another key: the thief's own.
      verify: (client) => void client.message(HandshakeType.certificateVerify, client.certificateVerify(server.key)),
    };
    const engine = () => new DtlsEngine({ server: { ...certificates.server, limits }, nowMs: START_MS });
    const start = (one: DtlsEngine) =>
      new ScriptedClient(one, { suite: 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256' }).start();
    expect(opensWithout(engine, start, letters, LONGEST || 2)).toEqual([]);
    const right = ['certificate', 'exchange', 'verify', 'change', 'finished'];
    const only = (alphabet: Readonly<Record<string, Letter>>) =>
      Object.fromEntries(right.map((name) => [name, alphabet[name] as Letter]));
    // All 120 orders of the five right messages: none opens for the thief, for the owner the right one, and the one in which
    // Finished overtook ChangeCipherSpec on the way.
    expect(opensWithout(engine, start, only(letters), 5, isPermutation)).toEqual([]);
    const owner: Readonly<Record<string, Letter>> = {
      ...letters,
      verify: (client) => void client.message(HandshakeType.certificateVerify, client.certificateVerify(device.key)),
    };
    const every = LONGEST > 0 ? () => true : isPermutation;
    expect(opensWithout(engine, start, only(owner), 5, every).sort()).toEqual([
      'certificate exchange verify change finished',
      'certificate exchange verify finished change',
    ]);
  }, 600_000);
});

function isPermutation(word: readonly string[]): boolean {
  return new Set(word).size === word.length;
}
