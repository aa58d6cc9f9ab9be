/**
 * `/.well-known/core` from a list that the caller gives (RFC 6690, RFC 7252 section 7): the list is already what this peer may know of.
 * Written and filtered here; reading the links of others is left out.
 */
import type { CoapRequest, CoapResponse } from './api.ts';
import { CODE } from './codes.ts';

export interface Link {
  /** A path as `CoapRequest.path` has it. */
  readonly path: string;
  readonly resourceTypes?: readonly string[] | undefined;
  readonly interfaces?: readonly string[] | undefined;
  readonly contentFormats?: readonly number[] | undefined;
  readonly maxSizeBytes?: number | undefined;
  readonly title?: string | undefined;
  /** RFC 7641 section 6. */
  readonly observable?: boolean | undefined;
}

/** application/link-format. */
export const LINK_FORMAT = 40;
export const WELL_KNOWN_CORE = '/.well-known/core';

const encoder = new TextEncoder();

/** Answers GET on `/.well-known/core`, with the one filter parameter of RFC 6690 section 4.1; other methods get 4.05. */
export function answerWellKnownCore(
  request: Pick<CoapRequest<unknown>, 'method' | 'queries' | 'accept'>,
  links: readonly Link[],
): CoapResponse {
  if (request.method !== 'GET') return { code: CODE.methodNotAllowed };
  if (request.accept !== undefined && request.accept !== LINK_FORMAT) return { code: CODE.notAcceptable };
  let chosen = links;
  for (const query of request.queries) chosen = filterLinks(chosen, query);
  return { code: CODE.content, contentFormat: LINK_FORMAT, payload: encoder.encode(formatLinks(chosen)) };
}

/** `</a>;rt="x y";ct="0 50";obs,</b>`. */
export function formatLinks(links: readonly Link[]): string {
  return links.map(formatLink).join(',');
}

function formatLink(link: Link): string {
  let text = `<${uriReference(link.path)}>`;
  if (link.resourceTypes !== undefined && link.resourceTypes.length > 0)
    text += `;rt=${quoted(link.resourceTypes.join(' '))}`;
  if (link.interfaces !== undefined && link.interfaces.length > 0) text += `;if=${quoted(link.interfaces.join(' '))}`;
  if (link.contentFormats?.length === 1) text += `;ct=${link.contentFormats[0]}`;
  else if (link.contentFormats !== undefined && link.contentFormats.length > 1)
    text += `;ct=${quoted(link.contentFormats.join(' '))}`;
  if (link.maxSizeBytes !== undefined) text += `;sz=${link.maxSizeBytes}`;
  if (link.title !== undefined) text += `;title=${quoted(link.title)}`;
  if (link.observable === true) text += ';obs';
  return text;
}

/** A path of ours has no `>` unescaped; should one come all the same, it must not end the reference. */
function uriReference(path: string): string {
  return path.replace(/[<>"\s\\]/g, (character) => encodeURIComponent(character));
}

/** RFC 6690 section 2: quoted-string; what is no printable text is left out. */
function quoted(text: string): string {
  return `"${text.replace(/[\p{Cc}]/gu, '').replace(/["\\]/g, (character) => `\\${character}`)}"`;
}

/** `rt=temp*` keeps links with such a value; `href=/a*` looks at the path. A query that is no filter keeps everything. */
export function filterLinks(links: readonly Link[], query: string): readonly Link[] {
  const equals = query.indexOf('=');
  if (equals <= 0) return links;
  const name = query.slice(0, equals);
  const wanted = query.slice(equals + 1);
  const matches = (value: string) => (wanted.endsWith('*') ? value.startsWith(wanted.slice(0, -1)) : value === wanted);
  return links.filter((link) => valuesOf(link, name).some(matches));
}

function valuesOf(link: Link, name: string): readonly string[] {
  switch (name) {
    case 'href':
      return [link.path];
    case 'rt':
      return link.resourceTypes ?? [];
    case 'if':
      return link.interfaces ?? [];
    case 'ct':
      return (link.contentFormats ?? []).map(String);
    case 'sz':
      return link.maxSizeBytes === undefined ? [] : [String(link.maxSizeBytes)];
    case 'title':
      return link.title === undefined ? [] : [link.title];
    case 'obs':
      return link.observable === true ? [''] : [];
    default:
      return [];
  }
}
