/** A value of the wrong kind: the remedy names the kind that is expected, with an example of this key. */
import { describe, expect, it } from 'vitest';
import { ConfigurationError, parseConfiguration } from '../../../src/config/load.ts';

function remedies(source: string): Record<string, string> {
  try {
    parseConfiguration(source, '/nowhere');
  } catch (thrown) {
    if (!(thrown instanceof ConfigurationError)) throw thrown;
    return Object.fromEntries(
      thrown.problems.map(({ path, message, remedy }) => [path.join('.'), `${message}: ${remedy}`]),
    );
  }
  return {};
}

describe('a value of the wrong kind', () => {
  it.each([
    ['gateway: 7', 'gateway', /^is not text: .*gateway: "10"/],
    ['listen: { https: 8443 }', 'listen.https', /^is not text: .*`host:port`/],
    ['upstreams: { cloud: { url: 10 } }', 'upstreams.cloud.url', /^is not text: .*`https:\/\/host/],
    ['segments: { s: { routes: { t: { allow: 5 } } } }', 'segments.s.routes.t.allow', /^is not text: .*`POST \/v1/],
    ['segments: { s: { routes: { t: { rate: 100 } } } }', 'segments.s.routes.t.rate', /^is not text: .*`10\/s`/],
    ['segments: { s: { routes: { t: { stream: maybe } } } }', 'segments.s.routes.t.stream', /stream: true/],
    ['segments: { s: { routes: { t: { over: https } } } }', 'segments.s.routes.t.over', /^is not a list: .*over: \[/],
    ['segments: { s: { reach: [x] } }', 'segments.s.reach', /^is not a map: .*`\{ allow, privacy \}`/],
    ['segments: [s]', 'segments', /^is not a map: .*segments: \{/],
    ['privacy: { r: { coarsen: { power: [1] } } }', 'privacy.r.coarsen.power', /`\{ power: 10, time: 60 s/],
    ['limits: { drainTimeoutMs: [1] }', 'limits.drainTimeoutMs', /^is not text: .*`10 s`/],
  ])('%s', (source, key, expected) => {
    expect(remedies(source)[key]).toMatch(expected);
  });
});
