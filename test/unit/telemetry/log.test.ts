import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { Arrival } from '../../../src/exchange/arrival.ts';
import { type Delivered, Denied, Failed } from '../../../src/exchange/outcome.ts';
import type { Peer } from '../../../src/exchange/peer.ts';
import { Fault } from '../../../src/faults/fault.ts';
import { LineLog } from '../../../src/telemetry/line-log.ts';
import { openLog } from '../../../src/telemetry/log.ts';
import { MAX_TEXT, printable } from '../../../src/telemetry/printable.ts';
import { NAUGHTY } from './naughty-strings.ts';

const ROOT = new URL('../../../', import.meta.url).pathname;
const CANARY = 'SN-1-canary';

function collected(level: 'debug' | 'info' | 'warn' | 'error' = 'debug') {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  return { lines, destination, log: new LineLog({ level, gateway: 'plant-7', destination }) };
}

function logged(fields: Record<string, unknown>): Record<string, unknown> {
  const { lines, log } = collected();
  log.info(fields, 'test');
  return JSON.parse(lines[0]!);
}

/** Every text in a value, keys included. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [key, ...textsIn(inner)]);
}

describe('hostile text', () => {
  it(`${NAUGHTY.length} naughty strings in 12 fields: every line parses, no control byte, no long text`, () => {
    expect(NAUGHTY.length).toBeGreaterThanOrEqual(515);
    const { lines, log } = collected();
    for (const text of NAUGHTY) {
      log.warn(
        {
          address: text,
          agent: text,
          subject: text,
          topic: text,
          verb: text,
          path: text,
          list: [text, [text]],
          nested: { deep: { deeper: text } },
          [text]: 'as a key',
          error: Object.assign(new Error(text), { code: text }),
          fault: new Fault('SP_INTERNAL', text, { details: { fact: text } }),
        },
        text,
      );
    }
    expect(lines).toHaveLength(NAUGHTY.length);
    for (const line of lines) {
      expect(line.endsWith('\n')).toBe(true);
      if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(line.slice(0, -1))) expect.fail(`unseen in ${line}`);
      const parsed: unknown = JSON.parse(line);
      for (const text of textsIn(parsed)) {
        if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(text)) expect.fail(`unseen after parsing ${JSON.stringify(text)}`);
        expect(text.length).toBeLessThanOrEqual(MAX_TEXT);
      }
      expect(parsed).toMatchObject({ level: 'warn', gateway: 'plant-7' });
    }
  });

  it('stays readable', () => {
    expect(printable('a\u001b[31mb\u202ec\u{e0041}')).toBe('a\\u001b[31mb\\u202ec\\u{e0041}');
    expect(printable('Küche 温度 😀')).toBe('Küche 温度 😀');
    expect(printable('x'.repeat(600))).toBe(`${'x'.repeat(511)}…`);
  });

  it('cannot take the place of the line’s own fields', () => {
    const line = logged({ level: 'error', time: 0, msg: 'forged', gateway: 'other', __proto__: { polluted: 1 } });
    expect(line).toMatchObject({ level: 'info', msg: 'test', gateway: 'plant-7', level_: 'error', msg_: 'forged' });
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe('what devices send', () => {
  it('is redacted by name, at any depth and in any spelling', () => {
    const names = ['body', 'payload', 'headers', 'rawHeaders', 'raw_headers', 'Cookie', 'authorization', 'password'];
    const secrets = ['private-key', 'privateKey', 'token', 'secret', 'query', 'document', 'json', 'data', 'pem'];
    for (const name of [...names, ...secrets]) {
      const line = logged({ [name]: CANARY, inner: { [name]: [CANARY], list: [{ [name]: CANARY }] } });
      expect(JSON.stringify(line)).not.toContain(CANARY);
      expect(line[name]).toBe('[redacted]');
    }
  });

  it('is never shown as bytes', () => {
    expect(logged({ some: Buffer.from(CANARY), list: [new Uint8Array(3)] })).toMatchObject({
      some: `[${CANARY.length} bytes]`,
      list: ['[3 bytes]'],
    });
  });

  it('does not come in through the messages of foreign errors', () => {
    const thrown: unknown[] = [];
    const attempts = [
      () => JSON.parse(`{"serial":"${CANARY}`),
      () => JSON.parse(`{"serial": ${CANARY}}`),
      () => new URL(`http://[${CANARY}`),
      () => Buffer.alloc(CANARY as unknown as number),
      () => decodeURIComponent(`%${CANARY}`),
      () => (undefined as unknown as Record<string, unknown>)[CANARY],
    ];
    for (const attempt of attempts) {
      try {
        attempt();
      } catch (error) {
        thrown.push(error);
      }
    }
    expect(thrown).toHaveLength(attempts.length);
    let quoting = 0;
    for (const error of thrown) {
      if ((error as Error).message.includes(CANARY.slice(0, 4))) quoting++;
      const line = JSON.stringify(logged({ error, cause: new Fault('SP_INTERNAL', undefined, { cause: error }) }));
      expect(line).not.toContain(CANARY);
      expect(line).toContain('log.test.ts');
    }
    expect(quoting).toBeGreaterThanOrEqual(2);
  });

  it('does not come in through a message with lines like places', () => {
    const error = new Error(`first\n    at ${CANARY} (evil.js:1:1)`);
    expect(JSON.stringify(logged({ error }))).not.toContain(CANARY);
    error.message = 'changed later';
    expect(JSON.stringify(logged({ error }))).not.toContain(CANARY);
  });
});

describe('values', () => {
  it('keep their meaning', () => {
    const system = Object.assign(new Error('connect ECONNREFUSED'), {
      code: 'ECONNREFUSED',
      syscall: 'connect',
      address: '10.0.0.1',
      port: 443,
    });
    expect(
      logged({
        count: 3,
        ok: true,
        nothing: null,
        left: undefined,
        big: 12n,
        lost: Number.NaN,
        at: new Date(0),
        fault: new Fault('SP_LEDGER_WRITE', 'No space.', { details: { code: 'ENOSPC' }, cause: system }),
      }),
    ).toMatchObject({
      count: 3,
      ok: true,
      nothing: null,
      big: '12',
      lost: 'NaN',
      at: '1970-01-01T00:00:00.000Z',
      fault: {
        code: 'SP_LEDGER_WRITE',
        message: 'No space.',
        details: { code: 'ENOSPC' },
        cause: { name: 'Error', code: 'ECONNREFUSED', syscall: 'connect', address: '10.0.0.1', port: 443 },
      },
    });
  });

  it('of any shape cannot break a line or make it endless', () => {
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    const trap = {
      get fine(): string {
        throw new Error(CANARY);
      },
    };
    const looped = new Error('a');
    looped.cause = looped;
    const wide = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`k${index}`, index]));
    const line = logged({
      circle,
      trap,
      looped,
      wide,
      many: Array(1_000).fill(1),
      map: new Map(),
      call: () => 1,
      sign: Symbol('x'),
    });
    expect(JSON.stringify(line).length).toBeLessThan(10_000);
    expect(JSON.stringify(line.circle)).toBe('{"self":{"self":{"self":{"self":"[deep]"}}}}');
    expect(JSON.stringify(line.looped).match(/"cause"/g)?.length).toBeLessThanOrEqual(5);
    expect(line).toMatchObject({
      trap: { fine: '[unreadable]' },
      call: '[function]',
      sign: '[symbol]',
      map: '[0 entries]',
    });
    expect(Object.keys(line.wide as object)).toHaveLength(33);
    expect(line.many).toHaveLength(33);
  });
});

describe('levels and destinations', () => {
  it('below the level nothing is written, or even copied', () => {
    const { lines, log } = collected('warn');
    const fields = {
      get fact(): string {
        throw new Error('read');
      },
    };
    log.info(fields, 'a');
    log.debug(fields, 'b');
    log.warn({}, 'c');
    log.at('error', {}, 'd');
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['c', 'd']);
  });

  const SOURCE = JSON.stringify(new URL('../../../src/telemetry/log.ts', import.meta.url).href);
  const FLAGS = [
    '--permission',
    `--allow-fs-read=${ROOT}*`,
    `--allow-fs-read=${realpathSync(join(ROOT, 'node_modules'))}/*`,
    '--input-type=module',
    '-e',
  ];
  const whole = (script: string) => `import { openLog } from ${SOURCE}; const log = openLog('info'); ${script}`;

  /** Runs a script that has `log`; its standard output goes where the shell says. */
  function run(script: string, redirection = '') {
    const command = `{ "$@" "$SCRIPT"; echo "$?" >&2; } ${redirection}`;
    const { stdout, stderr } = spawnSync('bash', ['-c', command, 'bash', process.execPath, ...FLAGS], {
      encoding: 'utf8',
      env: { ...process.env, SCRIPT: whole(script) },
      maxBuffer: 1e8,
    });
    return { code: stderr.trim(), lines: stdout.split('\n').slice(0, -1) };
  }

  it('lines written just before the end of the process are not lost', () => {
    const { code, lines } = run("log.info({}, 'first'); log.error({ event: 'fatal' }, 'last'); process.exit(1);");
    expect(code).toBe('1');
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['first', 'last']);
  });

  it('lines come in order and whole, however many', () => {
    const { lines } = run(
      'for (let n = 0; n < 5000; n++) { log.info({ n }, "line"); if (n % 500 === 0) await new Promise(setImmediate); }',
    );
    expect(lines.map((line) => JSON.parse(line).n)).toEqual(Array.from({ length: 5_000 }, (_, n) => n));
  });

  const flood = "for (let n = 0; n < 20000; n++) log.info({ n }, 'line'); setTimeout(() => process.exit(7), 300);";

  it('a reader that went away does not end the process', () => {
    expect(run(flood, '| head -1 >/dev/null').code).toBe('7');
  });

  it('a full disk does not end the process, or keep it from ending', () => {
    expect(run(`${flood} setTimeout(() => log.info({}, 'again'), 290);`, '>/dev/full').code).toBe('7');
  });

  it('a reader that stands still costs lines, not memory, and does not keep the process from ending', async () => {
    const script = `let n = 0;
      const timer = setInterval(() => { for (let i = 0; i < 5000; i++) log.info({ n: n++ }, 'line'); }, 5);
      setTimeout(() => process.exit(process.memoryUsage.rss() < 400e6 ? 7 : 8), 1000);`;
    const child = spawn(process.execPath, [...FLAGS, whole(script)], { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.pause();
    try {
      expect(await once(child, 'exit')).toEqual([7, null]);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

describe('the gateway’s log', () => {
  const peer: Peer = {
    method: 'certificate',
    address: '10.0.3.17',
    key: 'ab'.repeat(32),
    names: [`URI:urn:${CANARY}`],
    issuer: `CN=${CANARY}`,
    serial: '5F',
    notBefore: 0,
    notAfter: 1,
    clientAuthentication: true,
  };
  const arrival: Arrival = {
    id: '0198c1d2-0000-7000-8000-000000000000',
    protocol: 'https',
    listener: 'https',
    direction: 'toCloud',
    receivedAt: 0,
    peer,
    verb: 'POST',
    path: `/v1/${CANARY}`,
    query: `serial=${CANARY}`,
    headers: [['x-serial', CANARY]],
    contentType: 'application/json',
    body: { kind: 'bytes', bytes: Buffer.from(CANARY) },
    signal: new AbortController().signal,
  };
  const device = { id: 'thermo-1', segment: 'sensors', state: 'active', labels: { owner: CANARY }, key: 'ab' } as const;

  function gatewayLog(level: 'debug' | 'info' = 'debug') {
    const lines: string[] = [];
    const log = openLog(level, { destination: { write: (line) => void lines.push(line) } });
    return { log, read: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
  }

  it('says how an exchange ended, and nothing that the device wrote', () => {
    const { log, read } = gatewayLog();
    log.outcome(arrival, new Denied(arrival.id, ['no-route']), device);
    log.outcome(arrival, Failed.from(arrival.id, new SyntaxError(CANARY)), undefined);
    log.refusal('SP_GATEWAY_OVERLOADED', arrival.id, peer);
    log.drop('handshake-failed', { address: '10.0.0.9' });
    const lines = read();
    expect(JSON.stringify(lines)).not.toContain(CANARY);
    expect(lines).toMatchObject([
      { msg: 'denied', decision: arrival.id, device: 'thermo-1', verb: 'POST', reasons: ['no-route'] },
      { msg: 'failed', level: 'error', error: { code: 'SP_INTERNAL', cause: { name: 'SyntaxError' } } },
      { event: 'refusal', code: 'SP_GATEWAY_OVERLOADED', level: 'warn' },
      { event: 'drop', reason: 'handshake-failed', address: '10.0.0.9' },
    ]);
  });

  it('samples a flood of one kind and reports how much it left out', () => {
    vi.useFakeTimers();
    try {
      const { log, read } = gatewayLog();
      for (let count = 0; count < 1_000; count++) log.drop('handshake-failed', { address: '10.0.0.9' });
      log.drop('slow-peer', { address: '10.0.0.9' });
      expect(read()).toHaveLength(21);
      vi.advanceTimersByTime(10_000);
      expect(read().at(-1)).toMatchObject({ event: 'suppressed', kind: 'drop handshake-failed', suppressed: 980 });
      log.drop('handshake-failed', { address: '10.0.0.9' });
      expect(read()).toHaveLength(23);
    } finally {
      vi.useRealTimers();
    }
  });

  it('shows the first of what was permitted and counts the rest, or shows each of them to who asks for debug', () => {
    vi.useFakeTimers();
    try {
      const delivered = {
        kind: 'delivered',
        decision: arrival.id,
        reply: { reply: { status: 200 } },
      } as unknown as Delivered;
      const info = gatewayLog('info');
      const debug = gatewayLog('debug');
      for (let count = 0; count < 100; count++) {
        info.log.outcome(arrival, delivered, device);
        debug.log.outcome(arrival, delivered, device);
      }
      expect(debug.read()).toHaveLength(100);
      expect(info.read()).toHaveLength(20);
      vi.advanceTimersByTime(10_000);
      expect(info.read().at(-1)).toMatchObject({ level: 'info', kind: 'permitted', suppressed: 80 });
    } finally {
      vi.useRealTimers();
    }
  });
});
