/**
 * Two readers of the same bytes: the live listener (Node's parser and the strict layer) and the checker of raw bytes. What
 * the listener takes for requests, the checker accepts, as the same requests; the listener may refuse more.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkRequestBytes } from '../../src/listeners/https/check-request-bytes.ts';
import type { CheckedRequest } from '../../src/listeners/https/checked-request.ts';
import { cook } from '../attack/smuggling/recipe.ts';
import { type RawClient, type Stage, startStage, until } from '../unit/listeners/https/stage.ts';
import { recipes } from './http-recipes.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage();
});
afterAll(() => stage.close());

interface Expected {
  readonly request: CheckedRequest;
  readonly body: string;
}

/** What the checker makes of the bytes: the requests in them, up to the first that is none. */
function requestsIn(bytes: Buffer): { requests: Expected[]; clean: boolean } {
  const requests: Expected[] = [];
  let rest = bytes;
  while (rest.length > 0) {
    const verdict = checkRequestBytes(rest);
    if (verdict.kind !== 'accepted') return { requests, clean: false };
    requests.push({ request: verdict.request, body: Buffer.from(verdict.body).toString('latin1') });
    rest = rest.subarray(verdict.consumedBytes);
  }
  return { requests, clean: true };
}

let session: Buffer | undefined;

async function connection(): Promise<RawClient> {
  const options = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
  const client = await stage.client(session ? { ...options, session } : options);
  client.socket.once('session', (ticket: Buffer) => {
    session = ticket;
  });
  return client;
}

it('the live listener and the checker agree', async () => {
  let [both, neither, stricter] = [0, 0, 0];
  await fc.assert(
    fc.asyncProperty(recipes, async (recipe) => {
      const text = cook(recipe, 'm');
      const bytes = Buffer.from(text, 'latin1');
      const { requests, clean } = requestsIn(bytes);
      const from = stage.seen.length;
      const client = await connection();
      client.send(bytes);
      const finals = () => client.received.match(/HTTP\/1\.1 [2-5]/g)?.length ?? 0;
      await until(
        () => client.closed || finals() >= Math.max(requests.length, 1),
        clean && requests.length > 0 ? 2_000 : 40,
      ).catch(() => {});
      client.socket.destroy();

      const seen = stage.seen.slice(from);
      expect(seen.length, text).toBeLessThanOrEqual(requests.length);
      seen.forEach(({ arrival, body }, at) => {
        const { request, body: content } = requests[at] as Expected;
        expect({ ...pickDecided(arrival), body }, text).toEqual({ ...pickDecided(request), body: content });
      });
      if (seen.length === 0 && requests.length === 0) neither += 1;
      else if (seen.length === requests.length) both += 1;
      else stricter += 1;
    }),
    { numRuns: Number(process.env.SALLYPORT_LONG === '1' ? 20_000 : 500) },
  );
  console.info(`agreement: ${both} accepted by both, ${neither} by neither, ${stricter} by the checker alone`);
  expect(both).toBeGreaterThan(100);
  expect(neither).toBeGreaterThan(100);
  // Requests behind one that closes the connection, upgrades that nobody takes, and chunk extensions in odd characters.
  expect(stricter).toBeLessThan((both + neither) / 5);
}, 600_000);

function pickDecided(
  decided: Pick<CheckedRequest, 'verb' | 'path' | 'query' | 'headers' | 'contentType'> & {
    targetDevice?: string | undefined;
  },
) {
  const { verb, path, query, headers, contentType, targetDevice } = decided;
  return { verb, path, query, headers, contentType, targetDevice };
}
