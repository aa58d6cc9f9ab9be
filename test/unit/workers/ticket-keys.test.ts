import { expect, it } from 'vitest';
import { ticketKeys, ticketSecret } from '../../../src/workers/ticket-keys.ts';

it('are the same for the same secret and material, and for nothing else', () => {
  const [secret, other] = [ticketSecret(), ticketSecret()];
  const keys = ticketKeys(secret, ['certificate', 'authority']);
  expect(keys).toHaveLength(48);
  expect(ticketKeys(secret, ['certificate', 'authority'])).toEqual(keys);
  for (const different of [
    ticketKeys(other, ['certificate', 'authority']),
    // An authority that is no longer trusted takes its sessions with it.
    ticketKeys(secret, ['certificate']),
    ticketKeys(secret, ['certificateauthority']),
  ]) {
    expect(different).not.toEqual(keys);
  }
});
