/** haproxy as a peer: mutual TLS in front, one thread, kept-alive connections to the cloud. */
import { readFileSync, writeFileSync } from 'node:fs';
import { freePort, SERVER_CORE, type Workplace } from './children.ts';
import type { HouseFiles } from './gateway.ts';
import type { Peer } from './nginx.ts';

export async function startHaproxy(workplace: Workplace, files: HouseFiles, cloudPort: number): Promise<Peer> {
  const port = await freePort();
  const pair = workplace.path('haproxy.pem');
  writeFileSync(pair, readFileSync(files.certificate, 'utf8') + readFileSync(files.key, 'utf8'), { mode: 0o600 });
  const file = workplace.path('haproxy.cfg');
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  http-reuse always
frontend devices
  bind 127.0.0.1:${port} ssl crt ${pair} ca-file ${files.authority} verify required
  default_backend cloud
backend cloud
  server cloud 127.0.0.1:${cloudPort}
`,
  );
  const child = workplace.start('haproxy', 'haproxy', ['-db', '-f', file], { core: SERVER_CORE });
  await workplace.listening(child, port);
  return { name: 'haproxy', port, processes: [child] };
}
