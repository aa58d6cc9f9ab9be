import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Session } from '../../../src/exchange/gate.ts';
import type { DropReason } from '../../../src/faults/drop.ts';
import { DeviceIdentifier } from '../../../src/identity/identifier.ts';
import type { Credential } from '../../../src/identity/lifecycle.ts';
import { LiveSessions } from '../../../src/identity/sessions.ts';
import { credential, NOW, openRegistry, peerOf } from './identity-fixture.ts';

interface TestSession extends Session {
  closed: DropReason[];
}

function session(known: Credential, reconsider?: () => Promise<boolean>): TestSession {
  const closed: DropReason[] = [];
  return {
    ...{ peer: peerOf(known), protocol: 'websocket', closed, close: (reason) => closed.push(reason) },
    ...(reconsider && { reconsider }),
  };
}

async function setUp(ids: readonly string[] = ['a', 'b']) {
  const { registry } = await openRegistry();
  const clock = { wall: NOW, monotonic: 0 };
  const identifier = new DeviceIdentifier(registry, { now: () => clock.wall, floor: () => 0 });
  const sessions = new LiveSessions({
    admit: (peer) => identifier.admit(peer),
    keysOf: (id) => registry.keysOf(id),
    monotonicMs: () => clock.monotonic,
  });
  registry.onChange(({ id }) => void sessions.reconsiderDevice(id));
  const known = new Map(ids.map((id) => [id, credential(id)]));
  for (const [id, one] of known) await registry.add(id, { segment: 'sensors' }, one);
  return { registry, sessions, clock, of: (id: string) => known.get(id) as Credential };
}

afterEach(() => vi.useRealTimers());

describe('signing on and off', () => {
  it('is counted by key and by device', async () => {
    const { sessions, registry, of } = await setUp();
    const next = credential('a');
    await registry.renew('a', next);
    const leave = sessions.attend(session(of('a')));
    sessions.attend(session(of('a')));
    sessions.attend(session(next));
    expect([sessions.size, sessions.countOf(of('a').key), sessions.countOfDevice('a')]).toEqual([3, 2, 3]);
    leave();
    leave();
    expect([sessions.size, sessions.countOf(of('a').key), sessions.countOfDevice('a')]).toEqual([2, 1, 2]);
    expect(sessions.countOf(of('b').key)).toBe(0);
  });

  it('closes at once who lost its admission since the handshake', async () => {
    const { sessions, registry, of } = await setUp();
    await registry.disable('a');
    const late = session(of('a'));
    const leave = sessions.attend(late);
    expect([late.closed, sessions.size]).toEqual([['revoked'], 0]);
    leave();
  });
});

describe('closing', () => {
  it('by device reaches all its keys and nobody else', async () => {
    const { sessions, registry, of } = await setUp();
    const next = credential('a');
    await registry.renew('a', next);
    const [one, two, other] = [session(of('a')), session(next), session(of('b'))];
    for (const each of [one, two, other]) sessions.attend(each);
    expect(sessions.closeDevice('a', 'revoked')).toBe(2);
    expect([one.closed, two.closed, other.closed]).toEqual([['revoked'], ['revoked'], []]);
    expect(sessions.size).toBe(1);
  });

  it('by issuer and by predicate', async () => {
    const { sessions, of } = await setUp();
    const [one, other] = [session(of('a')), session(of('b'))];
    sessions.attend(one);
    sessions.attend(other);
    expect(sessions.closeIssuer('CN=nobody', 'revoked')).toBe(0);
    expect(sessions.closeWhere(({ peer }) => peer.key === of('b').key, 'draining')).toBe(1);
    expect(sessions.closeIssuer('CN=plant-7,O=Sallyport', 'revoked')).toBe(1);
    expect([one.closed, other.closed]).toEqual([['revoked'], ['draining']]);
  });

  it('goes on when a session fails to close', async () => {
    const { sessions, of } = await setUp();
    const broken = { ...session(of('a')), close: () => expect.unreachable('a socket that is gone') };
    const other = session(of('b'));
    sessions.attend(broken);
    sessions.attend(other);
    expect(sessions.closeWhere(() => true, 'draining')).toBe(2);
    expect([other.closed, sessions.size]).toEqual([['draining'], 0]);
  });
});

describe('a change of the registry', () => {
  it.each(['disable', 'remove'] as const)(
    '%s closes the device’s sessions before the command returns',
    async (step) => {
      const { sessions, registry, of } = await setUp();
      const mine = Array.from({ length: 100 }, () => session(of('a'), async () => true));
      const other = session(of('b'), async () => true);
      for (const each of [...mine, other]) sessions.attend(each);
      await registry[step]('a');
      expect(mine.every(({ closed }) => closed.length === 1 && closed[0] === 'revoked')).toBe(true);
      expect([other.closed, sessions.size]).toEqual([[], 1]);
    },
  );

  it('quarantine re-decides: what policy refuses is closed, a bare connection stays to be told', async () => {
    const { sessions, registry, of } = await setUp();
    const channel = session(of('a'), async () => registry.byId('a')?.state === 'active');
    const connection = session(of('a'));
    sessions.attend(channel);
    sessions.attend(connection);
    await registry.quarantine('a');
    await vi.waitFor(() => expect(channel.closed).toEqual(['revoked']));
    expect(connection.closed).toEqual([]);
  });

  it('finishing a renewal closes what still runs under the old key', async () => {
    const { sessions, registry, of } = await setUp();
    const next = credential('a');
    await registry.renew('a', next);
    const [old, fresh] = [session(of('a')), session(next)];
    sessions.attend(old);
    sessions.attend(fresh);
    await registry.finishRenewal('a');
    expect([old.closed, fresh.closed]).toEqual([['revoked'], []]);
  });
});

