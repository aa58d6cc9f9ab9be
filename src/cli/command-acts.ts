/** Puts on record what a command does to the folder of a gateway that is not running. The command holds the folder's lock. */
import { randomUUIDv7 } from 'node:crypto';
import { join } from 'node:path';
import type { ActPorts, ActRecord } from '../admin/acts.ts';
import type { Settings } from '../config/settings.ts';
import { Ledger } from '../ledger/ledger.ts';
import { paint } from './terminal.ts';

export class CommandActs implements ActPorts {
  readonly by = 'command';
  readonly now = Date.now;
  readonly decisionId = () => randomUUIDv7();
  readonly #settings: Settings;
  #ledger: Promise<Ledger> | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  readonly record = async (record: ActRecord): Promise<void> => {
    await (await this.#opened()).operator(record);
  };

  readonly keep = async (record: ActRecord): Promise<void> => {
    await (await this.#opened()).keepOperator(record);
  };

  readonly onUnrecorded = ({ act, device }: ActRecord): void => {
    const what = `${act}${device === undefined ? '' : ` ${device}`}`;
    process.stderr.write(
      `${paint('yellow', '!', process.stderr)} ${what} took effect, but the ledger could not be written: it is not on record\n`,
    );
  };

  /** Writes what is queued. */
  async close(): Promise<void> {
    const ledger = await this.#ledger?.catch(() => undefined);
    await ledger?.close();
  }

  /** Only at the first act: to look at a device writes nothing. */
  #opened(): Promise<Ledger> {
    const { directory, gateway, limits } = this.#settings;
    this.#ledger ??= Ledger.open(join(directory, 'ledger'), {
      gateway,
      maxFileBytes: limits.ledgerFileBytes,
      maxQueue: limits.ledgerQueue,
    });
    return this.#ledger;
  }
}
