/** What is going on, on stderr: one line that is rewritten on a terminal, else a line each. */
let topic = '';

export function about(name: string): void {
  topic = name;
}

export function progress(text: string): void {
  const line = `${topic}: ${text}`;
  process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${line}` : `${line}\n`);
}

export function progressDone(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
}
