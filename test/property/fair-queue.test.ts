/** Whatever comes, waits, leaves and ends in whatever order: caps hold, nobody is left waiting, nothing is left behind. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FairQueue, type Queued, WAITING_PER_CONNECTION, WAITING_PER_DEVICE } from '../../src/upstreams/fair-queue.ts';

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ device: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), streamed: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ end: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ leave: fc.nat() }) },
);

it('keeps its promises', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.array(step, { maxLength: 300 }), (connections, steps) => {
      const queue = new FairQueue<Queued>(connections);
      const held: Queued[] = [];
      const waiting: Queued[] = [];
      const perDevice = Math.ceil(connections / 4);
      const mostStreams = Math.max(1, Math.floor(connections / 2));
      const holds = (device: string) => held.filter((item) => item.device === device).length;
      const streams = () => held.filter(({ streamed }) => streamed).length;
      const may = (item: Queued) =>
        held.length < connections && holds(item.device) < perDevice && !(item.streamed && streams() >= mostStreams);
      const serve = () => {
        while (held.length < connections) {
          const next = queue.next();
          if (next === undefined) break;
          const first = waiting.find((item) => item.device === next.device && item.streamed === next.streamed);
          expect(next).toBe(first);
          waiting.splice(waiting.indexOf(next), 1);
          held.push(next);
        }
      };
      const end = (at: number) => {
        const [item] = held.splice(at % held.length, 1);
        if (item) queue.release(item);
        serve();
      };
      for (const each of steps) {
        if ('device' in each) {
          const item = { ...each };
          const starts = held.length < connections && queue.allows(item.device, item.streamed);
          expect(starts).toBe(may(item));
          if (starts) {
            queue.hold(item);
            held.push(item);
          } else if (queue.hasRoom(item.device)) {
            queue.wait(item);
            waiting.push(item);
          }
        } else if ('end' in each) {
          end(each.end);
        } else if (waiting.length > 0) {
          const [item] = waiting.splice(each.leave % waiting.length, 1);
          expect(item && queue.cancel(item)).toBe(true);
        }
        expect(waiting.filter(may)).toEqual([]);
        expect(queue.waiting).toBe(waiting.length);
        expect(queue.waiting).toBeLessThanOrEqual(connections * WAITING_PER_CONNECTION);
        for (const device of 'abcdef') {
          expect(holds(device)).toBeLessThanOrEqual(perDevice);
          expect(waiting.filter((item) => item.device === device).length).toBeLessThanOrEqual(WAITING_PER_DEVICE);
        }
        expect(streams()).toBeLessThanOrEqual(mostStreams);
      }
      while (held.length > 0) end(0);
      expect([waiting.length, queue.waiting, queue.devices]).toEqual([0, 0, 0]);
    }),
    { numRuns: 300 },
  );
});
