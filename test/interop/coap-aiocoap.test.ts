/**
 * aiocoap against our server and our client against an aiocoap server, over plain UDP. It comes from PyPI, so it is run where
 * SALLYPORT_AIOCOAP_PYTHON names a python that has it, or python3 does; elsewhere it is skipped loudly.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CODE } from '../../src/coap/codes.ts';
import { UdpEndpoint } from '../unit/coap/udp-endpoint.ts';
import { pattern, Resources, text, words } from './coap-resources.ts';

const run = promisify(execFile);
const python = process.env.SALLYPORT_AIOCOAP_PYTHON ?? 'python3';
const present = spawnSync(python, ['-c', 'import aiocoap']).status === 0;
if (!present) {
  if (process.env.SALLYPORT_AIOCOAP_PYTHON) throw new Error(`${python} has no aiocoap`);
  console.warn('SKIPPED: python3 has no aiocoap; name one that has it in SALLYPORT_AIOCOAP_PYTHON');
}

const CLIENT = `
import asyncio, json, sys
from aiocoap import *
async def main():
    base, out = sys.argv[1], {}
    c = await Context.create_client_context()
    async def ask(code, path, payload=b'', **more):
        r = await c.request(Message(code=code, uri=base + path, payload=payload, **more)).response
        return str(r.code), r.payload.decode()
    out['put'] = await ask(PUT, '/thing', b'one')
    out['get'] = await ask(GET, '/thing')
    out['delete'] = await ask(DELETE, '/thing')
    out['gone'] = await ask(GET, '/thing')
    out['big'] = (await ask(GET, '/big'))[1]
    body = ''.join('%08d' % i for i in range(500))
    out['post'] = (await ask(POST, '/up', body.encode()))[1] == body
    out['fetch'] = await ask(FETCH, '/any', b'{}')
    out['slow'] = await ask(GET, '/slow')
    request = c.request(Message(code=GET, uri=base + '/state', observe=0))
    first = await request.response
    states = [first.payload.decode()]
    async for response in request.observation:
        states.append(response.payload.decode())
        if len(states) > 5:
            request.observation.cancel()
            break
    out['states'] = states
    await asyncio.sleep(0.3)
    print(json.dumps(out))
    await c.shutdown()
asyncio.run(main())
`;

const SERVER = `
import asyncio, sys
import aiocoap.resource as resource, aiocoap
class Store(resource.Resource):
    def __init__(self):
        super().__init__()
        self.content = b''
    async def render_get(self, request):
        return aiocoap.Message(payload=self.content)
    async def render_put(self, request):
        self.content = request.payload
        return aiocoap.Message(code=aiocoap.CHANGED)
    async def render_post(self, request):
        return aiocoap.Message(code=aiocoap.CHANGED, payload=request.payload)
class Slow(resource.Resource):
    async def render_get(self, request):
        await asyncio.sleep(0.5)
        return aiocoap.Message(payload=b'late')
class State(resource.ObservableResource):
    def __init__(self):
        super().__init__()
        self.number = 0
    def go(self):
        self.number += 1
        self.updated_state()
        asyncio.get_event_loop().call_later(0.1, self.go)
    async def render_get(self, request):
        return aiocoap.Message(payload=b'state %d' % self.number)
async def main():
    site, state = resource.Site(), State()
    site.add_resource(['store'], Store())
    site.add_resource(['slow'], Slow())
    site.add_resource(['state'], state)
    await aiocoap.Context.create_server_context(site, bind=('127.0.0.1', int(sys.argv[1])))
    state.go()
    print('ready', flush=True)
    await asyncio.get_running_loop().create_future()
asyncio.run(main())
`;

describe.skipIf(!present)('aiocoap’s client, our server', () => {
  let house: Resources;
  beforeAll(async () => {
    house = await Resources.open();
  });
  afterAll(() => house.close());

  it('methods, blocks both ways, a separate response, observation and its end', async () => {
    const { stdout } = await run(python, ['-c', CLIENT, `coap://127.0.0.1:${house.udp.port}`], { maxBuffer: 1e6 });
    const out = new Map(Object.entries(readOutput(stdout)));
    expect(out.get('put')).toEqual(['2.01 Created', '']);
    expect(out.get('get')).toEqual(['2.05 Content', 'one']);
    expect(out.get('delete')).toEqual(['2.02 Deleted', '']);
    expect(out.get('gone')).toEqual(['4.04 Not Found', '']);
    expect(out.get('big')).toBe(pattern(6_000));
    expect(out.get('post')).toBe(true);
    expect(out.get('fetch')).toEqual(['2.04 Changed', 'FETCH']);
    expect(out.get('slow')).toEqual(['2.05 Content', 'late']);
    expect(out.get('states')).toEqual(['state 0', 'state 1', 'state 2', 'state 3', 'state 4', 'state 5']);
    await expect.poll(() => house.udp.endpoint.observationCount, { timeout: 5_000 }).toBe(0);
  });
});

/** What our own script printed: keys without escapes. */
function readOutput(stdout: string): Record<string, unknown> {
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe.skipIf(!present)('our client, aiocoap’s server', () => {
  let server: ChildProcess;
  let client: UdpEndpoint;
  let peer: string;
  beforeAll(async () => {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const { port } = socket.address();
    await new Promise<void>((resolve) => socket.close(resolve));
    peer = `127.0.0.1:${port}`;
    server = spawn(python, ['-c', SERVER, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise<void>((resolve) => server.stdout?.once('data', () => resolve()));
    client = await UdpEndpoint.open();
  });
  afterAll(async () => {
    server.kill();
    await client.close();
  });

  it.each([16, 64, 256, 1_024])('PUT, GET and POST in blocks of %i bytes', async (blockBytes) => {
    const payload = text(pattern(2_000 + blockBytes));
    const ask = (method: 'PUT' | 'GET' | 'POST', body?: Uint8Array) =>
      client.endpoint.request(peer, { method, pathSegments: ['store'], payload: body, blockBytes });
    expect((await ask('PUT', payload)).code).toBe(CODE.changed);
    expect(words((await ask('GET')).payload)).toBe(words(payload));
    expect(words((await ask('POST', payload)).payload)).toBe(words(payload));
  });

  it('a separate response, ping', async () => {
    expect(words((await client.endpoint.request(peer, { method: 'GET', pathSegments: ['slow'] })).payload)).toBe(
      'late',
    );
    await client.endpoint.ping(peer);
  });

  it('observes and leaves', async () => {
    const states: string[] = [];
    const observation = await client.endpoint.observe(
      peer,
      { method: 'GET', pathSegments: ['state'] },
      { notification: (response) => states.push(words(response.payload)) },
    );
    await expect.poll(() => states.length, { timeout: 5_000 }).toBeGreaterThan(3);
    observation.cancel();
    await new Promise((resolve) => setTimeout(resolve, 200));
    const heard = states.length;
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(states.length).toBe(heard);
  });
});
