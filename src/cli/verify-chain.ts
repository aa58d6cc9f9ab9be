/** `sallyport ca verify-chain`: asks the verifier of the gateway whether a certificate is vouched for. Needs no gateway. */
import { createHash, X509Certificate } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { printable } from '../config/problem.ts';
import { Fault } from '../faults/fault.ts';
import { dersOfFile, type PemLabel } from '../identity/path/certificate-text.ts';
import { verifyChain } from '../identity/path/verify-chain.ts';
import { type Answer, answering, EXIT } from './command.ts';
import { paint, table } from './terminal.ts';
import { answerLine, purposeOf, timeOf } from './verify-chain-batch.ts';

interface VerifyOptions {
  readonly trust?: readonly string[];
  readonly untrusted?: readonly string[];
  readonly crl?: readonly string[];
  readonly purpose?: string;
  readonly at?: string;
  readonly batch?: string;
}

export function registerVerifyChain(ca: Command): void {
  ca.command('verify-chain')
    .description(
      'say whether a certificate leads to a trusted one (RFC 5280); files are DER or PEM, with one certificate or more',
    )
    .argument('[leaf]', 'the certificate in question')
    .option('--trust <file>', 'certificates that are trusted, roots or not; may be repeated', collected)
    .option('--untrusted <file>', 'what may stand between, in any order; may be repeated', collected)
    .option(
      '--crl <file>',
      'revocation lists, may be repeated; with one, everybody below the trusted certificate must be covered',
      collected,
    )
    .option('--purpose <purpose>', 'client, server or any')
    .option('--at <time>', '2026-01-31T12:00:00Z, or seconds since 1970; now when left out')
    .option(
      '--batch <file>',
      'many at once, - for standard input: a line in is {"id","leaf","untrusted":[],"trust":[],"crls":[],"purpose","at"}, each certificate a string, PEM or base64 of DER; a line out is {"id","accepted","reason"}, or {"id","error"} and exit code 1 at the end',
    )
    .action(
      answering<VerifyOptions>((_, [leaf], options) => {
        if (options.batch === undefined) return one(leaf, options);
        if (leaf !== undefined || options.trust || options.untrusted || options.crl || options.purpose || options.at)
          throw new Fault('SP_USAGE', 'With --batch, everything else is in the lines.');
        return batch(options.batch);
      }),
    );
}

/** Not `<file...>`: that would take the certificate in question for one more of them. */
function collected(file: string, before: readonly string[] = []): readonly string[] {
  return [...before, file];
}

function one(leafFile: string | undefined, options: VerifyOptions): Promise<Answer> {
  if (leafFile === undefined) throw new Fault('SP_USAGE', 'Name the file of the certificate in question.');
  if (options.trust === undefined) throw new Fault('SP_USAGE', 'Name what is trusted with --trust.');
  const [leaf, ...more] = read([leafFile], 'CERTIFICATE');
  if (leaf === undefined || more.length > 0)
    throw new Fault('SP_USAGE', 'The file in question holds more than one certificate; --untrusted takes the others.');
  const verdict = verifyChain({
    leaf,
    trust: read(options.trust, 'CERTIFICATE'),
    untrusted: read(options.untrusted ?? [], 'CERTIFICATE'),
    crls: read(options.crl ?? [], 'X509 CRL'),
    purpose: purposeOf(options.purpose),
    at: timeOf(options.at),
  });
  if (!verdict.accepted) {
    const { reason, detail } = verdict;
    const text = `${paint('red', '✗')} ${reason}: ${detail}`;
    return Promise.resolve({ json: { accepted: false, reason, detail }, text, exit: EXIT.no });
  }
  const path = verdict.path.map((der) => ({
    subject: printable(new X509Certificate(der).subject?.replaceAll('\n', ', ') ?? ''),
    sha256: createHash('sha256').update(der).digest('hex'),
  }));
  const rows = path.map(({ subject, sha256 }, index) => [index === 0 ? '' : '↑', sha256.slice(0, 16), subject]);
  const text = `${paint('green', '✓')} accepted\n${table(rows)}`;
  return Promise.resolve({ json: { accepted: true, reason: null, path }, text });
}

function read(files: readonly string[], label: PemLabel): readonly Uint8Array[] {
  return files.flatMap((file) => {
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(file);
    } catch (cause) {
      throw new Fault('SP_USAGE', `${printable(file)} cannot be read.`, { cause });
    }
    try {
      return dersOfFile(bytes, label);
    } catch (cause) {
      throw new Fault('SP_CERTIFICATE_INVALID', `${printable(file)}: ${Fault.from(cause).message}`, { cause });
    }
  });
}

async function batch(file: string): Promise<undefined> {
  if (file !== '-' && !existsSync(file)) throw new Fault('SP_USAGE', `There is no file ${printable(file)}.`);
  const lines = createInterface({
    input: file === '-' ? process.stdin : createReadStream(file),
    crlfDelay: Number.POSITIVE_INFINITY,
  });
  let allAnswered = true;
  for await (const line of lines) {
    if (line.trim() === '') continue;
    const { text, wellFormed } = answerLine(line);
    allAnswered &&= wellFormed;
    if (!process.stdout.write(`${text}\n`)) await new Promise((drained) => process.stdout.once('drain', drained));
  }
  process.exitCode = allAnswered ? EXIT.yes : EXIT.no;
  return undefined;
}
