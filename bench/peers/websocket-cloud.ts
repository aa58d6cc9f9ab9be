/**
 * A cloud that answers every WebSocket message with a short one: frames are counted where they stand, nothing is decoded
 * but the first of each connection, which is kept to be looked at (`GET /count`).
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { frameAt, plainText, unmasked } from '../core/websocket-frame.ts';

const ANSWER = plainText('{"temperature":21.5}');
const MAGIC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
let messages = 0;
const firsts: string[] = [];

const server = createServer((_, response) => {
  response.end(JSON.stringify({ messages, firsts: firsts.splice(0) }));
});
server.on('upgrade', (request, socket: Socket, head: Buffer) => {
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}${MAGIC}`).digest('base64');
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
  socket.write(`${lines.join('\r\n')}\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  socket.setNoDelay(true);
  let kept = head;
  let first = true;
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    const bytes = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
    let at = 0;
    for (let frame = frameAt(bytes, 0); frame; frame = frameAt(bytes, at)) {
      at = frame.to;
      if (frame.opcode === 8) {
        socket.end(Buffer.from([0x88, 0]));
        return;
      }
      if (frame.opcode === 9) socket.write(Buffer.from([0x8a, 0]));
      if (frame.opcode > 2) continue;
      if (first) firsts.push(unmasked(bytes, frame));
      first = false;
      messages += 1;
      socket.write(ANSWER);
    }
    kept = bytes.subarray(at);
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1');