describe('time', () => {
  it('closes a session whose certificate expired', async () => {
    const { sessions, clock, of } = await setUp();
    const one = session(of('a'));
    sessions.attend(one);
    expect(sessions.closeUnadmitted()).toBe(0);
    clock.wall = of('a').notAfter + 1;
    expect(sessions.closeUnadmitted()).toBe(1);
    expect(one.closed).toEqual(['revoked']);
  });
});

describe('a change of policy', () => {
  it('re-decides every session and closes those refused, failing or without an answer', async () => {
    const { sessions, of } = await setUp();
    const kept = session(of('a'), async () => true);
    const connection = session(of('a'));
    const bad = [
      session(of('a'), async () => false),
      session(of('a'), () => Promise.reject(new TypeError('policy is broken'))),
      session(of('a'), () => {
        throw new TypeError('not even a promise');
      }),
      session(of('b'), async () => undefined as unknown as boolean),
      session(of('b'), async () => 1 as unknown as boolean),
    ];
    for (const each of [kept, connection, ...bad]) sessions.attend(each);
    await sessions.reconsiderAll();
    expect(bad.map(({ closed }) => closed)).toEqual(bad.map(() => ['revoked']));
    expect([kept.closed, connection.closed, sessions.size]).toEqual([[], [], 2]);
    await sessions.reconsiderAll();
    expect(sessions.size).toBe(2);
  });

  it('never has more than 32 decisions under way', async () => {
    const { sessions, of } = await setUp();
    let running = 0;
    let most = 0;
    let decided = 0;
    for (let n = 0; n < 500; n++) {
      sessions.attend(
        session(of('a'), async () => {
          most = Math.max(most, ++running);
          await new Promise(setImmediate);
          running--;
          decided++;
          return true;
        }),
      );
    }
    await sessions.reconsiderAll();
    expect([decided, most]).toEqual([500, 32]);
  });

  it('while another is being worked off is worked off after it', async () => {
    const { sessions, of } = await setUp();
    let policy = 'old';
    const one = session(of('a'), async () => {
      const seen = policy;
      await new Promise(setImmediate);
      return seen === 'old';
    });
    sessions.attend(one);
    const first = sessions.reconsiderAll();
    await Promise.resolve();
    policy = 'new';
    await Promise.all([first, sessions.reconsiderAll()]);
    expect(one.closed).toEqual(['revoked']);
  });

  it('reaches a session that was decided before it and signs on after it', async () => {
    const { sessions, clock, of } = await setUp();
    await sessions.reconsiderAll();
    clock.monotonic = 60_000;
    const late = session(of('a'), async () => false);
    sessions.attend(late);
    await vi.waitFor(() => expect(late.closed).toEqual(['revoked']));
    clock.monotonic = 200_000;
    let asked = 0;
    sessions.attend(session(of('a'), async () => ++asked > 0));
    await new Promise(setImmediate);
    expect(asked).toBe(0);
  });

  it('closes what is not decided after 30 s, and is not blocked by it', async () => {
    vi.useFakeTimers();
    const { sessions, of } = await setUp();
    const hanging = Array.from({ length: 100 }, () => session(of('a'), () => new Promise<boolean>(() => {})));
    for (const each of hanging) sessions.attend(each);
    const all = sessions.reconsiderAll();
    await vi.advanceTimersByTimeAsync(30_000);
    await all;
    expect(hanging.every(({ closed }) => closed[0] === 'revoked')).toBe(true);
    await sessions.reconsiderAll();
  });

  it('does not ask for a session that left meanwhile', async () => {
    const { sessions, of } = await setUp();
    let asked = 0;
    const leave = sessions.attend(session(of('a'), async () => ++asked > 0));
    const all = sessions.reconsiderAll();
    leave();
    await all;
    expect(asked).toBe(0);
  });
});

describe('1,000 live sessions', () => {
  it('of which 100 devices are revoked: all 100 closed, 0 of 900 disturbed', async () => {
    const ids = Array.from({ length: 1_000 }, (_, n) => `d${n}`);
    const { sessions, registry, of } = await setUp(ids);
    const live = ids.map((id) => session(of(id), async () => true));
    for (const each of live) sessions.attend(each);
    for (const id of ids.slice(0, 100)) await registry.disable(id);
    expect(live.filter(({ closed }) => closed.length > 0)).toEqual(live.slice(0, 100));
    expect(sessions.size).toBe(900);
  });
});
