import { describe, expect, it } from 'vitest';
import { FrameMeter } from '../../../src/websocket/frame-meter.ts';
import { frame, OPCODE } from './wire.ts';

const LIMITS = { messagesPerSecond: 10, controlFramesPerSecond: 5, messageTimeoutMs: 1_000 };
const text = (payload = 'x') => frame({ opcode: OPCODE.text, payload });
const ping = () => frame({ opcode: OPCODE.ping });

function times(count: number, bytes: () => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, bytes));
}

describe('how fast frames may come', () => {
  it('lets two seconds’ worth of messages come at once and not one more', () => {
    const meter = new FrameMeter(LIMITS, 0);
    expect(meter.observe(times(20, text), 0)).toBeUndefined();
    expect(meter.observe(text(), 0)).toBe('SP_WEBSOCKET_TOO_FAST');
  });

  it('gives back what time brings', () => {
    const meter = new FrameMeter(LIMITS, 0);
    meter.observe(times(20, text), 0);
    expect(meter.observe(times(10, text), 1_000)).toBeUndefined();
    expect(meter.observe(text(), 1_000)).toBe('SP_WEBSOCKET_TOO_FAST');
  });

  it('counts control frames apart from messages', () => {
    const meter = new FrameMeter(LIMITS, 0);
    expect(meter.observe(times(10, ping), 0)).toBeUndefined();
    expect(meter.observe(text(), 0)).toBeUndefined();
    expect(meter.observe(ping(), 0)).toBe('SP_WEBSOCKET_TOO_FAST');
  });

  it('counts unasked pongs and closes too', () => {
    const meter = new FrameMeter(LIMITS, 0);
    expect(
      meter.observe(
        times(11, () => frame({ opcode: OPCODE.pong })),
        0,
      ),
    ).toBe('SP_WEBSOCKET_TOO_FAST');
  });

  it('counts a fragmented message once', () => {
    const meter = new FrameMeter(LIMITS, 0);
    const message = () =>
      Buffer.concat([
        frame({ opcode: OPCODE.text, payload: 'a', final: false }),
        frame({ opcode: OPCODE.continuation, payload: 'b', final: false }),
        frame({ opcode: OPCODE.continuation, payload: 'c' }),
      ]);
    expect(meter.observe(times(20, message), 0)).toBeUndefined();
    expect(meter.observe(message(), 0)).toBe('SP_WEBSOCKET_TOO_FAST');
  });

  it('does not hold against the peer what piled up while we held it back', () => {
    const meter = new FrameMeter(LIMITS, 0);
    meter.observe(times(20, text), 0);
    meter.held(5_000, 5_000);
    expect(meter.observe(times(50, text), 5_000)).toBeUndefined();
    expect(meter.observe(text(), 5_000)).toBe('SP_WEBSOCKET_TOO_FAST');
  });
});

describe('how long a message may take', () => {
  it('notices a frame that trickles', () => {
    const meter = new FrameMeter(LIMITS, 0);
    const bytes = text('slowly');
    expect(meter.observe(bytes.subarray(0, 1), 0)).toBeUndefined();
    expect(meter.observe(bytes.subarray(1, 5), 999)).toBeUndefined();
    expect(meter.overdue(1_001)).toBe(true);
    expect(meter.observe(bytes.subarray(5, 6), 1_001)).toBe('SP_WEBSOCKET_TIMEOUT');
  });

  it('notices a message whose last fragment does not come, whatever pongs come between', () => {
    const meter = new FrameMeter(LIMITS, 0);
    meter.observe(frame({ opcode: OPCODE.text, payload: 'a', final: false }), 0);
    expect(meter.observe(frame({ opcode: OPCODE.pong }), 900)).toBeUndefined();
    expect(meter.observe(frame({ opcode: OPCODE.pong }), 1_100)).toBe('SP_WEBSOCKET_TIMEOUT');
  });

  it('starts anew with each message', () => {
    const meter = new FrameMeter(LIMITS, 0);
    for (let at = 0; at < 10_000; at += 900) expect(meter.observe(text(), at)).toBeUndefined();
    expect(meter.overdue(1_000_000)).toBe(false);
  });

  it('does not count the time in which we held the peer back', () => {
    const meter = new FrameMeter(LIMITS, 0);
    const bytes = text('held');
    meter.observe(bytes.subarray(0, 3), 0);
    meter.held(60_000, 60_000);
    expect(meter.observe(bytes.subarray(3), 60_500)).toBeUndefined();
  });
});

describe('how a length may be written', () => {
  it.each([
    ['125 in two bytes', { payload: 'x'.repeat(125), lengthBytes: 2 }],
    ['0 in eight bytes', { payload: '', lengthBytes: 8 }],
    ['65535 in eight bytes', { payload: 'x'.repeat(65_535), lengthBytes: 8 }],
  ] as const)('refuses %s', (_, shape) => {
    const meter = new FrameMeter(LIMITS, 0);
    expect(meter.observe(frame({ opcode: OPCODE.text, ...shape }), 0)).toBe('SP_WEBSOCKET_PROTOCOL');
  });

  it.each([0, 125, 126, 65_535, 65_536])('accepts %d in the fewest bytes, masked or not', (length) => {
    const meter = new FrameMeter(LIMITS, 0);
    const payload = 'x'.repeat(length);
    expect(meter.observe(frame({ opcode: OPCODE.text, payload }), 0)).toBeUndefined();
    expect(meter.observe(frame({ opcode: OPCODE.text, payload, masked: false }), 0)).toBeUndefined();
    expect(meter.overdue(1_000_000)).toBe(false);
  });
});
