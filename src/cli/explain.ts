/**
 * `sallyport explain ID`: what was decided, which rules looked at it, what was missing, and the line that would allow it; or
 * what a listener refused, or what an operator did.
 */
import type { Command } from 'commander';
import { loadConfiguration } from '../config/load.ts';
import { printable } from '../config/problem.ts';
import type { Settings } from '../config/settings.ts';
import { FAULTS, type FaultCode, isReason } from '../faults/catalogue.ts';
import { Fault } from '../faults/fault.ts';
import type { DecisionEntry, LedgerEntry, OperatorEntry, OutcomeEntry, RefusalEntry } from '../ledger/entry.ts';
import type { Similar } from '../ledger/read.ts';
import { countSimilarAll, findAll } from '../ledger/streams.ts';
import { type Explanation, explainDenial, type Question } from '../policy/explain.ts';
import { changeOf, ledgerFolder } from './audit.ts';
import { type Answer, answering } from './command.ts';
import { withDevices } from './devices.ts';
import { paint, table, withProgress } from './terminal.ts';

const HOUR_MS = 3_600_000;
/** The last moment of a Date. */
const MAX_TIME = 8.64e15;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function registerExplain(root: Command): void {
  root
    .command('explain')
    .description('say why a message was permitted or denied, and which line of sallyport.yaml would change that')
    .argument('<decision>', 'the id that the device was told, or that `audit tail` shows')
    .action(
      answering(async ({ directory }, [decision = '']) => {
        if (!UUID.test(decision)) throw new Fault('SP_USAGE', `"${printable(decision)}" is not a decision id.`);
        const { settings } = loadConfiguration(directory);
        return explain(settings, decision).catch((thrown: unknown) => {
          if (thrown instanceof Fault) throw thrown;
          const message = `The record under ${decision} cannot be explained: it is not as a gateway writes it.`;
          throw new Fault('SP_LEDGER_BROKEN', message, { cause: thrown });
        });
      }),
    );
}

async function explain(settings: Settings, decision: string): Promise<Answer> {
  const folder = ledgerFolder(settings.directory);
  const entries = await withProgress('searching the ledger', () => findAll(folder, decision));
  const record = entries.find((entry): entry is DecisionEntry => entry.kind === 'decision');
  if (!record) return explainOther(entries, folder, decision);
  const outcome = entries.find((entry: LedgerEntry): entry is OutcomeEntry => entry.kind === 'outcome');
  const refusal = entries.find((entry): entry is RefusalEntry => entry.kind === 'refusal');
  const target = record.action.targetDevice;
  const targetSegment =
    target === undefined
      ? undefined
      : await withDevices(
          settings,
          async ({ operations }) => (await operations['device-show']({ id: target })).segment,
        ).catch(() => undefined);
  const explanation = explained({ settings, record, ...(targetSegment !== undefined && { targetSegment }) });
  const similar = await withProgress('counting the like', () => countSimilarAll(folder, record, record.time - HOUR_MS));
  return {
    json: { record, ...(outcome && { outcome }), ...(refusal && { refusal }), ...explanation, similar },
    text: render(record, [outcome, refusal], explanation, similar),
  };
}

/** What this version cannot explain is no fault of its own: a later one wrote it, or somebody who should not have. */
function explained(question: Question): Explanation {
  const [reason] = question.record.reasons;
  if (reason === undefined || isReason(reason) || Object.hasOwn(FAULTS, reason)) return explainDenial(question);
  return {
    looked: [],
    missing: `This version of Sallyport does not know the reason "${printable(String(reason))}": another version decided.`,
    remedy: 'Explain it with the version that wrote it; `sallyport audit verify` says whether the record was changed.',
  };
}

/** An id under which no message was decided. */
function explainOther(entries: readonly LedgerEntry[], folder: string, decision: string): Answer {
  const refusal = entries.find((entry): entry is RefusalEntry => entry.kind === 'refusal');
  if (refusal) return { json: { refusal, ...aboutFault(refusal.fault) }, text: renderRefusal(refusal) };
  const acts = entries.filter((entry): entry is OperatorEntry => entry.kind === 'operator');
  if (acts.length > 0) return { json: { acts }, text: renderActs(acts) };
  throw new Fault('SP_DECISION_UNKNOWN', `The ledger in ${folder} has nothing under ${decision}${madeAt(decision)}.`);
}

