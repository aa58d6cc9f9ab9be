/** `sallyport ca verify-chain` as a script uses it: files in, a verdict and an exit code out; lines in, lines out. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { integer } from '../unit/identity/certificate-maker.ts';
import { ISSUING, ROOT } from '../unit/identity/path/chain-case.ts';
import { authority, leaf, pem, revocationList, revoked } from '../unit/identity/path/chain-maker.ts';

const LAUNCHER = new URL('../../src/launch.mjs', import.meta.url).pathname;
const WHEN = '2030-01-01T00:00:00Z';
const device = leaf(ISSUING, { serial: integer('0123') });
const lists = [revocationList(ROOT), revocationList(ISSUING, { entries: [revoked(integer('0123'))] })];
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-verify-chain-'));
  const write = (name: string, content: string | Buffer) => writeFileSync(join(folder, name), content);
  write('leaf.pem', pem(device.der));
  write('leaf.der', device.der);
  write('two.pem', pem(device.der) + pem(ISSUING.der));
  write('root.pem', pem(authority('Elsewhere').der) + pem(ROOT.der));
  write('issuing.pem', pem(ISSUING.der));
  write('lists.pem', lists.map((list) => pem(list, 'X509 CRL')).join(''));
  write('words.pem', 'hello');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function verify(args: readonly string[], input = ''): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [LAUNCHER, 'ca', 'verify-chain', ...args], { cwd: folder });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  child.stdin.end(input);
  const code = await new Promise<number | null>((done) => child.once('close', done));
  return { code, out, err };
}

const files = ['--trust', 'root.pem', '--untrusted', 'issuing.pem'];

describe('one chain', () => {
  it('is accepted, with its path, exit code 0', async () => {
    const { code, out } = await verify([...files, '--purpose', 'client', '--at', WHEN, 'leaf.pem', '--json']);
    expect(code).toBe(0);
    expect(out.trim().split('\n')).toHaveLength(1);
    expect(JSON.parse(out)).toMatchObject({
      accepted: true,
      path: [{ subject: 'CN=thermo-1' }, { subject: 'CN=Issuing' }, { subject: 'CN=Root' }],
    });
    const people = await verify([...files, '--purpose', 'server', '--at', WHEN, 'leaf.der']);
    expect(people).toMatchObject({ code: 0, out: expect.stringContaining('accepted') });
  });

  it('is refused with a reason of the list, exit code 1', async () => {
    const late = await verify([...files, '--purpose', 'any', '--at', '2050-01-01', 'leaf.pem', '--json']);
    expect(late.code).toBe(1);
    expect(JSON.parse(late.out)).toMatchObject({ accepted: false, reason: 'expired' });
    const listed = await verify([...files, '--crl', 'lists.pem', '--purpose', 'client', '--at', WHEN, 'leaf.pem']);
    expect(listed).toMatchObject({ code: 1, out: expect.stringContaining('revoked: The leaf has been revoked.') });
  });

  it.each([
    ['no leaf', [...files, '--purpose', 'client']],
    ['nobody trusted', ['--purpose', 'client', 'leaf.pem']],
    ['a purpose that is none', [...files, '--purpose', 'both', 'leaf.pem']],
    ['a file of words', [...files, '--purpose', 'client', 'words.pem']],
    ['a batch and more', [...files, '--batch', '-']],
  ])('asked wrongly, %s: exit code 2', async (_, args) => {
    const { code, out } = await verify([...args, '--json']);
    expect({ code, out }).toMatchObject({ code: 2 });
    expect(JSON.parse(out)).toMatchObject({
      error: { code: expect.stringMatching(/^SP_/), remedy: expect.any(String) },
    });
  });
});

describe('many chains', () => {
  const line = (id: unknown, changes: object = {}) =>
    JSON.stringify({
      id,
      leaf: pem(device.der),
      untrusted: [ISSUING.der.toString('base64')],
      trust: [pem(ROOT.der)],
      crls: [],
      purpose: 'client',
      at: WHEN,
      ...changes,
    });

  it('a line for a line, exit code 0 whatever the verdicts', async () => {
    const lines = [
      line(1),
      line('two', { purpose: 'server', at: Date.UTC(2030, 0, 1) / 1_000 }),
      line('three', { untrusted: [] }),
      line(null, { crls: lists.map((list) => list.toString('base64')), at: '2030-01-01T01:00:00+01:00' }),
      line('5', { leaf: Buffer.from('3000', 'hex').toString('base64'), at: Date.UTC(2030, 0, 1) }),
    ];
    const { code, out } = await verify(['--batch', '-'], `${lines.join('\n')}\n\n`);
    expect(out.trim().split('\n')).toEqual([
      '{"id":1,"accepted":true,"reason":null}',
      '{"id":"two","accepted":true,"reason":null}',
      '{"id":"three","accepted":false,"reason":"no-trusted-path"}',
      '{"id":null,"accepted":false,"reason":"revoked"}',
      '{"id":"5","accepted":false,"reason":"certificate-malformed"}',
    ]);
    expect(code).toBe(0);
  });

  it('a line that asks nothing gets an error, the others their answer, and the exit code is 1', async () => {
    const lines = [
      '{oops',
      '[]',
      line('a', { leaf: '***' }),
      line('b', { leaf: [pem(device.der)] }),
      line('c', { trust: undefined }),
      line('d', { purpose: undefined }),
      line('e', { at: 'noon' }),
      line('f', { crls: undefined, crl: [] }),
      line('g'),
    ];
    const { code, out } = await verify(['--batch', '-'], lines.join('\n'));
    const answers = out
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text) as { id: unknown; error?: string });
    expect(answers.map(({ id }) => id)).toEqual([null, null, 'a', 'b', 'c', 'd', 'e', 'f', 'g']);
    expect(answers.slice(0, -1).every(({ error }) => /^SP_(?:USAGE|CERTIFICATE_INVALID): /.test(error ?? ''))).toBe(
      true,
    );
    expect(answers.at(-1)).toEqual({ id: 'g', accepted: true, reason: null });
    expect(code).toBe(1);
  });

  it('answers each line as it comes', async () => {
    const child = spawn(process.execPath, [LAUNCHER, 'ca', 'verify-chain', '--batch', '-'], { cwd: folder });
    child.stdout.setEncoding('utf8');
    for (const id of [1, 2]) {
      child.stdin.write(`${line(id)}\n`);
      const [text] = (await new Promise<string>((done) => child.stdout.once('data', done))).split('\n');
      expect(text).toBe(`{"id":${id},"accepted":true,"reason":null}`);
    }
    child.stdin.end();
    expect(await new Promise((done) => child.once('close', done))).toBe(0);
  });
});
