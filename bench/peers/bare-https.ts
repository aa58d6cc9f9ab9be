/** The least that Node does for the same outside: node:https with mutual TLS, each request buffered and sent on by http.request. */
import { readFileSync } from 'node:fs';
import { Agent, request as send } from 'node:http';
import { createServer } from 'node:https';

const [port, cloudPort, certificate, key, authority] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const agent = new Agent({ keepAlive: true });
const server = createServer(
  {
    cert: readFileSync(certificate),
    key: readFileSync(key),
    ca: readFileSync(authority),
    requestCert: true,
    rejectUnauthorized: true,
  },
  (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const body = Buffer.concat(chunks);
      const headers = { 'content-type': incoming.headers['content-type'] ?? '', 'content-length': body.length };
      const options = { port: Number(cloudPort), host: '127.0.0.1', path: incoming.url ?? '/', agent, headers };
      const call = send({ ...options, method: incoming.method ?? 'GET' }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      call.on('error', () => outgoing.destroy());
      call.end(body);
    });
  },
);
server.keepAliveTimeout = 3_600_000;
server.listen(Number(port), '127.0.0.1');
