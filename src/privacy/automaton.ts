/**
 * Compiles a privacy rule into an automaton over the keys of a document, so that one look at each key tells what happens to
 * its value, however many selectors there are. All overlaps (`a.serial` and `*.serial`) are settled here, not per message:
 *
 * - what no selector names is dropped;
 * - `keep` on an object or array keeps all of it, except where another selector names something inside;
 * - of several actions on the same value the most protective wins: pseudonymise, tokenise, coarsen, keep.
 */
import type { Coarsening, PrivacyRule } from '../config/settings.ts';
import { coarseningProblem } from './coarsen.ts';
import { hashKey } from './key-table.ts';
import { parseSelector, type Step } from './selector-path.ts';

export type Action =
  | { readonly kind: 'keep' | 'pseudonymise' | 'tokenise' }
  | { readonly kind: 'coarsen'; readonly coarsening: Coarsening };

export interface SelectorProblem {
  readonly selector: string;
  readonly problem: string;
}

/** Where the automaton stands after the keys above a value. */
export interface State {
  /** What happens to the value itself; undefined: nothing names it. */
  readonly action: Action | undefined;
  readonly below: Below;
}

/** Where it goes from there. */
export interface Below {
  /** Members named by selectors, by the hash of their name; equal hashes form a chain. */
  readonly members: ReadonlyMap<number, Member>;
  /** Every other member of an object; undefined: no selector reaches into them. */
  readonly others: State | undefined;
  /** Every item of an array. */
  readonly items: State | undefined;
  /** No selector names anything below. */
  readonly isEmpty: boolean;
}

export interface Member {
  readonly name: string;
  /** The name in canonical JSON with its colon, ready to be written. */
  readonly written: string;
  readonly state: State;
  readonly next: Member | undefined;
}

export interface CompiledSelectors {
  readonly start: State;
  readonly problems: readonly SelectorProblem[];
}

/** Overlapping wildcards can multiply; a rule that anybody can still understand has a few dozen transitions. */
const MAX_TRANSITIONS = 65_536;
/** Each transition costs as much as the state has branches: well under a second in all, whatever the rule. */
const MAX_WORK = 1_048_576;

const STRICTNESS: readonly Action['kind'][] = ['keep', 'coarsen', 'tokenise', 'pseudonymise'];

/** Compiles the four lists of a rule. With problems, `start` is not to be used. */
export function compileSelectors(rule: PrivacyRule): CompiledSelectors {
  const problems: SelectorProblem[] = [];
  const root = new Branch(0, '');
  let branches = 1;
  const add = (selector: string, action: Action): void => {
    const steps = parseSelector(selector);
    if (typeof steps === 'string') return void problems.push({ selector, problem: steps });
    let branch = root;
    for (const step of steps) branch = branch.child(step, () => new Branch(branches++, selector));
    const problem = branch.claim(selector, action);
    if (problem !== undefined) problems.push({ selector, problem });
  };
  for (const selector of rule.keep) add(selector, { kind: 'keep' });
  for (const selector of rule.pseudonymise) add(selector, { kind: 'pseudonymise' });
  for (const selector of rule.tokenise) add(selector, { kind: 'tokenise' });
  for (const coarsening of rule.coarsen) {
    const problem = coarseningProblem(coarsening);
    if (problem === undefined) add(coarsening.selector, { kind: 'coarsen', coarsening });
    else problems.push({ selector: coarsening.selector, problem });
  }
  return { start: new Automaton(problems).start(root), problems };
}

/** A node of the tree that the selectors form before wildcards are worked out. */
class Branch {
  readonly id: number;
  readonly members = new Map<string, Branch>();
  anyMember: Branch | undefined;
  anyItem: Branch | undefined;
  anyDepth: Branch | undefined;
  /** Reached by `**`: stays where it is under every key and item. */
  isLoop = false;
  /** The selector that names this very value. */
  selector: string | undefined;
  action: Action | undefined;
  /** The first selector that comes past here. */
  readonly origin: string;

  constructor(id: number, origin: string) {
    this.id = id;
    this.origin = origin;
  }

  /** Nothing lies below: an end adds an action to a state, but no way on. */
  get isEnd(): boolean {
    const { members, anyMember, anyItem, isLoop } = this;
    return members.size === 0 && anyMember === undefined && anyItem === undefined && !isLoop;
  }

  /** Why this action cannot be had here, or undefined. */
  claim(selector: string, action: Action): string | undefined {
    if (this.action === undefined) {
      this.selector = selector;
      this.action = action;
      return undefined;
    }
    if (this.action.kind !== action.kind) return `stands under both ${this.action.kind} and ${action.kind}`;
    return action.kind === 'coarsen' ? 'is coarsened twice' : `stands twice under ${action.kind}`;
  }

