/**
 * Commands that we advise, as the reader can paste them: started as this one was (npx or not), and for the same folder. All
 * texts pass through here on their way out, so that a remedy need not know who reads it.
 */
import { relative } from 'node:path';

/** A command in a text that is not written out already. */
const ADVISED =
  /(?<![\w./-])(?<!npx )sallyport (?=(run|device|ca|keys|explain|policy|config|audit|status|doctor|init|demo)\b)/g;
/** Commands that have no gateway folder yet. */
const WITHOUT_FOLDER: ReadonlySet<string> = new Set(['init', 'demo']);

/**
 * The text, with `sallyport status` as `npx sallyport -C gw status`.
 * @param directory the gateway's folder that this command was for
 */
export function withHints(text: string, directory: string): string {
  if (!text.includes('sallyport ')) return text;
  const program = startedByNpm() ? 'npx sallyport ' : 'sallyport ';
  const folder = folderOption(directory);
  return text.replace(ADVISED, (_, name: string) => (WITHOUT_FOLDER.has(name) ? program : program + folder));
}

function startedByNpm(): boolean {
  return (process.env.npm_command ?? '') !== '';
}

/** `-C gw `, or nothing within the folder itself. */
function folderOption(directory: string): string {
  const short = relative(process.cwd(), directory);
  if (short === '') return '';
  const path = short.startsWith('..') ? directory : short;
  return `-C ${/^[\w./@%+=:-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`} `;
}
