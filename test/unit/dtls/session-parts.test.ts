/** The small parts by themselves: replay window, timer wheel, secret slab, association table, hello rate. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFresh, mark } from '../../../src/dtls/record/replay.ts';
import { Association } from '../../../src/dtls/session/association.ts';
import { HelloRate } from '../../../src/dtls/session/rate.ts';
import { SecretSlab } from '../../../src/dtls/session/slab.ts';
import { AssociationTable } from '../../../src/dtls/session/table.ts';
import { TimerWheel } from '../../../src/dtls/session/wheel.ts';

const at = (port: number) => ({ address: '192.0.2.1', port });

describe('replay window', () => {
  it('is that of a set of the last 64 numbers', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.nat(200), fc.nat(2 ** 31), fc.constant(2 ** 48 - 1)), { maxLength: 80 }),
        (numbers) => {
          const window = { highest: -1, low: 0, high: 0 };
          const seen = new Set<number>();
          let highest = -1;
          for (const number of numbers) {
            const fresh = number > highest - 64 && !seen.has(number);
            expect(isFresh(window, number)).toBe(fresh);
            if (!fresh) continue;
            expect(mark(window, number)).toBe(number > highest);
            seen.add(number);
            highest = Math.max(highest, number);
          }
        },
      ),
    );
  });

  it('edge: 63 behind is in, 64 behind is out', () => {
    const window = { highest: -1, low: 0, high: 0 };
    mark(window, 100);
    expect([isFresh(window, 37), isFresh(window, 36), isFresh(window, 100), isFresh(window, 101)]).toEqual([
      true,
      false,
      false,
      true,
    ]);
    mark(window, 37);
    expect(isFresh(window, 37)).toBe(false);
  });
});

describe('timer wheel', () => {
  it('fires each entry once, never early, in order of time', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(300_000), { minLength: 1, maxLength: 40 }),
        fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 30 }),
        (delays, steps) => {
          const wheel = new TimerWheel<Association>(1000);
          const due = new Map<Association, number>();
          for (const [i, delay] of delays.entries()) {
            const entry = new Association('server', i, at(i), 0);
            wheel.schedule(entry, 1000 + delay);
            due.set(entry, 1000 + delay);
          }
          let now = 1000;
          for (const step of [...steps, 400_000]) {
            now += step;
            expect(wheel.earliestMs).toBeLessThanOrEqual(Math.min(...due.values()));
            for (const entry of wheel.advance(now)) {
              expect(due.get(entry)).toBeLessThanOrEqual(now);
              due.delete(entry);
            }
            for (const left of due.values()) expect(left).toBeGreaterThan(now);
          }
          expect(due.size).toBe(0);
          expect(wheel.earliestMs).toBe(Number.POSITIVE_INFINITY);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('forgets what is cancelled and moves what is scheduled again', () => {
    const wheel = new TimerWheel<Association>(0);
    const [one, other] = [new Association('server', 0, at(1), 0), new Association('server', 1, at(2), 0)];
    wheel.schedule(one, 100);
    wheel.schedule(other, 100);
    wheel.cancel(one);
    wheel.schedule(other, 200);
    expect(wheel.advance(150)).toEqual([]);
    expect(wheel.advance(200)).toEqual([other]);
  });
});

it('the slab overwrites what is given back, and a slot is never two associations’', () => {
  const slab = new SecretSlab();
  const slots = Array.from({ length: 600 }, () => slab.allocate());
  expect(new Set(slots).size).toBe(600);
  const [first = 0, second = 1] = slots;
  slab.write(first, 'masterSecret', new Uint8Array(48).fill(1));
  slab.write(second, 'masterSecret', new Uint8Array(48).fill(2));
  const view = slab.view(first, 'masterSecret');
  slab.free(first);
  expect(view.every((byte) => byte === 0)).toBe(true);
  expect(slab.view(second, 'masterSecret').every((byte) => byte === 2)).toBe(true);
  expect(slab.allocate()).toBe(first);
});

it('the table counts and finds under any order of opening, moving and ending', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(5), fc.nat(2)), { maxLength: 40 }), (acts) => {
      const table = new AssociationTable<Association>();
      const open = new Set<Association>();
      for (const [act, port, principal] of acts) {
        if (act === 0) {
          const entry = new Association('server', 0, at(port), 0);
          if (table.pending.has(`192.0.2.1|${port}`)) continue;
          table.addPending(entry);
          entry.principal = `p${principal}`;
          const before = table.promote(entry);
          entry.state = 'open';
          open.add(entry);
          if (before !== undefined) {
            table.remove(before);
            open.delete(before);
          }
        } else {
          const [entry] = [...open].filter(({ address }) => address.port === port);
          if (entry === undefined) continue;
          if (act === 1) table.move(entry, at(port + 100));
          else {
            table.remove(entry);
            open.delete(entry);
          }
        }
        expect(table.openCount).toBe(open.size);
        expect(table.openOfHost(at(0))).toBe(open.size);
        const ofPrincipals = [0, 1, 2].flatMap((number) => table.ofPrincipal(`p${number}`));
        expect(new Set(ofPrincipals)).toEqual(open);
        expect(ofPrincipals).toHaveLength(open.size);
      }
      for (const entry of open) table.remove(entry);
      expect([table.openCount, table.open.size, table.pending.size, table.openOfHost(at(0))]).toEqual([0, 0, 0, 0]);
    }),
  );
});

it('the hello rate is one for a network and one for all', () => {
  const rate = new HelloRate(30, 10, 0);
  const from = (network: number) => Array.from({ length: 12 }, () => rate.take(`10.0.${network}.7`, 0)).filter(Boolean);
  expect(from(1)).toHaveLength(10);
  expect(from(2)).toHaveLength(10);
  expect(rate.take('10.0.1.99', 0)).toBe(false);
  expect(from(3)).toHaveLength(10);
  expect(from(4)).toHaveLength(0);
  expect(rate.take('10.0.1.7', 100)).toBe(true);
  expect(new HelloRate(9, 1, 0).take('2001:db8:0:1200::1', 0)).toBe(true);
});
