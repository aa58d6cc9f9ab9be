/** `sallyport explain DECISION`: what was decided, which rules looked at it, what was missing, and the line that would allow it. */
import type { Command } from 'commander';
import { loadConfiguration } from '../config/load.ts';
import { printable } from '../config/problem.ts';
import { Fault } from '../faults/fault.ts';
import type { DecisionEntry, LedgerEntry, OutcomeEntry } from '../ledger/entry.ts';
import { countSimilar, find, type Similar } from '../ledger/read.ts';
import { type Explanation, explainDenial } from '../policy/explain.ts';
import { ledgerFolder } from './audit.ts';
import { answering } from './command.ts';
import { withDevices } from './devices.ts';
import { paint, table, withProgress } from './terminal.ts';

const HOUR_MS = 3_600_000;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function registerExplain(root: Command): void {
  root
    .command('explain')
    .description('say why a message was permitted or denied, and which line of sallyport.yaml would change that')
    .argument('<decision>', 'the decision id that the device was told, or that `audit tail` shows')
    .action(
      answering(async ({ directory }, [decision = '']) => {
        if (!UUID.test(decision)) throw new Fault('SP_USAGE', `"${printable(decision)}" is not a decision id.`);
        const { settings } = loadConfiguration(directory);
        const folder = ledgerFolder(directory);
        const entries = await withProgress('searching the ledger', () => find(folder, decision));
        const record = entries.find((entry): entry is DecisionEntry => entry.kind === 'decision');
        if (!record) throw new Fault('SP_DECISION_UNKNOWN', `The ledger in ${folder} has no decision ${decision}.`);
        const outcome = entries.find((entry: LedgerEntry): entry is OutcomeEntry => entry.kind === 'outcome');
        const target = record.action.targetDevice;
        const targetSegment =
          target === undefined
            ? undefined
            : await withDevices(
                settings,
                async ({ operations }) => (await operations['device-show']({ id: target })).segment,
              ).catch(() => undefined);
        const explanation = explainDenial({ settings, record, ...(targetSegment !== undefined && { targetSegment }) });
        const similar = await withProgress('counting the like', () =>
          countSimilar(folder, record, record.time - HOUR_MS),
        );
        return {
          json: { record, ...(outcome && { outcome }), ...explanation, similar },
          text: render(record, outcome, explanation, similar),
        };
      }),
    );
}

function render(
  record: DecisionEntry,
  outcome: OutcomeEntry | undefined,
  explanation: Explanation,
  similar: Similar,
): string {
  const colour = record.verdict === 'permitted' ? 'green' : record.verdict === 'denied' ? 'red' : 'yellow';
  const why = record.verdict === 'permitted' ? (record.obligations?.route ?? '') : record.reasons.join(', ');
  const when = new Date(record.time).toISOString().replace('T', ' ');
  const lines = [
    `${paint(colour, printable(record.verdict.toUpperCase()))}  ${printable(`${why}      ${when}, revision ${record.revision}, ${record.tookMicros} µs`)}`,
    `  ${printable(`${sender(record)}  ${record.action.verb} ${record.action.resource}  over ${record.action.protocol} from ${record.peer.address}`)}`,
  ];
  if (outcome)
    lines.push(
      `  ${paint('yellow', 'afterwards')}  ${printable(outcome.fault)}: it was permitted, but did not get through`,
    );
  if (explanation.looked.length > 0) {
    lines.push(`  Rules${record.device ? ` of segment ${printable(record.device.segment)}` : ''} looked at:`);
    lines.push(
      indent(
        table(
          explanation.looked.map(({ route, template, why: reason }) => [
            printable(route),
            printable(template),
            printable(reason),
          ]),
        ),
        4,
      ),
    );
  }
  lines.push(`  ${printable(explanation.missing)}`);
  if (explanation.suggestion) {
    lines.push(
      `  It would be allowed by this line under ${printable(explanation.suggestion.under)}:`,
      `    ${paint('bold', printable(explanation.suggestion.line))}`,
    );
  }
  if (explanation.remedy) lines.push(`  ${printable(explanation.remedy)}`);
  const more = similar.partial ? 'at least ' : '';
  const others =
    similar.otherDevices === 0 ? 'from no other device' : `${similar.otherDevices} times from other devices`;
  lines.push(
    `  Seen ${more}${similar.sameDevice} time${similar.sameDevice === 1 ? '' : 's'} from this device in the last hour, ${others}.`,
  );
  return lines.join('\n');
}

function sender({ device, peer }: DecisionEntry): string {
  const serial = peer.serial === '' ? '' : `, certificate ${serialShown(peer.serial)}`;
  if (!device) return `unknown (key ${peer.key.slice(0, 16)}…${serial})`;
  return `${device.id} (segment ${device.segment}${serial}, ${device.state})`;
}

function serialShown(serial: string): string {
  const pairs = serial.match(/../g) ?? [];
  return `${pairs.slice(0, 4).join(':')}${pairs.length > 4 ? ':…' : ''}`;
}

function indent(text: string, columns: number): string {
  return text.replace(/^/gm, ' '.repeat(columns));
}
