/**
 * `opa run --server` as the decision service beside nginx: the policy that ships, the data that our own gateway compiles
 * from the same sallyport.yaml, one processor, kept-alive connections. nginx asks it through auth_request.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadConfiguration } from '../../src/config/load.ts';
import { policyData } from '../../src/policy/data.ts';
import { findOpa } from '../../src/policy/opa-tool.ts';
import { type Child, freePort, SERVER_CORE, type Workplace } from './children.ts';
import type { House } from './gateway.ts';

/** A denial must not look like a permission to auth_request: undefined is 404, and that is no 2xx. */
const ASKED = `package bench
permitted := true if data.sallyport.gate.verdict.allow == true
`;

export interface OpaServer {
  readonly child: Child;
  readonly port: number;
  /** nginx directives for the levels http, server and location. */
  readonly http: string;
  readonly server: string;
  readonly location: string;
}

export async function startOpa(workplace: Workplace, house: House, devices: readonly string[]): Promise<OpaServer> {
  const { path } = await findOpa();
  const port = await freePort();
  const data = workplace.path('data.json');
  writeFileSync(data, policyData(loadConfiguration(house.directory).settings).json);
  const asked = workplace.path('bench.rego');
  writeFileSync(asked, ASKED);
  const policy = fileURLToPath(new URL('../../policies/sallyport', import.meta.url));
  const words = ['run', '--server', '--addr', `127.0.0.1:${port}`, '--log-level', 'error', '--disable-telemetry'];
  const child = workplace.start('opa', path, [...words, '--ignore', '*_test.rego', policy, data, asked], {
    core: SERVER_CORE,
    environment: { GOMAXPROCS: '1' },
  });
  await workplace.listening(child, port);
  return { child, port, ...nginxDirectives(port, devices) };
}

function nginxDirectives(port: number, devices: readonly string[]) {
  // What our registry says about the device stands in nginx's own map: OPA is asked the same question, with the same facts.
  const input = `{"v":1,"device":{"id":"$device","segment":"sensors","labels":{},"state":"active","auth":{"method":"certificate","issuer":"$ssl_client_i_dn","serial":"$ssl_client_serial","not_after":"2036-01-01T00:00:00Z"}},"action":{"protocol":"https","verb":"$request_method","resource":"$asked_path","content_type":"$content_type","bytes":$content_length,"direction":"toCloud"},"target":{},"context":{"time":"$time_iso8601","listener":"https","gateway":"bench","revision":"1"}}`;
  return {
    http: `upstream opa { server 127.0.0.1:${port}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 1h; }
  map $request_uri $asked_path { '~^([^?]*)' $1; }
  map $ssl_client_s_dn $device { default ''; ${devices.map((id) => `'~CN=${id}(,|$)' ${id};`).join(' ')} }`,
    server: `location = /decide {
      internal; proxy_pass http://opa/v0/data/bench/permitted; proxy_method POST; proxy_http_version 1.1;
      proxy_set_header Connection ''; proxy_set_header Content-Type application/json; proxy_set_body '${input}';
    }`,
    location: 'auth_request /decide;',
  };
}