/** RFC 9562 section 5.7: a UUIDv7 says when it was made. */
function madeAt(id: string): string {
  const time = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
  if (id[14] !== '7' || time > MAX_TIME) return ', and the id is not one that a gateway makes';
  return `; the id was made at ${when(time)}`;
}

function aboutFault(code: FaultCode): { summary: string; remedy: string } {
  const known = Object.hasOwn(FAULTS, code) ? FAULTS[code] : undefined;
  return {
    summary: known?.summary ?? `This version of Sallyport does not know the code "${code}".`,
    remedy: known?.remedy ?? 'Explain it with the version that wrote it.',
  };
}

function renderRefusal({ fault, time, device, peer, unrecorded }: RefusalEntry): string {
  const { summary, remedy } = aboutFault(fault);
  const lines = [
    `${paint('yellow', 'REFUSED')}  ${printable(`${fault}      ${when(time)}`)}`,
    `  ${printable(`${device ?? `unknown (key ${peer.key.slice(0, 16)}…)`}  from ${peer.address}`)}`,
    `  ${printable(summary)} The listener refused it before there was a message to decide: no policy saw it.`,
    `  ${printable(remedy)}`,
  ];
  if (unrecorded > 0)
    lines.push(`  ${unrecorded} refusals of this device before it are not on record: there were too many.`);
  return lines.join('\n');
}

function renderActs(acts: readonly OperatorEntry[]): string {
  const first = acts[0] as OperatorEntry;
  const last = acts.at(-1) as OperatorEntry;
  const change = first.from === undefined && first.to === undefined ? '' : `  ${changeOf(first)}`;
  const by =
    first.by === 'gateway' ? `through the running gateway, revision ${first.revision ?? '?'}` : 'while no gateway ran';
  const fault = last.fault === undefined ? '' : `: ${last.fault}, ${aboutFault(last.fault).summary}`;
  const ended =
    last.outcome === 'begun'
      ? 'Nothing says how it ended: the gateway stopped in between, or it is under way.'
      : `${last.outcome} at ${when(last.time)}${fault}`;
  return [
    `${paint('cyan', 'OPERATOR')}  ${printable(`${first.act}${first.device === undefined ? '' : ` ${first.device}`}${change}      ${when(first.time)}`)}`,
    `  ${printable(by)}`,
    `  ${printable(ended)}`,
  ].join('\n');
}

function when(time: number): string {
  return Number.isFinite(time) && Math.abs(time) <= MAX_TIME
    ? new Date(time).toISOString().replace('T', ' ')
    : 'an unknown time';
}

function render(
  record: DecisionEntry,
  [outcome, refusal]: readonly [OutcomeEntry | undefined, RefusalEntry | undefined],
  explanation: Explanation,
  similar: Similar,
): string {
  const colour = record.verdict === 'permitted' ? 'green' : record.verdict === 'denied' ? 'red' : 'yellow';
  const why = record.verdict === 'permitted' ? (record.obligations?.route ?? '') : record.reasons.join(', ');
  const lines = [
    `${paint(colour, printable(record.verdict.toUpperCase()))}  ${printable(`${why}      ${when(record.time)}, revision ${record.revision}, ${record.tookMicros} µs`)}`,
    `  ${printable(`${sender(record)}  ${record.action.verb} ${record.action.resource}  over ${record.action.protocol} from ${record.peer.address}`)}`,
  ];
  if (outcome)
    lines.push(
      `  ${paint('yellow', 'afterwards')}  ${printable(outcome.fault)}: it was permitted, but did not get through`,
    );
  // A WebSocket's conversation goes under the id of its upgrade.
  if (refusal) {
    const { summary } = aboutFault(refusal.fault);
    lines.push(`  ${paint('yellow', 'afterwards')}  ${printable(`${refusal.fault}: ${summary}`)}`);
  }
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
