/** An independent look for keys that stand twice in one object of a JSON text. Reads what JSON.parse reads. */

export function hasDuplicateKey(text: string): boolean {
  const open: (Set<string> | undefined)[] = [];
  // A text is a key if a colon follows.
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}[\]]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (token.endsWith(':')) {
      const key = JSON.parse(token.slice(0, token.lastIndexOf('"') + 1)) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) return true;
      keys?.add(key);
    }
  }
  return false;
}
