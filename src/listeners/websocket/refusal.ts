/** The answer to an upgrade that is not to be: the HTTPS listener's problem document on the bare connection, and its end. */
import type { Duplex } from 'node:stream';
import type { FaultCode, Reason } from '../../faults/catalogue.ts';
import { CLOSE_TIMEOUT_MS } from '../../websocket/bounds.ts';
import { problem, rawAnswer } from '../https/answer.ts';

/** Writes the refusal of `code` and closes; `decision` is the id under which it is on record. */
export function refuseUpgrade(socket: Duplex, code: Reason | FaultCode, decision: string): void {
  if (socket.destroyed) return;
  socket.resume(); // frames sent too early would turn the close into a reset, and the answer would be lost with it
  socket.end(rawAnswer(problem(code, decision)));
  const timer = setTimeout(() => socket.destroy(), CLOSE_TIMEOUT_MS);
  socket.once('close', () => clearTimeout(timer));
}
