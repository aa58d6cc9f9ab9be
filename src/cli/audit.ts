/** `sallyport audit tail|verify`: read the record, and prove that nobody changed it. Both work with or without the gateway. */
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { printable } from '../config/problem.ts';
import { Fault } from '../faults/fault.ts';
import type { DecisionEntry, LedgerEntry, OperatorEntry, RefusalEntry } from '../ledger/entry.ts';
import { followAll, tailAll, verifyAll } from '../ledger/streams.ts';
import { DirectoryLock } from '../store/directory-lock.ts';
import { archiveFiles, withArchive } from './archive.ts';
import { answering, EXIT } from './command.ts';
import { jsonLine, paint, table, withProgress } from './terminal.ts';

interface TailOptions {
  readonly lines: string;
  readonly follow?: boolean;
}

export function registerAudit(root: Command): void {
  const audit = root.command('audit').description('read the ledger and verify it');

  audit
    .command('tail')
    .description('show the latest decisions, refusals and acts of operators, oldest first')
    .option('-n, --lines <count>', 'how many', '20')
    .option('-f, --follow', 'go on showing new ones until Ctrl-C')
    .action(
      answering<TailOptions>(async ({ directory, json }, _, options) => {
        const count = Number(options.lines);
        if (!Number.isInteger(count) || count < 1 || count > 100_000)
          throw new Fault('SP_USAGE', '--lines: a number from 1 to 100000.');
        const ledger = ledgerFolder(directory);
        if (options.follow === true) return followed(ledger, count, json);
        const entries = await tailAll(ledger, count);
        return { json: entries, text: entries.length === 0 ? 'no decisions yet' : table(entries.map(row)) };
      }),
    );

  audit
    .command('verify')
    .description('check every record’s hash and its link to the one before; names the first that is wrong')
    .option(
      '--expect-head <seq:hash>',
      'a head noted earlier (`sallyport status`): also detects records cut off at the end',
    )
    .option('--archive <dir>', 'where `audit archive` has moved the older files')
    .action(
      answering<{ expectHead?: string; archive?: string }>(async ({ directory }, _, { expectHead, archive }) => {
        const live = DirectoryLock.isHeld(directory);
        const ledger = ledgerFolder(directory);
        const anchor = expectHead === undefined ? {} : { expectHead: anchorOf(expectHead) };
        const over = archive === undefined ? {} : { files: withArchive(ledger, resolve(archive)) };
        const result = await withProgress('verifying the ledger', () =>
          verifyAll(ledger, { live, ...anchor, ...over }),
        );
        const { ok, records, files, head, firstProblem, streams } = result;
        if (ok && records === 0) {
          const text = `${paint('red', '✗')} there is no record at all: the gateway never ran here, or its ledger was taken away`;
          return { json: { ...result, ok: false }, text, exit: EXIT.no };
        }
        if (ok) {
          const end = head
            ? `\n  head ${head.seq}:${head.hash}\n  keep this elsewhere: with it, records cut off at the end are found too`
            : '';
          return {
            json: result,
            text: `${paint('green', '✓')} ${records} records in ${files} files${streams.length > 1 ? ` of ${streams.length} streams` : ''} verify${end}`,
          };
        }
        const place = firstProblem && `${firstProblem.file} line ${firstProblem.line}, record ${firstProblem.seq}`;
        const decision = firstProblem?.decision === undefined ? '' : `, decision ${firstProblem.decision}`;
        const text = `${paint('red', '✗')} ${place}${decision}: ${firstProblem?.problem}\n  ${records} records before it verify. Keep the folder as evidence.${archive === undefined && firstProblem?.kind === 'file-missing' ? '\n  If older files were archived, name the archive: --archive DIR.' : ''}`;
        return { json: result, text, exit: EXIT.no };
      }),
    );

  audit
    .command('archive')
    .description('move older files of the ledger into another folder; the last two of each stream stay')
    .argument('<dir>', 'the archive; the same one every time, on another disk or not')
    .action(
      answering(async ({ directory }, [dir = '']) => {
        const ledger = ledgerFolder(directory);
        const archive = resolve(dir);
        const live = DirectoryLock.isHeld(directory);
        const { ok, records, head } = await withProgress('verifying the ledger', () =>
          verifyAll(ledger, { live, files: withArchive(ledger, archive) }),
        );
        // What does not verify is evidence, and stays where it is.
        if (!ok)
          throw new Fault(
            'SP_LEDGER_BROKEN',
            `The ledger does not verify with this archive, and nothing was moved: sallyport audit verify --archive ${dir}`,
          );
        const moved = await withProgress('moving files', () => archiveFiles(ledger, archive));
        const text = `${paint('green', '✓')} ${moved.length} files moved to ${dir}; ${records} records verify with it\n  from now on: sallyport audit verify --archive ${dir}`;
        return { json: { moved, archive, records, head }, text };
      }),
    );
}