  /** The branch after one more step, made if need be. */
  child(step: Step, make: () => Branch): Branch {
    switch (step.kind) {
      case 'member': {
        const child = this.members.get(step.name) ?? make();
        this.members.set(step.name, child);
        return child;
      }
      case 'any-member':
        this.anyMember ??= make();
        return this.anyMember;
      case 'any-item':
        this.anyItem ??= make();
        return this.anyItem;
      case 'any-depth':
        if (this.isLoop) return this;
        this.anyDepth ??= make();
        this.anyDepth.isLoop = true;
        return this.anyDepth;
    }
  }
}

type Unfilled = { -readonly [key in keyof Below]: Below[key] } & { readonly members: Map<number, Member> };

/** The subset construction: a state is the set of branches that a path of keys can stand on. */
class Automaton {
  readonly #states = new Map<string, State>();
  readonly #below = new Map<string, Below>();
  /** A list and no recursion: chains of states can be longer than a stack is deep. */
  readonly #pending: { readonly below: Unfilled; readonly set: readonly Branch[] }[] = [];
  readonly #problems: SelectorProblem[];
  #transitions = 0;
  #work = 0;

  constructor(problems: SelectorProblem[]) {
    this.#problems = problems;
  }

  start(root: Branch): State {
    const state = this.#state([root]);
    for (let next = this.#pending.pop(); next !== undefined; next = this.#pending.pop())
      this.#fill(next.below, next.set);
    return state;
  }

  #state(branches: readonly Branch[]): State {
    const set = closure(branches);
    const name = nameOf(set);
    const known = this.#states.get(name);
    if (known !== undefined) return known;
    const state = { action: this.#action(set), below: this.#wayOn(set.filter((branch) => !branch.isEnd)) };
    this.#states.set(name, state);
    return state;
  }

  #wayOn(set: readonly Branch[]): Below {
    const name = nameOf(set);
    const known = this.#below.get(name);
    if (known !== undefined) return known;
    const below: Unfilled = { members: new Map(), others: undefined, items: undefined, isEmpty: set.length === 0 };
    this.#below.set(name, below);
    this.#pending.push({ below, set });
    return below;
  }

  #fill(below: Unfilled, set: readonly Branch[]): void {
    const loops = set.filter((branch) => branch.isLoop);
    const anyMember = [...loops, ...defined(set.map((branch) => branch.anyMember))];
    const anyItem = [...loops, ...defined(set.map((branch) => branch.anyItem))];
    const names = new Set(set.flatMap((branch) => [...branch.members.keys()]));
    if (!this.#afford(names.size + 2, set)) return;
    if (anyMember.length > 0) below.others = this.#state(anyMember);
    if (anyItem.length > 0) below.items = this.#state(anyItem);
    for (const name of names) {
      const state = this.#state([...anyMember, ...defined(set.map((branch) => branch.members.get(name)))]);
      const hash = hashKey(name);
      below.members.set(hash, { name, written: `${JSON.stringify(name)}:`, state, next: below.members.get(hash) });
    }
  }

  #afford(transitions: number, set: readonly Branch[]): boolean {
    this.#transitions += transitions;
    this.#work += transitions * set.length;
    if (this.#transitions <= MAX_TRANSITIONS && this.#work <= MAX_WORK) return true;
    const selector = set.at(-1)?.origin ?? '';
    this.#problems.push({ selector, problem: 'overlaps with too many other selectors; use fewer wildcards' });
    this.#pending.length = 0;
    return false;
  }

  #action(set: readonly Branch[]): Action | undefined {
    let chosen: Branch | undefined;
    for (const branch of set) {
      if (branch.action === undefined) continue;
      const difference = chosen?.action ? strictness(branch.action) - strictness(chosen.action) : 1;
      if (difference > 0) chosen = branch;
      else if (difference === 0 && branch.action.kind === 'coarsen' && !sameCoarsening(branch, chosen as Branch)) {
        const selector = branch.selector ?? '';
        this.#problems.push({ selector, problem: `coarsens the same field as ${chosen?.selector} in another way` });
      }
    }
    return chosen?.action;
  }
}

/** With every branch, those that its `**` reaches without a key; sorted, each once. */
function closure(branches: readonly Branch[]): Branch[] {
  const set = new Set<Branch>();
  for (const start of branches) {
    for (let branch: Branch | undefined = start; branch !== undefined; branch = branch.anyDepth) set.add(branch);
  }
  return [...set].sort((a, b) => a.id - b.id);
}

function nameOf(set: readonly Branch[]): string {
  return set.map(({ id }) => id).join(' ');
}

function defined(branches: readonly (Branch | undefined)[]): Branch[] {
  return branches.filter((branch) => branch !== undefined);
}

function strictness(action: Action): number {
  return STRICTNESS.indexOf(action.kind);
}

function sameCoarsening(left: Branch, right: Branch): boolean {
  if (left.action?.kind !== 'coarsen' || right.action?.kind !== 'coarsen') return false;
  const [a, b] = [left.action.coarsening, right.action.coarsening];
  return a.kind === b.kind && a.step === b.step;
}
