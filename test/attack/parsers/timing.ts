/** How the time of a piece of work grows with its input: CPU time of this thread, so that neighbours on the machine do not count. */

/** Long enough for the clock, short enough for a test. */
const SPAN_MICROS = 3_000;
const ROUNDS = 4;
const TRIES = 10;
/** No input below its cap may take so long. */
const HOPELESS_MICROS = 500_000;

export interface Growth {
  /** time(2n) / time(n), the best of several tries: noise makes it larger or smaller, a square makes it four every time. */
  readonly ratio: number;
  /** Time for the whole input, milliseconds. */
  readonly fullMs: number;
}

/** @param make makes the work for an input of that size @param size the cap; half of it is n */
export function growth(make: (size: number) => () => unknown, size: number, allowed: number): Growth {
  const hopeless = hopelessSize(make, size);
  if (hopeless !== undefined) return { ratio: Number.POSITIVE_INFINITY, fullMs: Number.POSITIVE_INFINITY };
  const half = make(Math.floor(size / 2));
  const full = make(size);
  const quarter = make(Math.floor(size / 4));
  let best: Growth | undefined;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    // Where caches end, one doubling costs more than its share; two in a row show what the growth is.
    const far = attempt >= TRIES / 2;
    const [small, large] = alternately(far ? quarter : half, full);
    const ratio = far ? Math.sqrt(large / small) : large / small;
    if (best === undefined || ratio < best.ratio) best = { ratio, fullMs: large / 1_000 };
    if (best.ratio < allowed) break;
  }
  return best as Growth;
}

/** A small input that takes long already: what is exponential is found out before it takes for ever. */
function hopelessSize(make: (size: number) => () => unknown, size: number): number | undefined {
  for (let small = 8; small < size / 2; small = small < 64 ? small + 4 : small * 2) {
    let work: () => unknown;
    try {
      work = make(small);
    } catch {
      continue; // too small for this input
    }
    const began = now();
    work();
    if (now() - began > HOPELESS_MICROS) return small;
  }
  return undefined;
}

/** The least time of each over some rounds, microseconds per call. */
function alternately(half: () => unknown, full: () => unknown): [number, number] {
  let small = Number.POSITIVE_INFINITY;
  let large = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    small = Math.min(small, timeOf(half));
    large = Math.min(large, timeOf(full));
  }
  return [small, large];
}

function timeOf(work: () => unknown): number {
  const began = now();
  let calls = 0;
  let spent = 0;
  do {
    work();
    calls += 1;
    spent = now() - began;
  } while (spent < SPAN_MICROS);
  return spent / calls;
}

function now(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}
