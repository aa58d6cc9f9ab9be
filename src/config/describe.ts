/** The keys of sallyport.yaml with default and meaning, read off the schema: for docs/config.md and `config explain`. */
import { defaultOf, LIMIT_DEFINITIONS } from './definitions.ts';
import { configuration } from './schema.ts';

export interface KeyDescription {
  /** e.g. `segments.<name>.routes.<name>.allow` */
  readonly key: string;
  /** `required`, empty for optional ones, or the default. */
  readonly fallback: string;
  readonly text: string;
}

/** Every key, in the order of the schema. */
export function describeKeys(): KeyDescription[] {
  return rowsOf(configuration as unknown as SchemaNode, '').map((row) => {
    const limit = LIMIT_DEFINITIONS.find(({ key }) => row.key === `limits.${key}`);
    return limit ? { ...row, fallback: defaultOf(limit), text: `${limit.text} ${limit.reason}` } : row;
  });
}

interface SchemaNode {
  readonly shape?: Readonly<Record<string, SchemaNode>>;
  readonly description?: string | undefined;
  readonly def: {
    readonly type: string;
    readonly innerType?: SchemaNode;
    readonly valueType?: SchemaNode;
    readonly in?: SchemaNode;
    readonly defaultValue?: unknown;
  };
}

function rowsOf(node: SchemaNode, path: string): KeyDescription[] {
  const { shape, placeholder, fallback, description } = unfold(node);
  const here: KeyDescription[] = path !== '' && description ? [{ key: path, fallback, text: description }] : [];
  const below = placeholder ? rowsOf(placeholder.node, `${path}${placeholder.name}`) : [];
  if (!shape) return [...here, ...below];
  return [
    ...here,
    ...Object.entries(shape).flatMap(([key, child]) => rowsOf(child, path === '' ? key : `${path}.${key}`)),
  ];
}

function unfold(node: SchemaNode) {
  let at: SchemaNode | undefined = node;
  let fallback = 'required';
  let description: string | undefined;
  let placeholder: { name: string; node: SchemaNode } | undefined;
  let shape: SchemaNode['shape'];
  while (at) {
    description ??= at.description;
    const { def }: SchemaNode = at;
    if (def.type === 'optional') fallback = '';
    if (def.type === 'default' || def.type === 'prefault') fallback = shown(def.defaultValue);
    if (def.type === 'record' && def.valueType) placeholder = { name: '.<name>', node: def.valueType };
    if (at.shape) shape = at.shape;
    at = shape || placeholder ? undefined : (def.innerType ?? (def.in?.def.type === 'union' ? undefined : def.in));
  }
  return { shape, placeholder, fallback, description };
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(', ');
  if (typeof value === 'object' && value !== null) return '';
  return `\`${String(value)}\``;
}
