/**
 * Says of one decision on record which rules looked at it, what was missing, and the line of sallyport.yaml that would
 * allow it. Pure: from the configuration of today and the record alone, so after a change of either it says so.
 */
import type { SegmentSettings, Settings } from '../config/settings.ts';
import type { DecisionRecord } from '../exchange/gate.ts';
import { entryOf, isReason, type Reason } from '../faults/catalogue.ts';
import { unmetConditions } from './conditions.ts';
import { carriesPayload, type Rule, type Suggestion, suggestion } from './suggestion.ts';
import { type Action, bySpecificity, coversVerb, isRedacted, matchesTemplate, templateParts } from './template.ts';

export interface Question {
  readonly settings: Settings;
  readonly record: DecisionRecord;
  /** Segment of the device that the message names, if that is registered. */
  readonly targetSegment?: string;
}

export interface LookedRule {
  /** Name of the route, or `reach/<segment>`. */
  readonly route: string;
  /** Verb and path, with the device's own id filled in. */
  readonly template: string;
  /** Why it did not allow the message, or that it does. */
  readonly why: string;
}

export interface Explanation {
  /** Every rule of the device's segment that could have allowed the message, in the order of the file. */
  readonly looked: readonly LookedRule[];
  /** The fact that was missing, one or two sentences. */
  readonly missing: string;
  /** The line that would allow it, if one line of sallyport.yaml is enough. */
  readonly suggestion?: Suggestion;
  /** What to do instead, or besides. */
  readonly remedy?: string;
}

/** Explains a denial; of a permitted or failed exchange it says what there is to say. */
export function explainDenial(question: Question): Explanation {
  const { record } = question;
  const rules = rulesFor(question);
  const looked = rules.map((rule) => ({ route: rule.name, template: shown(rule, record), why: why(rule, record) }));
  const code = record.reasons[0];
  if (record.verdict === 'permitted' || code === undefined) {
    return { looked, missing: `Nothing: it was permitted${byRoute(record)}.` };
  }
  if (!isReason(code)) return { looked, missing: entryOf(code).summary, remedy: entryOf(code).remedy };

  const matching = rules.filter((rule) => matches(rule, record)).sort(bySpecificity);
  const holding = matching.filter((rule) => misfits(rule, record).length === 0);
  if (CONFIGURED.has(code) && holding[0]) return { looked, ...changed(holding[0], record) };
  const nearest = holding[0] ?? matching[0];
  const missing = missingFact(question, code, nearest?.name);
  const line = record.reasons.every((reason) => SOLVED_BY_A_LINE.has(reason))
    ? suggestion({ ...question, ...(nearest && { nearest }) })
    : undefined;
  if (!line) return { looked, missing, remedy: remedy(question, code) };
  if (carriesPayload(record) && !line.line.includes('privacy: ')) {
    return { looked, missing, suggestion: line, remedy: entryOf('payload-not-covered').remedy };
  }
  return { looked, missing, suggestion: line };
}

function changed(rule: Rule, { revision }: DecisionRecord): Pick<Explanation, 'missing' | 'remedy'> {
  return {
    missing: `Nothing of sallyport.yaml as it is now: ${rule.name} allows it. It has changed since revision ${revision}, or Rego of your own denied it.`,
    remedy: 'Try it with `sallyport policy eval`.',
  };
}

/** Reasons that follow from routes and reaches alone. */
const CONFIGURED: ReadonlySet<string> = new Set<Reason>([
  'no-route',
  'protocol-not-allowed',
  'direction-not-allowed',
  'outside-schedule',
  'reach-not-allowed',
]);

const SOLVED_BY_A_LINE: ReadonlySet<string> = new Set<Reason>([
  ...(CONFIGURED as ReadonlySet<Reason>),
  'unknown-segment',
  'rate-limited',
  'payload-not-covered',
  'stream-not-allowed',
]);

function rulesFor({ settings, record, targetSegment }: Question): Rule[] {
  const segment = record.device && settings.segments.get(record.device.segment);
  if (!segment) return [];
  if (record.action.targetDevice === undefined) {
    return segment.routes.map((route) => ({ name: route.name, verb: route.verb, path: route.path, route }));
  }
  return reachRules(segment, targetSegment);
}

function reachRules({ reach }: SegmentSettings, targetSegment: string | undefined): Rule[] {
  const actions = targetSegment === undefined ? [] : (reach.get(targetSegment) ?? []);
  return actions.map((reach) => ({ name: `reach/${targetSegment}`, verb: reach.verb, path: reach.path, reach }));
}

function shown({ verb, path }: Action, { device }: DecisionRecord): string {
  return `${verb} ${device ? path.replaceAll('{device.id}', device.id) : path}`;
}

function matches(rule: Rule, record: DecisionRecord): boolean {
  return coversVerb(rule.verb, record.action.verb) && pathMatches(rule.path, record);
}

/**
 * As the gateway matched it. A hidden segment is not a word of any template, but it may have been the device's own id:
 * that it was not is known only if nothing matched.
 */
