/** What `sallyport explain` suggests is true: with that line in sallyport.yaml the same message is permitted. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConfiguration } from '../../src/config/load.ts';
import { templateProblem } from '../../src/config/schema.ts';
import type { Settings } from '../../src/config/settings.ts';
import { explainDenial } from '../../src/policy/explain.ts';
import type { PolicyInput } from '../../src/policy/input.ts';
import { isAmbiguous, matchesTemplate, narrowestTemplate } from '../../src/policy/template.ts';
import { configurationText, withSuggestion } from '../unit/policy/configuration-text.ts';
import { denialOf } from '../unit/policy/decision-record.ts';
import { shippedPolicy, verdictOf } from '../unit/policy/shipped-policy.ts';
import { message, settings } from './policy-settings.ts';

/** Each suggestion tried means a configuration parsed and a policy activated: so many of each reason will do. */
const ENOUGH = 20;
const DIRECTORY = '/nonexistent';
const DIGEST = '~AAAAAAAA';

const asked = (options: Parameters<typeof message>[1]) => (configuration: Settings) =>
  fc.tuple(fc.constant(configuration), fc.array(message(configuration, options), { minLength: 10, maxLength: 10 }));

/** Permitted once the suggestion is in the file? */
function permittedWith(text: string, suggestion: { under: string; line: string }, input: PolicyInput): boolean {
  const after = parseConfiguration(withSuggestion(text, suggestion), DIRECTORY).settings;
  return verdictOf(shippedPolicy(after), input).allow;
}

describe('a suggestion', () => {
  test('permits the message that was denied, and is there whenever a line can help', () => {
    const seen: Record<string, number> = {};
    fc.assert(
      fc.property(settings.chain(asked({ states: ['active'] })), ([configuration, messages]) => {
        const text = configurationText(configuration);
        const policy = shippedPolicy(configuration);
        for (const input of messages) {
          const { allow, reasons } = verdictOf(policy, input);
          if (allow) continue;
          const record = denialOf(input, reasons);
          const { segment: targetSegment } = input.target;
          const known = targetSegment !== undefined && configuration.segments.has(targetSegment);
          const { suggestion } = explainDenial({
            settings: configuration,
            record,
            ...(targetSegment !== undefined && { targetSegment }),
          });
          const helpless =
            reasons.includes('target-unknown') ||
            (input.target.device !== undefined && !known) ||
            input.action.protocol === 'egress' ||
            (/no-route|reach|unknown-segment/.test(reasons[0]!) && !spellable(input));
          if (helpless) {
            expect(suggestion, JSON.stringify(input)).toBeUndefined();
          } else {
            expect(suggestion, JSON.stringify(input)).toBeDefined();
            if ((seen[reasons[0]!] ?? 0) >= ENOUGH) continue;
            expect(permittedWith(text, suggestion!, input), `${suggestion!.line}\n${JSON.stringify(input)}`).toBe(true);
            seen[reasons[0]!] = (seen[reasons[0]!] ?? 0) + 1;
          }
        }
      }),
      { numRuns: 100 },
    );
    for (const reason of [
      'no-route',
      'protocol-not-allowed',
      'direction-not-allowed',
      'outside-schedule',
      'reach-not-allowed',
      'unknown-segment',
    ]) {
      expect(seen[reason] ?? 0, reason).toBeGreaterThan(0);
    }
  });

  test('permits the message though the ledger hides words of its path', () => {
    let tried = 0;
    fc.assert(
      fc.property(
        settings.chain(asked({ states: ['active'], segments: ['sensors'] })),
        fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
        ([configuration, messages], hide) => {
          const words = new Set(
            [...configuration.segments.values()].flatMap(({ routes }) => routes.flatMap(({ path }) => path.split('/'))),
          );
          const text = configurationText(configuration);
          const policy = shippedPolicy(configuration);
          for (const input of messages) {
            const { reasons } = verdictOf(policy, input);
            if (reasons[0] !== 'no-route') continue;
            const hidden = input.action.resource
              .split('/')
              .map((word, position) => (word !== '' && !words.has(word) && hide[position % 8] ? DIGEST : word))
              .join('/');
            const { suggestion } = explainDenial({ settings: configuration, record: denialOf(input, reasons, hidden) });
            if (!suggestion || isAmbiguous(input.action.resource)) continue;
            expect(permittedWith(text, suggestion, input), `${suggestion.line}\n${hidden}`).toBe(true);
            if (hidden !== input.action.resource) tried += 1;
          }
        },
      ),
      { numRuns: 60 },
    );
    expect(tried).toBeGreaterThan(10);
  });

  test('is never there for a device that may do nothing', () => {
    fc.assert(
      fc.property(
        settings.chain(asked({ states: ['disabled', 'quarantined', 'retired'] })),
        ([configuration, messages]) => {
          const policy = shippedPolicy(configuration);
          for (const input of messages) {
            const record = denialOf(input, verdictOf(policy, input).reasons);
            const { suggestion, remedy, missing } = explainDenial({ settings: configuration, record });
            expect(suggestion).toBeUndefined();
            expect(missing).toContain(input.device.id);
            expect(remedy).toBeTruthy();
          }
        },
      ),
      { numRuns: 30 },
    );
  });
});

function spellable({ action, device }: PolicyInput): boolean {
  return narrowestTemplate(action.resource, device.id) !== undefined;
}

describe('configuration lines', () => {
  test('say what the settings say', () => {
    fc.assert(
      fc.property(settings, (configuration) => {
        const { segments } = parseConfiguration(configurationText(configuration), DIRECTORY).settings;
        const sorted = [...configuration.segments].map(([name, segment]) => [name, normal(segment)]);
        expect([...segments].map(([name, segment]) => [name, normal(segment)])).toEqual(sorted);
      }),
      { numRuns: 100 },
    );
  });

  test('the narrowest template is one, and matches the path it was made for', () => {
    const segment = fc.oneof(
      fc.string({ maxLength: 6 }),
      fc.string({ unit: fc.constantFrom('a', '~', '.', '%', '2', 'e', '*', '{', ';', '+'), maxLength: 5 }),
      fc.constantFrom('thermo-1', DIGEST, '{device.id}', '..', '%2e', ''),
    );
    let found = 0;
    fc.assert(
      fc.property(
        fc.array(
          segment.filter((text) => !text.includes('/')),
          { maxLength: 5 },
        ),
        (segments) => {
          const path = `/${segments.join('/')}`;
          const template = narrowestTemplate(path, 'thermo-1');
          if (template === undefined) return;
          found += 1;
          expect(templateProblem(template), template).toBeUndefined();
          expect(matchesTemplate(template, path, 'thermo-1')).toBe(true);
        },
      ),
    );
    expect(found).toBeGreaterThan(10);
  });
});

function normal(segment: { routes: readonly { when?: { days: readonly string[] } }[] }) {
  return {
    ...segment,
    routes: segment.routes.map((route) => ({
      ...route,
      ...(route.when && { when: { ...route.when, days: [...route.when.days].sort() } }),
    })),
  };
}