/** Where the ledger lies within the gateway's folder. */
export function ledgerFolder(directory: string): string {
  return join(directory, 'ledger');
}

function anchorOf(text: string): { seq: number; hash: string } {
  const match = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text);
  if (!match) throw new Fault('SP_USAGE', '--expect-head is written SEQ:HASH, as `sallyport status` prints it.');
  return { seq: Number(match[1]), hash: match[2] as string };
}

async function followed(ledger: string, last: number, json: boolean): Promise<undefined> {
  const controller = new AbortController();
  const stop = () => controller.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  process.stdout.once('error', stop);
  for await (const entry of followAll(ledger, { signal: controller.signal, last })) {
    process.stdout.write(`${json ? jsonLine(entry) : row(entry).join('  ')}\n`);
  }
  return undefined;
}

function row(entry: LedgerEntry): string[] {
  try {
    return rowOf(entry);
  } catch {
    // Somebody wrote into the ledger: a record without an action, a time that is none.
    return ['', paint('red', 'damaged'), '', 'a record that cannot be shown: sallyport audit verify', ''];
  }
}

function rowOf(entry: LedgerEntry): string[] {
  switch (entry.kind) {
    case 'decision':
      return decisionRow(entry);
    case 'outcome':
      return [timeOf(entry.time), paint('yellow', 'afterwards'), '', printable(entry.fault), printable(entry.decision)];
    case 'operator':
      return operatorRow(entry);
    case 'refusal':
      return refusalRow(entry);
    case 'recovered':
      return [
        timeOf(entry.time),
        paint('yellow', 'recovered'),
        '',
        printable(`a torn end of ${entry.bytes} bytes was set aside`),
        '',
      ];
    case 'loss':
      return [
        timeOf(entry.time),
        paint('yellow', 'loss'),
        '',
        printable(`${entry.outcomes} outcome records could not be kept`),
        '',
      ];
    default:
      return [timeOf(entry.time), paint('dim', 'file'), '', '', ''];
  }
}

function decisionRow({ time, verdict, reasons, device, action, obligations, decision }: DecisionEntry): string[] {
  const colour = verdict === 'permitted' ? 'green' : verdict === 'denied' ? 'red' : 'yellow';
  const what = verdict === 'permitted' ? (obligations?.route ?? '') : reasons.join(', ');
  const arrow = action.direction === 'toDevice' ? '← ' : '';
  return [
    timeOf(time),
    paint(colour, printable(verdict)),
    printable(device?.id ?? 'unknown'),
    printable(`${arrow}${action.verb} ${action.resource}`),
    printable(what),
    paint('dim', printable(decision)),
  ];
}

const OUTCOME_COLOURS = { begun: 'dim', done: 'cyan', failed: 'red' } as const;

function operatorRow({ time, act, by, device, outcome, fault, decision, ...facts }: OperatorEntry): string[] {
  const colour = OUTCOME_COLOURS[outcome] ?? 'red';
  return [
    timeOf(time),
    paint('cyan', 'operator'),
    printable(device ?? ''),
    `${printable(act)}${facts.from === undefined && facts.to === undefined ? '' : ` ${printable(changeOf(facts))}`}`,
    paint(
      colour,
      printable(`${outcome}${fault === undefined ? '' : ` ${fault}`}${by === 'command' ? ' (not running)' : ''}`),
    ),
    paint('dim', printable(decision)),
  ];
}

/** `active → disabled` */
export function changeOf({ from, to }: Pick<OperatorEntry, 'from' | 'to'>): string {
  return from === undefined ? `${to ?? ''}` : `${from} → ${to ?? ''}`;
}

function refusalRow({ time, fault, device, unrecorded, decision }: RefusalEntry): string[] {
  return [
    timeOf(time),
    paint('yellow', 'refused'),
    printable(device ?? 'unknown'),
    printable(unrecorded > 0 ? `and ${unrecorded} before it that are not on record` : ''),
    printable(fault),
    paint('dim', printable(decision)),
  ];
}

function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('T', ' ');
}
