/** A registry with as many devices as wanted, in no time: copies of one that was added as any device is. */
import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';

/** Fills up the registry's file, whose gateway is not running, to `count` devices. */
export function fillRegistry(file: string, count: number): void {
  const database = new DatabaseSync(file);
  try {
    database.function('key_of', (number) => createHash('sha256').update(`device ${number}`).digest('hex'));
    const present = Number(database.prepare('SELECT count(*) AS count FROM devices').get()?.count);
    const numbers = `WITH RECURSIVE numbers (n) AS (SELECT ${present} UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count - 1})`;
    if (present >= count) return;
    database.exec(`BEGIN IMMEDIATE;
      INSERT INTO devices (id, revision, segment, state, labels, manufacturer, model, firmware, address, added_at, changed_at)
      ${numbers}
      SELECT 'meter-' || n, (SELECT max(revision) FROM devices) + n, segment, state, labels, manufacturer, model, firmware,
        address, added_at, changed_at FROM numbers, (SELECT * FROM devices LIMIT 1);
      INSERT INTO credentials (key, device, standing, names, issuer, serial, not_before, not_after, added_at, certificate)
      ${numbers}
      SELECT key_of(n), 'meter-' || n, standing, names, issuer, serial || '-' || n, not_before, not_after, added_at, ''
        FROM numbers, (SELECT * FROM credentials LIMIT 1);
      COMMIT`);
  } finally {
    database.close();
  }
}
