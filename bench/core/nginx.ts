/** nginx as a peer: mutual TLS in front, keep-alive to the cloud behind, one worker; plain, or asking OPA before it forwards. */
import { writeFileSync } from 'node:fs';
import type { Child, Workplace } from './children.ts';
import { freePort, SERVER_CORE } from './children.ts';
import type { HouseFiles } from './gateway.ts';

export interface Peer {
  readonly name: string;
  readonly port: number;
  /** Every process whose CPU time counts. */
  readonly processes: readonly Child[];
}

/** What both of our nginx configurations begin with. */
export function nginxPreamble(workplace: Workplace, name: string): string {
  return `daemon off; worker_processes 1; pid ${workplace.path(`${name}.pid`)}; error_log stderr warn;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 16384; multi_accept on; }`;
}

export function temporaryPaths(workplace: Workplace, name: string): string {
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${workplace.path(`${name}-${kind}`)};`)
    .join(' ');
}

export interface NginxOptions {
  readonly name: string;
  readonly files: HouseFiles;
  readonly cloudPort: number;
  /** More of the server block, e.g. auth_request, and what it needs on the http level. */
  readonly http?: string;
  readonly server?: string;
  readonly location?: string;
  readonly alongside?: readonly Child[];
}

export async function startNginx(workplace: Workplace, options: NginxOptions): Promise<Peer> {
  const { name, files, cloudPort } = options;
  const port = await freePort();
  const file = workplace.path(`${name}.conf`);
  writeFileSync(
    file,
    `${nginxPreamble(workplace, name)}
http {
  ${temporaryPaths(workplace, name)}
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
  upstream cloud { server 127.0.0.1:${cloudPort}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 1h; }
  map $http_upgrade $wanted { default upgrade; '' ''; }
  ${options.http ?? ''}
  server {
    listen 127.0.0.1:${port} ssl backlog=16384;
    ssl_certificate ${files.certificate}; ssl_certificate_key ${files.key};
    ssl_protocols TLSv1.2 TLSv1.3; ssl_client_certificate ${files.authority}; ssl_verify_client on;
    ssl_session_cache shared:tls:8m; ssl_session_tickets on; ssl_session_timeout 1h;
    ${options.server ?? ''}
    location / {
      ${options.location ?? ''}
      proxy_pass http://cloud; proxy_http_version 1.1; proxy_set_header Connection $wanted; proxy_set_header Upgrade $http_upgrade;
      proxy_read_timeout 1h;
    }
  }
}
`,
  );
  const child = workplace.start(name, 'nginx', ['-p', workplace.directory, '-c', file], { core: SERVER_CORE });
  await workplace.listening(child, port);
  return { name, port, processes: [child, ...(options.alongside ?? [])] };
}
