import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { DEFAULT_LIMITS } from '../../src/config/settings.ts';
import { Fault } from '../../src/faults/fault.ts';
import { checkHandshake } from '../../src/listeners/websocket/handshake.ts';
import { receiverBounds } from '../../src/websocket/bounds.ts';
import { WebSocketChannel } from '../../src/websocket/channel.ts';
import { relayedCloseCode } from '../../src/websocket/close-code.ts';
import { FrameMeter } from '../../src/websocket/frame-meter.ts';
import { closeFrame, type FrameShape, frame, OPCODE, RawClient } from '../unit/websocket/wire.ts';

const GENEROUS = { messagesPerSecond: 1e9, controlFramesPerSecond: 1e9, messageTimeoutMs: 1_000 };

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 130 }),
  fc.constantFrom(65_535, 65_536).map((length) => new Uint8Array(length)),
);
const shape: fc.Arbitrary<FrameShape> = fc.record({
  opcode: fc.integer({ min: 0, max: 15 }),
  payload,
  final: fc.boolean(),
  masked: fc.boolean(),
  reserved: fc.constantFrom(0, 0x10, 0x40),
});

/** Cuts `bytes` where the numbers say. */
function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (let turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

const sizes = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 8 });

describe('the frame meter', () => {
  it('sees the same frames however they are cut into chunks', () => {
    fc.assert(
      fc.property(fc.array(shape, { maxLength: 12 }), sizes, fc.integer({ min: 1, max: 12 }), (shapes, cuts, burst) => {
        const limits = { ...GENEROUS, messagesPerSecond: burst / 2, controlFramesPerSecond: burst / 2 };
        const bytes = Buffer.concat(shapes.map(frame));
        const whole = new FrameMeter(limits, 0);
        const pieces = new FrameMeter(limits, 0);
        const verdict = whole.observe(bytes, 0);
        let seen: string | undefined;
        for (const piece of cut(bytes, cuts)) seen ??= pieces.observe(piece, 0);
        expect(seen).toBe(verdict);
        if (verdict === undefined) expect(pieces.overdue(10_000)).toBe(whole.overdue(10_000));
      }),
    );
  });

  it('counts exactly the messages and control frames that were sent', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(payload, fc.boolean()), { minLength: 1, maxLength: 10 }), (messages) => {
        const bytes = Buffer.concat(
          messages.map(([content, fragmented]) =>
            fragmented
              ? Buffer.concat([
                  frame({ opcode: OPCODE.binary, payload: content, final: false }),
                  frame({ opcode: OPCODE.continuation, payload: content }),
                ])
              : frame({ opcode: OPCODE.binary, payload: content }),
          ),
        );
        const enough = { ...GENEROUS, messagesPerSecond: messages.length / 2 };
        expect(new FrameMeter(enough, 0).observe(bytes, 0)).toBeUndefined();
        const scarce = { ...GENEROUS, messagesPerSecond: (messages.length - 1) / 2 };
        expect(new FrameMeter(scarce, 0).observe(bytes, 0)).toBe('SP_WEBSOCKET_TOO_FAST');
      }),
    );
  });

  it('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (chunks) => {
        const meter = new FrameMeter({ ...GENEROUS, messagesPerSecond: 5 }, 0);
        for (const [at, chunk] of chunks.entries()) meter.observe(chunk, at);
      }),
    );
  });
});

describe('close codes', () => {
  it('that cross the gateway may always stand in a frame', () => {
    fc.assert(
      fc.property(fc.oneof(fc.integer({ min: -10, max: 70_000 }), fc.double()), (code) => {
        const relayed = relayedCloseCode(code);
        const registered = [1000, 1001, 1003, 1007, 1008, 1009, 1011, 1012, 1013].includes(relayed);
        expect(registered || (relayed >= 3000 && relayed <= 4999)).toBe(true);
        expect(relayedCloseCode(relayed)).toBe(relayed);
      }),
    );
  });
});

describe('the handshake', () => {
  const name = fc.constantFrom('host', 'origin', 'sec-websocket-protocol', 'x-other');
  const value = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.constantFrom('a', 'a, b', 'a,b,a', 'https://h', 'h', 'h:443', 'https://h:443', ', '),
  );

  it('yields distinct tokens or SP_HTTP_UPGRADE', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 6 }), (headers) => {
        try {
          const { subprotocols } = checkHandshake({ upgrade: 'websocket', headers });
          expect(new Set(subprotocols).size).toBe(subprotocols.length);
          for (const token of subprotocols) expect(token).toMatch(/^[!-~]+$/);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(Fault);
          expect((thrown as Fault).code).toBe('SP_HTTP_UPGRADE');
        }
      }),
    );
  });

  it('never passes a foreign origin', () => {
    fc.assert(
      fc.property(fc.webAuthority({ withPort: true }), fc.webAuthority(), (page, host) => {
        const headers = [
          ['host', host],
          ['origin', `https://${page}`],
        ] as const;
        const same = page.toLowerCase().replace(/:443$/, '') === host.toLowerCase().replace(/:443$/, '');
        let passed = true;
        try {
          checkHandshake({ upgrade: 'websocket', headers });
        } catch {
          passed = false;
        }
        expect(passed).toBe(same);
      }),
    );
  });
});

describe('a channel', () => {
  const message = fc.record({
    text: fc.boolean(),
    fragments: fc.array(fc.string({ unit: 'grapheme', maxLength: 40 }), { minLength: 1, maxLength: 5 }),
    pinged: fc.boolean(),
  });

  it('hands out what was sent, in order, whatever the fragments and chunks', { timeout: 30_000 }, async () => {
    const limits = { ...DEFAULT_LIMITS, webSocketMessagesPerSecond: 1_000, webSocketControlFramesPerSecond: 1_000 };
    const webSockets = new WebSocketServer({ noServer: true, ...receiverBounds(limits) });
    const server = createServer();
    const channels: ((channel: WebSocketChannel) => void)[] = [];
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        channels.shift()?.(new WebSocketChannel(webSocket, socket, { limits, tellReason: true }));
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 20 }), sizes, async (messages, cuts) => {
        const frames = messages.flatMap(({ text, fragments, pinged }) =>
          fragments.flatMap((fragment, at) => [
            frame({
              opcode: at > 0 ? OPCODE.continuation : text ? OPCODE.text : OPCODE.binary,
              payload: fragment,
              final: at === fragments.length - 1,
            }),
            ...(pinged ? [frame({ opcode: OPCODE.ping, payload: 'p' })] : []),
          ]),
        );
        const opened = new Promise<WebSocketChannel>((resolve) => channels.push(resolve));
        const client = RawClient.connect(port);
        const channel = await opened;
        for (const piece of cut(Buffer.concat([...frames, closeFrame(1000)]), cuts)) client.send(piece);
        const seen: string[] = [];
        for await (const { bytes, binary } of channel.receive()) seen.push(`${!binary} ${Buffer.from(bytes)}`);
        expect(seen).toEqual(messages.map(({ text, fragments }) => `${text} ${fragments.join('')}`));
        expect(await channel.closed).toEqual({ by: 'peer', code: 1000, reason: '' });
        client.socket.destroy();
      }),
      { numRuns: 60 },
    );
    server.close();
  });
});
