/** How device A tries to be device B: the request as it goes over the wire. `a` and `b` are ids. */

export interface Attempt {
  readonly name: string;
  readonly target: string;
  readonly fields: readonly string[];
}

/** Fields by which other gateways are told who a client is. */
export function identityFields(b: string): readonly string[] {
  return [
    `X-Device-Id: ${b}`,
    `X-Client-Id: ${b}`,
    `X-SSL-Client-CN: ${b}`,
    `X-SSL-Client-S-DN: CN=${b}`,
    `X-SSL-Client-Verify: SUCCESS`,
    `X-Forwarded-Client-Cert: URI=urn:sallyport:device:${b}`,
    `X-Forwarded-For: ${b}`,
    `X-Forwarded-User: ${b}`,
    `X-Real-IP: 10.0.0.1`,
    `Forwarded: for=${b};host=${b}`,
    `From: ${b}@example.com`,
    `Authorization: Basic ${Buffer.from(`${b}:`).toString('base64')}`,
    `Cookie: device=${b}`,
    `Sallyport-Device: ${b}`,
    `Sallyport-Decision: 0198c1d2-0000-7000-8000-000000000001`,
    `Client-Cert: :${Buffer.from(b).toString('base64')}:`,
  ];
}

/** Requests that get as far as policy: each must be denied, and be on record as A's. `path` makes the path of a device. */
export function crossAttempts(a: string, b: string, path: (id: string) => string): readonly Attempt[] {
  const plain = path(b);
  const own = path(a);
  return [
    { name: "B's path", target: plain, fields: [] },
    { name: "B's path and Host", target: plain, fields: [`Host: ${b}`] },
    { name: "B's path and Host with port", target: plain, fields: [`Host: ${b}:8443`] },
    { name: "B's path and every identity header", target: plain, fields: identityFields(b) },
    { name: "B's path, own id as header", target: plain, fields: identityFields(a) },
    { name: 'capitals', target: path(b.toUpperCase()), fields: [] },
    { name: 'one capital', target: path(`${b.charAt(0).toUpperCase()}${b.slice(1)}`), fields: [] },
    { name: 'trailing dot', target: path(`${b}.`), fields: [] },
    { name: 'trailing slash', target: `${plain}/`, fields: [] },
    { name: 'parameter', target: path(`${b};id=${a}`), fields: [] },
    { name: 'parameter the other way', target: path(`${a};id=${b}`), fields: [] },
    { name: 'both with comma', target: path(`${a},${b}`), fields: [] },
    { name: 'user information', target: path(`${a}@${b}`), fields: [] },
    { name: 'port', target: path(`${b}:443`), fields: [] },
    { name: 'encoded space', target: path(`${b}%20`), fields: [] },
    { name: 'combining character', target: path(`${b}%CC%81`), fields: [] },
    { name: 'zero width space', target: path(`${b}%E2%80%8B`), fields: [] },
    { name: 'full width letter', target: path(`%EF%BD%93${b.slice(1)}`), fields: [] },
    { name: 'Cyrillic letter', target: path(b.replace('e', '%D0%B5')), fields: [] },
    { name: 'encoded semicolon', target: path(`${b}%3B`), fields: [] },
    { name: 'own path below', target: `${plain}${own}`, fields: [] },
    { name: "B's path below own", target: `${own}${plain}`, fields: [] },
    { name: 'template itself', target: path(`{device.id}`.replace('{', '%7B').replace('}', '%7D')), fields: [] },
    { name: 'asterisk', target: path('*'), fields: identityFields(b) },
    { name: 'query', target: `${plain}?device=${a}&id=${a}`, fields: [] },
    { name: 'device to device', target: `/~${b}${own}`, fields: [] },
    { name: "device to device, B's path", target: `/~${b}${plain}`, fields: [] },
  ];
}

/** Requests with two readings: refused before there is a message to decide about. */
export function twofoldAttempts(a: string, b: string, path: (id: string) => string): readonly Attempt[] {
  const first = b.charCodeAt(0).toString(16);
  return [
    { name: 'encoded letter', target: path(`%${first}${b.slice(1)}`), fields: [] },
    { name: 'encoded hyphen', target: path(b.replace('-', '%2D')), fields: [] },
    { name: 'doubly encoded', target: path(`%25${first}${b.slice(1)}`), fields: [] },
    { name: 'dot segment', target: path(`${a}/../${b}`), fields: [] },
    { name: 'encoded dot segment', target: path(`${a}/%2e%2e/${b}`), fields: [] },
    { name: 'dot segment with parameter', target: path(`${a}/..;/${b}`), fields: [] },
    { name: 'encoded slash', target: path(`${a}%2f..%2f${b}`), fields: [] },
    { name: 'backslash', target: path(`${a}\\..\\${b}`), fields: [] },
    { name: 'empty segment', target: path(`/${b}`), fields: [] },
    { name: 'absolute form', target: `http://${b}${path(b)}`, fields: [] },
    { name: 'authority', target: `//${b}${path(a)}`, fields: [] },
    { name: 'two Hosts', target: path(b), fields: [`Host: ${a}`, `Host: ${b}`] },
    { name: 'user information in Host', target: path(b), fields: [`Host: ${a}@${b}`] },
    { name: 'underscore header', target: path(b), fields: [`X_Device_Id: ${b}`] },
    { name: 'dotted header', target: path(b), fields: [`X.Device.Id: ${b}`] },
    { name: 'NUL', target: path(`${b}%00`), fields: [] },
    { name: 'fragment', target: `${path(b)}#${a}`, fields: [] },
  ];
}