function pathMatches(template: string, { action, device, reasons }: DecisionRecord): boolean {
  const id = device?.id ?? '';
  const unmatched = reasons.includes('no-route') || reasons.includes('reach-not-allowed');
  if (unmatched) return matchesTemplate(template, action.resource, id);
  const parts = templateParts(template);
  const path = action.resource.split('/').map((segment, position) => {
    return isRedacted(segment) && parts[position]?.kind === 'own' ? id : segment;
  });
  return matchesTemplate(template, path.join('/'), id);
}

function why(rule: Rule, record: DecisionRecord): string {
  const path = pathMatches(rule.path, record);
  if (!coversVerb(rule.verb, record.action.verb)) return path ? 'method differs' : 'method and path differ';
  if (!path) return namesAnother(rule.path, record.action.resource) ? 'path names another device' : 'path differs';
  const conditions = misfits(rule, record);
  return conditions.length > 0 ? conditions.join(', ') : 'verb and path match';
}

/** True if the path would match if the device were called otherwise. */
function namesAnother(template: string, resource: string): boolean {
  const parts = templateParts(template);
  const position = parts.findIndex(({ kind }) => kind === 'own');
  const other = resource.split('/')[position];
  return position > 0 && other !== undefined && other !== '' && matchesTemplate(template, resource, other);
}

/** The conditions of a route that this message does not meet, in words. */
function misfits({ route }: Rule, record: DecisionRecord): string[] {
  if (!route) return [];
  return unmetConditions(route, record).map((condition) => {
    if (condition === 'over') return `not over ${record.action.protocol}`;
    if (condition === 'direction') return `only ${route.direction}`;
    const { days, from, to } = route.when!;
    return `outside schedule ${days.join(', ')} ${from} to ${to} UTC`;
  });
}

function byRoute({ obligations }: DecisionRecord): string {
  return obligations ? ` by ${obligations.route}` : '';
}

function missingFact({ record, targetSegment }: Question, reason: Reason, nearest: string | undefined): string {
  const { device, action } = record;
  const what = `${action.verb} ${action.resource}`;
  const id = device?.id ?? 'the peer';
  const rule = nearest === undefined ? 'A route' : `Route ${nearest}`;
  if (concernsTarget(record)) {
    return `${action.targetDevice} is not registered, not active or has no address.`;
  }
  switch (reason) {
    case 'no-route':
      return `No route of segment ${device?.segment} allows ${what}.${hiddenWords(record)}`;
    case 'reach-not-allowed':
      if (targetSegment === undefined) return entryOf(reason).summary;
      return `Segment ${device?.segment} does not reach ${what} on devices of segment ${targetSegment}.${hiddenWords(record)}`;
    case 'protocol-not-allowed':
      return `${rule} matches, but not over ${action.protocol}.`;
    case 'direction-not-allowed':
      return `${rule} matches, but not ${action.direction === 'toCloud' ? 'up' : 'down'}.`;
    case 'outside-schedule':
      return `${rule} matches, but not at ${new Date(record.time).toISOString().slice(11, 16)} UTC on that day.`;
    case 'unknown-segment':
      return `Segment ${device?.segment} of ${id} is not in the configuration.`;
    case 'device-disabled':
    case 'device-quarantined':
    case 'device-retired':
      return `${id} is ${reason.slice('device-'.length)}.`;
    case 'rate-limited':
      return `${id} used up the rate of ${nearest ?? 'its route'}.`;
    case 'payload-not-covered':
      return `The message carries a payload or a query, and ${nearest ?? 'its route'} names no privacy rule.`;
    case 'stream-not-allowed':
      return `The body has ${action.bytes < 0 ? 'no known length' : `${action.bytes} bytes`}: too many to inspect, and ${nearest ?? 'its route'} does not stream.`;
    case 'policy-denied':
      return 'Rego of your own denied it without a reason of the closed list.';
    default:
      return entryOf(reason).summary;
  }
}

/** A target that nobody knows is told to the device as one out of reach; the operator is told the rest. */
function concernsTarget({ reasons, action }: DecisionRecord): boolean {
  if (action.targetDevice === undefined) return false;
  return reasons.includes('target-unknown') && (reasons[0] === 'reach-not-allowed' || reasons[0] === 'target-unknown');
}

function hiddenWords({ action }: DecisionRecord): string {
  if (!action.resource.split('/').some(isRedacted)) return '';
  return ' The ledger hides what is no plain word; * stands for it, and takes it unless it has encoded dots or slashes.';
}

function remedy({ record }: Question, reason: Reason): string {
  const id = record.device?.id ?? '<id>';
  if (concernsTarget(record)) {
    const target = record.action.targetDevice;
    return `\`sallyport device show ${target}\`; register it with \`sallyport device add ${target} --address URL\`.`;
  }
  if (record.action.protocol === 'egress')
    return 'Routes and reaches are for messages; the egress proxy has a list of its own.';
  if (reason === 'no-route' || reason === 'reach-not-allowed') {
    return 'No line can allow this path: wildcards never match encoded dots, slashes or empty segments. Let the device send a plain path.';
  }
  return entryOf(reason).remedy.replaceAll('<id>', id);
}
