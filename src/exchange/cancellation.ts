/**
 * How an exchange learns that its device has left. AbortSignal has this shape and serves as well; it costs several times as
 * much per message, though, and what it leaves behind outlives the exchange until a full collection.
 */

/** Told once, when the device leaves. */
export interface CancellationListener {
  handleEvent(): void;
}

/** Whether, and when, nobody waits any more. An AbortSignal is one. */
export interface Cancellation {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: CancellationListener): void;
  removeEventListener(type: 'abort', listener: CancellationListener): void;
}

/** The light one. Its owner aborts it; everybody else sees a Cancellation. */
export class Departure implements Cancellation {
  #aborted = false;
  /** Almost always there is one listener at most. */
  #first: CancellationListener | undefined;
  #others: CancellationListener[] | undefined;

  get aborted(): boolean {
    return this.#aborted;
  }

  /** Once; later calls do nothing. */
  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    const listeners = [this.#first, ...(this.#others ?? [])];
    this.#first = undefined;
    this.#others = undefined;
    for (const listener of listeners) listener?.handleEvent();
  }

  addEventListener(_type: 'abort', listener: CancellationListener): void {
    if (this.#aborted) return;
    if (this.#first === undefined) {
      this.#first = listener;
    } else {
      this.#others ??= [];
      this.#others.push(listener);
    }
  }

  removeEventListener(_type: 'abort', listener: CancellationListener): void {
    if (this.#first === listener) this.#first = undefined;
    else this.#others = this.#others?.filter((other) => other !== listener);
  }
}
