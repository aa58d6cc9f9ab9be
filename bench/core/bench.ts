/** What every benchmark is: a name, and work that ends in an outcome. */
import type { Outcome } from './outcome.ts';

export interface BenchOptions {
  readonly rounds: number;
  /** How long one round of one subject should take. */
  readonly seconds: number;
  /** Smaller work, for trying out. */
  readonly quick: boolean;
}

export interface Bench {
  readonly name: string;
  /** One line for --help and the page. */
  readonly about: string;
  /** Programs it needs besides Node; the Debian package is named when one is missing. */
  readonly needs: readonly string[];
  run(options: BenchOptions): Promise<Outcome>;
}
