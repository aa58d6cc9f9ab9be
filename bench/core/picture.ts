/** A table's main figure as bars, SVG that is readable on a light and on a dark page. */
import type { Outcome, Row } from './outcome.ts';

const WIDTH = 720;
const LABEL_WIDTH = 230;
const VALUE_WIDTH = 90;
const ROW_HEIGHT = 26;
const BAR_HEIGHT = 16;
const TOP = 30;
const OURS = /^(?:sallyport|ledger,|\d+ devices)/;

export function pictureOf({ name, table, picture }: Outcome & { readonly name: string }): string {
  const figure = picture?.figure ?? Object.keys(table[0]?.figures ?? {})[0] ?? '';
  const better = picture?.better ?? 'less';
  const most = Math.max(...table.map((row) => figureOf(row, figure)), Number.MIN_VALUE);
  const height = TOP + table.length * ROW_HEIGHT + 6;
  const room = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
  const bars = table.map((row, index) => {
    const value = figureOf(row, figure);
    const top = TOP + index * ROW_HEIGHT;
    const middle = top + BAR_HEIGHT / 2 + 4.5;
    const width = Math.max(1, (value / most) * room).toFixed(1);
    return `  <text x="${LABEL_WIDTH - 8}" y="${middle}" text-anchor="end">${escaped(row.name)}</text>
  <rect class="${OURS.test(row.name) ? 'ours' : 'theirs'}" x="${LABEL_WIDTH}" y="${top}" width="${width}" height="${BAR_HEIGHT}" rx="2"/>
  <text x="${(LABEL_WIDTH + Number(width) + 6).toFixed(1)}" y="${middle}">${value}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escaped(`${name}: ${figure}`)}">
  <style>
    text { font: 13px system-ui, sans-serif; fill: #3d444d; }
    .title { font-weight: 600; }
    .ours { fill: #1f6feb; }
    .theirs { fill: #8c959f; }
    @media (prefers-color-scheme: dark) { text { fill: #d1d7e0; } .ours { fill: #58a6ff; } .theirs { fill: #768390; } }
  </style>
  <text class="title" x="8" y="18">${escaped(`${name}: ${figure}, ${better} is better`)}</text>
${bars.join('\n')}
</svg>
`;
}

function figureOf(row: Row, figure: string): number {
  return Number(row.figures[figure] ?? 0);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
