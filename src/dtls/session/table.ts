/**
 * Where associations are found: by address, by Connection ID, by principal; and how many a host has. A handshake that has not
 * finished stands beside the open association of its address and never in its place (RFC 6347 4.2.8).
 */
import type { PeerAddress } from '../options.ts';
import { mapKey } from '../wire/bytes.ts';
import { type Association, addressKey } from './association.ts';

export class AssociationTable<Entry extends Association> {
  readonly open = new Map<string, Entry>();
  readonly pending = new Map<string, Entry>();
  readonly #byCid = new Map<string, Entry>();
  readonly #openByHost = new Map<string, number>();
  readonly #pendingByHost = new Map<string, number>();
  /** First of a list that goes on in `nextOfPrincipal`: a set for each device would cost more than all else here. */
  readonly #byPrincipal = new Map<string, Entry>();
  #openCount = 0;

  /** Open associations, whether found by address or only by Connection ID. */
  get openCount(): number {
    return this.#openCount;
  }

  openOfHost(address: PeerAddress): number {
    return this.#openByHost.get(address.address) ?? 0;
  }

  pendingOfHost(address: PeerAddress): number {
    return this.#pendingByHost.get(address.address) ?? 0;
  }

  all(): Iterable<Entry> {
    return new Set([...this.pending.values(), ...this.open.values(), ...this.#byCid.values()]);
  }

  ofPrincipal(principal: string): readonly Entry[] {
    const found: Entry[] = [];
    let entry = this.#byPrincipal.get(principal);
    while (entry !== undefined) {
      found.push(entry);
      entry = entry.nextOfPrincipal as Entry | undefined;
    }
    return found;
  }

  byCid(cid: Uint8Array): Entry | undefined {
    return this.#byCid.get(mapKey(cid));
  }

  addPending(entry: Entry): void {
    this.pending.set(addressKey(entry.address), entry);
    count(this.#pendingByHost, entry.address.address, 1);
  }

  addCid(cid: string, entry: Entry): void {
    this.#byCid.set(cid, entry);
  }

  removeCid(cid: string): void {
    this.#byCid.delete(cid);
  }

  /** From pending to open. @returns the open association that stood at this address. */
  promote(entry: Entry): Entry | undefined {
    const key = addressKey(entry.address);
    if (this.pending.get(key) === entry) this.pending.delete(key);
    count(this.#pendingByHost, entry.address.address, -1);
    count(this.#openByHost, entry.address.address, 1);
    this.#openCount += 1;
    const before = this.open.get(key);
    this.open.set(key, entry);
    if (entry.principal !== '') {
      entry.nextOfPrincipal = this.#byPrincipal.get(entry.principal);
      this.#byPrincipal.set(entry.principal, entry);
    }
    return before;
  }

  /** To a proven new address of an open association. */
  move(entry: Entry, to: PeerAddress): void {
    const from = addressKey(entry.address);
    if (this.open.get(from) === entry) this.open.delete(from);
    count(this.#openByHost, entry.address.address, -1);
    count(this.#openByHost, to.address, 1);
    entry.address = to;
    // Whoever is found by this address without a Connection ID keeps it: this one is found by its own.
    if (!this.open.has(addressKey(to))) this.open.set(addressKey(to), entry);
  }

  remove(entry: Entry): void {
    if (entry.state === 'closed') return;
    const key = addressKey(entry.address);
    if (entry.state === 'handshaking') {
      if (this.pending.get(key) === entry) this.pending.delete(key);
      count(this.#pendingByHost, entry.address.address, -1);
    } else {
      if (this.open.get(key) === entry) this.open.delete(key);
      count(this.#openByHost, entry.address.address, -1);
      this.#openCount -= 1;
      this.#unlinkPrincipal(entry);
    }
    if (entry.ownCid !== undefined && this.#byCid.get(entry.ownCid) === entry) this.removeCid(entry.ownCid);
  }

  #unlinkPrincipal(entry: Entry): void {
    const first = this.#byPrincipal.get(entry.principal);
    const next = entry.nextOfPrincipal as Entry | undefined;
    if (first === entry) {
      if (next === undefined) this.#byPrincipal.delete(entry.principal);
      else this.#byPrincipal.set(entry.principal, next);
    } else {
      let before: Entry | undefined = first;
      while (before !== undefined && before.nextOfPrincipal !== entry) {
        before = before.nextOfPrincipal as Entry | undefined;
      }
      if (before !== undefined) before.nextOfPrincipal = next;
    }
    entry.nextOfPrincipal = undefined;
  }

  /** Looks at the oldest few and gives one that was idle since `sinceMs`; the others go to the end of the line. */
  idleSince(sinceMs: number): Entry | undefined {
    let looks = 64;
    for (const [key, entry] of this.open) {
      if (entry.lastActivityMs <= sinceMs) return entry;
      if (looks-- === 0) return undefined;
      this.open.delete(key);
      this.open.set(key, entry);
    }
    return undefined;
  }
}

function count(counts: Map<string, number>, key: string, by: number): void {
  const next = (counts.get(key) ?? 0) + by;
  if (next > 0) counts.set(key, next);
  else counts.delete(key);
}
