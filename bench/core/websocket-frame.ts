/** As much of RFC 6455 section 5.2 as a load generator and its cloud need: short frames, whole, text. */

/** A text frame of the client, masked as section 5.3 asks. */
export function maskedText(text: string, mask: Buffer): Buffer {
  const payload = Buffer.from(text);
  const head = headOf(payload.length, 0x80);
  for (let index = 0; index < payload.length; index += 1)
    payload[index] = (payload[index] as number) ^ (mask[index % 4] as number);
  return Buffer.concat([head, mask, payload]);
}

/** A text frame of the server. */
export function plainText(text: string): Buffer {
  return Buffer.concat([headOf(Buffer.byteLength(text), 0), Buffer.from(text)]);
}

function headOf(length: number, masked: number): Buffer {
  if (length < 126) return Buffer.from([0x81, masked | length]);
  return Buffer.from([0x81, masked | 126, length >> 8, length & 0xff]);
}

export interface Frame {
  readonly opcode: number;
  /** Where the payload lies, and the next frame begins. */
  readonly from: number;
  readonly to: number;
  readonly mask: number;
}

/** The frame at `at`; undefined while it is not all there. Throws RangeError for one longer than 64 KiB. */
export function frameAt(bytes: Buffer, at: number): Frame | undefined {
  if (bytes.length < at + 2) return undefined;
  const second = bytes[at + 1] as number;
  const short = second & 0x7f;
  if (short === 127) throw new RangeError('a frame longer than 64 KiB');
  if (short === 126 && bytes.length < at + 4) return undefined;
  const length = short === 126 ? bytes.readUInt16BE(at + 2) : short;
  const mask = at + (short === 126 ? 4 : 2);
  const from = mask + (second & 0x80 ? 4 : 0);
  if (bytes.length < from + length) return undefined;
  return { opcode: (bytes[at] as number) & 0x0f, from, to: from + length, mask };
}

/** The payload as text. */
export function unmasked(bytes: Buffer, { from, to, mask }: Frame): string {
  const payload = Buffer.from(bytes.subarray(from, to));
  if (mask + 4 === from)
    for (let index = 0; index < payload.length; index += 1)
      payload[index] = (payload[index] as number) ^ (bytes[mask + (index % 4)] as number);
  return payload.toString();
}
