/** Settings as the text of a sallyport.yaml, and a suggestion put where it belongs in one. For tests. */
import { parse, parseDocument } from 'yaml';
import type { Settings } from '../../../src/config/settings.ts';
import { reachLine, routeLine, scalar } from '../../../src/policy/configuration-line.ts';
import type { Suggestion } from '../../../src/policy/suggestion.ts';

/** Upstreams, segments and the names of privacy rules; each rule keeps one field. */
export function configurationText({ gateway, upstreams, segments, privacy }: Settings): string {
  const lines = [`gateway: ${gateway}`, 'listen: { https: 127.0.0.1:8443 }', 'upstreams:'];
  for (const { name, url } of upstreams.values()) lines.push(`  ${scalar(name)}: { url: ${url} }`);
  lines.push('segments:');
  for (const { name, routes, reach } of segments.values()) {
    lines.push(`  ${scalar(name)}:`, `    routes:${routes.length === 0 ? ' {}' : ''}`);
    for (const route of routes) lines.push(`      ${routeLine(route)}`);
    lines.push(`    reach:${reach.size === 0 ? ' {}' : ''}`);
    for (const [target, actions] of reach) lines.push(`      ${reachLine(target, actions)}`);
  }
  lines.push('privacy:', ...[...privacy.keys()].map((name) => `  ${scalar(name)}: { keep: [temperature] }`));
  return `${lines.join('\n')}\n`;
}

/** The text with the suggested line under its key; a line whose key is there already replaces that one. */
export function withSuggestion(text: string, { under, line }: Suggestion): string {
  const added = Object.entries(parse(line) as Record<string, unknown>);
  if (added.length !== 1) throw new Error(`not one line: ${line}`);
  const document = parseDocument(text);
  document.setIn([...under.split('.'), added[0]![0]], document.createNode(added[0]![1]));
  return document.toString();
}
