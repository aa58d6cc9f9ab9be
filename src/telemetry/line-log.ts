/**
 * The writer of log lines: JSON Lines, in this process (the permission model has no workers for transports) and never
 * awaited. A reader that does not keep up costs lines, which are counted, not memory and not the event loop.
 */
import { pino } from 'pino';
import type { Level } from '../faults/catalogue.ts';
import { LineWriter, type LogDestination } from './line-writer.ts';
import { logFields } from './log-fields.ts';
import { printable } from './printable.ts';

export type LogFields = Readonly<Record<string, unknown>>;

export interface LineLogOptions {
  readonly level: Level;
  /** The gateway's name, in every line. */
  readonly gateway?: string;
  /** Which worker of several, in every line. */
  readonly worker?: number;
  /** A file descriptor, or where lines go instead. Default: standard output. */
  readonly destination?: number | LogDestination;
  /** Told how many characters of lines were dropped because nobody read them. */
  readonly onDrop?: (characters: number) => void;
}

export class LineLog {
  readonly #target: LogDestination;
  readonly #logger: ReturnType<typeof pino>;

  constructor({ level, gateway, worker, destination = 1, onDrop }: LineLogOptions) {
    this.#target =
      typeof destination === 'number' ? new LineWriter(destination, onDrop, worker !== undefined) : destination;
    this.#logger = pino(
      {
        level,
        base: gateway === undefined ? null : { gateway: printable(gateway), ...(worker !== undefined && { worker }) },
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
      },
      this.#target,
    );
  }

  debug(fields: LogFields, message: string): void {
    this.at('debug', fields, message);
  }

  info(fields: LogFields, message: string): void {
    this.at('info', fields, message);
  }

  warn(fields: LogFields, message: string): void {
    this.at('warn', fields, message);
  }

  error(fields: LogFields, message: string): void {
    this.at('error', fields, message);
  }

  /** At the level of a catalogue entry. */
  at(level: Level, fields: LogFields, message: string): void {
    if (this.#logger.isLevelEnabled(level)) this.#logger[level](logFields(fields), printable(message));
  }

  isEnabled(level: Level): boolean {
    return this.#logger.isLevelEnabled(level);
  }

  /** Writes what is buffered, now. For the end of the process. */
  flush(): void {
    this.#target.flushSync?.();
  }
}
