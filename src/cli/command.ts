/**
 * How every command ends: its answer as text or, with --json, as one line of JSON; faults with place and remedy; exit codes
 * 0 yes, 1 no, 2 usage or configuration, 3 not reachable.
 */
import { existsSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { ConfigurationError } from '../config/load.ts';
import type { FaultCode } from '../faults/catalogue.ts';
import { Fault } from '../faults/fault.ts';
import { withHints } from './hint.ts';
import { jsonLine, paint, printableLines } from './terminal.ts';

export const EXIT = { yes: 0, no: 1, usage: 2, unreachable: 3 } as const;

/** Faults that answer the question with "no" rather than say that it was put wrongly. */
const SAYS_NO: ReadonlySet<FaultCode> = new Set([
  'SP_DEVICE_EXISTS',
  'SP_DEVICE_UNKNOWN',
  'SP_DEVICE_STATE',
  'SP_DECISION_UNKNOWN',
  'SP_LEDGER_BROKEN',
  'SP_LEDGER_WRITE',
  'SP_POLICY_CANARY',
  'SP_INTERNAL',
]);

export interface CommandContext {
  /** The gateway's folder, absolute. */
  readonly directory: string;
  readonly json: boolean;
}

export interface Answer {
  /** What --json prints. */
  readonly json: unknown;
  /** What a person reads. */
  readonly text: string;
  /** EXIT.no for a well-understood no. Default: yes. */
  readonly exit?: number;
}

/** Wraps a command's work for commander: `command.action(answering(async (context, args, options) => …))`. */
export function answering<Options>(
  work: (context: CommandContext, args: string[], options: Options) => Promise<Answer | undefined> | Answer,
): (...parameters: unknown[]) => Promise<void> {
  return async (...parameters) => {
    const command = parameters.at(-1) as Command;
    const context = contextOf(command);
    try {
      const answer = await work(context, command.args, command.opts<object>() as Options);
      if (!answer) return;
      await print(process.stdout, context.json ? jsonLine(answer.json) : withHints(answer.text, context.directory));
      process.exitCode = answer.exit ?? EXIT.yes;
    } catch (thrown) {
      process.exitCode = await report(thrown, context);
    }
  };
}

export function contextOf(command: Command): CommandContext {
  // -C and --json may stand before or after the command's name; the one nearest to the command wins.
  let directory: string | undefined;
  let json = false;
  for (let at: Command | null = command; at; at = at.parent) {
    const options = at.opts<{ directory?: string; json?: boolean }>();
    if (at.getOptionValueSource('directory') === 'cli') directory ??= options.directory;
    json ||= options.json === true;
  }
  const absolute = resolve(directory ?? '.');
  // A folder reached through a link is called by its own name, as the permissions are. `run` may not look: its launcher did.
  const looks = process.permission === undefined && existsSync(absolute);
  return { directory: looks ? realpathSync(absolute) : absolute, json };
}

/** Prints a fault for a person (standard error) or a machine (standard output) and returns the exit code. */
export async function report(thrown: unknown, { json, directory }: CommandContext): Promise<number> {
  const fault = Fault.from(thrown);
  const problems = fault instanceof ConfigurationError ? fault.problems : undefined;
  if (json) {
    const error = {
      code: fault.code,
      message: fault.message,
      remedy: fault.entry.remedy,
      ...(problems && { problems }),
    };
    await print(process.stdout, jsonLine({ error }));
  } else {
    const place = fault instanceof ConfigurationError ? `${fault.text}\n` : '';
    // A message can quote what somebody else wrote: a certificate, a request, an argument of a script.
    const head = `${place}${paint('red', 'sallyport:', process.stderr)} ${printableLines(fault.message)}`;
    const cause =
      fault.code === 'SP_INTERNAL' && fault.cause instanceof Error ? `\n  ${printableLines(fault.cause.message)}` : '';
    await print(process.stderr, withHints(`${head}${cause}\n  ${fault.entry.remedy}  (${fault.code})`, directory));
    if (fault.code === 'SP_INTERNAL' && process.env.SALLYPORT_DEBUG) console.error(fault.cause);
  }
  return exitCodeOf(fault);
}

export function exitCodeOf(fault: Fault): number {
  if (fault.code === 'SP_GATEWAY_NOT_RUNNING') return EXIT.unreachable;
  return SAYS_NO.has(fault.code) ? EXIT.no : EXIT.usage;
}

function print(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((done) => stream.write(text.endsWith('\n') ? text : `${text}\n`, () => done()));
}
