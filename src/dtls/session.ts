/** The caller's view of one association. Thin on purpose: the engine holds the truth, and an idle one costs next to nothing. */
import type { Peer } from './core.ts';
import type { DtlsEngine } from './engine.ts';
import { DtlsError } from './error.ts';
import type { DtlsSession, PeerAddress, PeerSummary, ResumableSession, SendResult, SuiteName } from './options.ts';
import type { CloseReason } from './stats.ts';

/** What a session needs of the rim it lives on. */
export interface SessionRim {
  readonly engine: DtlsEngine;
  nowMs(): number;
  /** Carries out what the engine has in its outbox. */
  flush(): void;
}

export class AssociationSession implements DtlsSession {
  readonly #rim: SessionRim;
  readonly #association: Peer;
  // Made when somebody asks: 100,000 idle associations should not hold 200,000 promises.
  #opened: PromiseWithResolvers<void> | undefined;
  #closed: PromiseWithResolvers<CloseReason> | undefined;
  onmessage: ((data: Uint8Array) => void) | undefined = undefined;
  onclose: ((reason: CloseReason) => void) | undefined = undefined;
  onpathchange: ((from: PeerAddress, to: PeerAddress) => void) | undefined = undefined;

  constructor(rim: SessionRim, association: Peer) {
    this.#rim = rim;
    this.#association = association;
  }

  get id(): number {
    return this.#association.id;
  }

  get state(): 'connecting' | 'open' | 'closed' {
    const { state } = this.#association;
    return state === 'handshaking' ? 'connecting' : state;
  }

  get principal(): string {
    return this.#association.principal;
  }

  get attachment(): unknown {
    return this.#association.attachment;
  }

  get peer(): PeerSummary {
    return this.#association.peer;
  }

  get remoteAddress(): PeerAddress {
    return this.#association.address;
  }

  get pathProven(): boolean {
    return this.#association.candidate === undefined;
  }

  get protocol(): 'DTLSv1.2' {
    return 'DTLSv1.2';
  }

  /** @throws DtlsError `session-closed` before the handshake has chosen one. */
  get cipher(): SuiteName {
    const { suite } = this.#association;
    if (suite === undefined) throw new DtlsError('session-closed', 'no suite is agreed yet');
    return suite.name;
  }

  get servername(): string {
    return this.#association.servername;
  }

  get alpnProtocol(): string {
    return this.#association.alpnProtocol;
  }

  get reused(): boolean {
    return this.#association.reused;
  }

  get hasConnectionId(): boolean {
    return (this.#association.ownCid?.length ?? 0) > 0;
  }

  get maxPayloadBytes(): number {
    return this.#rim.engine.maxPayloadBytes(this.#association);
  }

  get session(): ResumableSession | undefined {
    return this.#association.resumable;
  }

  get opened(): Promise<void> {
    if (this.#opened === undefined) {
      this.#opened = Promise.withResolvers();
      if (this.state === 'open') this.#opened.resolve();
      else if (this.state === 'closed') this.#refuse(this.#association.closeReason ?? 'internal');
    }
    return this.#opened.promise;
  }

  get closed(): Promise<CloseReason> {
    if (this.#closed === undefined) {
      this.#closed = Promise.withResolvers();
      if (this.state === 'closed') this.#closed.resolve(this.#association.closeReason ?? 'internal');
    }
    return this.#closed.promise;
  }

  send(data: Uint8Array): SendResult {
    const result = this.#rim.engine.send(this.#association, data, this.#rim.nowMs());
    this.#rim.flush();
    return result;
  }

  close(reason: CloseReason = 'local-close'): void {
    this.#rim.engine.close(this.#association, reason, this.#rim.nowMs());
    this.#rim.flush();
  }

  destroy(): void {
    this.#rim.engine.close(this.#association, 'local-close', this.#rim.nowMs(), true);
    this.#rim.flush();
  }

  confirmPath(): void {
    this.#rim.engine.confirmPath(this.#association, this.#rim.nowMs());
    this.#rim.flush();
  }

  exportKeyingMaterial(length: number, label: string, context?: Uint8Array): Uint8Array {
    return this.#rim.engine.exportKeyingMaterial(this.#association, length, label, context);
  }

  /** The rim tells what the engine reported. */
  reportOpen(): void {
    this.#opened?.resolve();
  }

  reportClosed(reason: CloseReason): void {
    this.#refuse(reason);
    this.#closed?.resolve(reason);
    this.onclose?.(reason);
  }

  #refuse(reason: CloseReason): void {
    this.#opened?.reject(new DtlsError(reason, `the handshake ended: ${reason}`));
    // Whoever never asked for `opened` must not bring the process down.
    this.#opened?.promise.catch(() => {});
  }
}
