/**
 * JSON.parse, for comparisons. V8 as Node 26 has it reads an escaped key as another one when an object of the same shape
 * came before (nodejs/node#63785): after `{"\\":0}`, `{"\u00e9":0}` has the key `\`. So keys travel as hexadecimal here.
 * The gateway itself never gives JSON.parse an object that a device or a cloud wrote.
 */
export function plainJson(text: string): unknown {
  const hexadecimal = (key: string) => `"${Buffer.from(key, 'utf16le').toString('hex')}"`;
  return renamed(
    JSON.parse(
      text.replace(/("(?:[^"\\]|\\.)*")(?=[ \t\r\n]*(:?))/gs, (whole, string: string, colon: string) =>
        colon ? hexadecimal(JSON.parse(string) as string) : whole,
      ),
    ),
  );
}

function renamed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(renamed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [Buffer.from(key, 'hex').toString('utf16le'), renamed(member)]),
  );
}
