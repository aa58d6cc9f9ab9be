/** A WebSocket of `ws` that says why also where `ws` closes by itself: it knows the close code, and the catalogue the reason. */
import { WebSocket } from 'ws';
import type { FaultCode } from '../faults/catalogue.ts';

/** The faults behind the close codes that `ws` chooses. */
const REASON_OF_CLOSE: Readonly<Record<number, FaultCode>> = {
  1002: 'SP_WEBSOCKET_PROTOCOL',
  1007: 'SP_PAYLOAD_SYNTAX',
  1008: 'SP_WEBSOCKET_TOO_FAST',
  1009: 'SP_WEBSOCKET_TOO_LARGE',
};

export class ExplainingWebSocket extends WebSocket {
  /** With a reason: as it says. Without one: with the catalogue's. */
  override close(code?: number, reason?: string | Buffer): void {
    super.close(code, reason ?? (code === undefined ? undefined : REASON_OF_CLOSE[code]));
  }
}
