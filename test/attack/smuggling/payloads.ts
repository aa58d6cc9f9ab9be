/** What has smuggled before, by family: good requests to begin with, and what is put into them. Latin-1 text. */

const smuggled = (mark: string): string => `GET /smuggled/${mark} HTTP/1.1\r\nHost: gw\r\nX-Mark: smuggled\r\n\r\n`;

export const BASES: readonly ((mark: string) => string)[] = [
  (mark) => `GET /r/${mark}?q=1 HTTP/1.1\r\nHost: gw\r\nAccept: */*\r\n\r\n`,
  (mark) => `POST /r/${mark} HTTP/1.1\r\nHost: gw\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nhello world`,
  (mark) =>
    `POST /r/${mark} HTTP/1.1\r\nHost: gw\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`,
  (mark) => `PUT /r/${mark}/a%20b HTTP/1.1\r\nHost: gw:8443\r\nContent-Length: 0\r\nUser-Agent: x\r\n\r\n`,
  (mark) => `DELETE /r/${mark} HTTP/1.1\r\nhost: gw\r\n\r\n`,
  (mark) => `POST /r/${mark} HTTP/1.0\r\nHost: gw\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\nbody`,
  // The content is a request: whoever takes the length for nothing sees two.
  (mark) => {
    const inner = smuggled(mark);
    return `POST /r/${mark} HTTP/1.1\r\nHost: gw\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`;
  },
  (mark) => {
    const inner = smuggled(mark);
    const size = inner.length.toString(16);
    return `POST /r/${mark} HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\n${inner}\r\n0\r\n\r\n`;
  },
  (mark) =>
    `PATCH /r/${mark} HTTP/1.1\r\nHost: gw\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}GET /r/${mark}-b HTTP/1.1\r\nHost: gw\r\n\r\n`,
  // Three in one write; a mutation often hits the one in the middle.
  (mark) =>
    `GET /r/${mark}-1 HTTP/1.1\r\nHost: gw\r\n\r\nPOST /r/${mark}-2 HTTP/1.1\r\nHost: gw\r\nContent-Length: 3\r\n\r\nabc${smuggled(mark)}`,
  // Too large to be inspected: denied unread, with what might be taken for a request behind.
  (mark) => {
    const inner = smuggled(mark).repeat(4);
    return `POST /r/${mark} HTTP/1.1\r\nHost: gw\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`;
  },
  (mark) => `POST /r/${mark} HTTP/1.1\r\nHost: gw\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc`,
  (mark) => `OPTIONS /r/${mark} HTTP/1.1\r\nHost: gw\r\nOrigin: http://a\r\nCookie: a=b; c=d\r\n\r\n`,
  (mark) => `HEAD /r/${mark} HTTP/1.1\r\nHost: gw\r\n\r\n`,
];

export const FIELDS: readonly string[] = [
  ...['Content-Length: 0', 'Content-Length: 5', 'Content-Length: 11', 'Content-Length: +5', 'Content-Length: -1'],
  ...['Content-Length: 0x5', 'Content-Length: 05', 'Content-Length: 5, 5', 'Content-Length: 5 5', 'Content-Length:'],
  ...['Content-Length: 5\r\nContent-Length: 6', 'Content-Length: 18446744073709551615', 'Content-Length: 1e1'],
  ...[
    'Content-Length : 5',
    'Content-Length\t: 5',
    'Content\0-Length: 5',
    'Content-Length: 5\x0b',
    'Content-Length\r: 5',
  ],
  ...[
    'content-length: 3',
    'Content_Length: 5',
    'Content.Length: 5',
    'Content-Length: \xa05',
    'X: x\nContent-Length: 5',
  ],
  ...[
    'Transfer-Encoding: chunked',
    'transfer-encoding: CHUNKED',
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding : chunked',
  ],
  ...[
    'Transfer-Encoding:\tchunked',
    'Transfer-Encoding: \x0bchunked',
    'Transfer-Encoding: chunked\x0c',
    ' Transfer-Encoding: chunked',
  ],
  ...['X: x\r\n Transfer-Encoding: chunked', 'X: x\nTransfer-Encoding: chunked', 'X: x\rTransfer-Encoding: chunked'],
  ...[
    'Transfer-Encoding\n : chunked',
    'Transfer-Encoding:\r\n chunked',
    'Transfer-Encoding: "chunked"',
    "Transfer-Encoding: 'chunked'",
  ],
  ...[
    'Transfer-Encoding: chunked, identity',
    'Transfer-Encoding: identity, chunked',
    'Transfer-Encoding: gzip, chunked',
  ],
  ...[
    'Transfer-Encoding: identity',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: cow',
    'Transfer-Encoding: cow\r\nTransfer-Encoding: chunked',
  ],
  ...[
    'Transfer-Encoding: chunked;q=1',
    'Transfer-Encoding: ,chunked',
    'Transfer_Encoding: chunked',
    'Transfer-Encoding: chunked\0',
  ],
  ...[
    'Transfer-Encoding: \x80chunked',
    'Transfer-Encoding: chun ked',
    'Transfer\xadEncoding: chunked',
    'Tran\u017ffer-Encoding: chunked',
  ],
  ...[
    'Connection: close',
    'Connection: Content-Length',
    'Connection: Transfer-Encoding',
    'Connection: Host, close',
    'Connection: X-Mark',
  ],
  ...[
    'Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk',
    'Connection: upgrade\r\nUpgrade: websocket',
    'Upgrade: TLS/1.2',
  ],
  ...[
    'Host: evil',
    'Host : evil',
    'Host: gw@evil',
    'Host: gw, evil',
    'Host: gw evil',
    'Host:',
    ' Host: evil',
    'X-Forwarded-Host: evil',
  ],
  ...[
    'Expect: 100-continue',
    'Expect: 100-Continue, x',
    'Expect: cow',
    'Trailer: X',
    'TE: trailers',
    'Keep-Alive: 1',
    'Via: 1.1 evil',
  ],
  ...[
    'X_Mark: y',
    'X.Mark: y',
    'X-Mark: a\r\n b',
    'X-Mark: \x01',
    'X-Mark: \x7f',
    'X-Mark: caf\xe9',
    ': empty',
    'noColon',
    'X-Mark\0: y',
  ],
  ...[
    'Content-Encoding: gzip',
    'Content-Type: text/plain; charset=utf-16',
    'Content-Type: a/b\r\nContent-Type: c/d',
    'Proxy-Connection: close',
  ],
  ...[
    'X-Mark: good',
    'Accept-Language: de, en',
    'Sallyport-Decision: forged',
    'Authorization: a\r\nAuthorization: b',
    'Max-Forwards: 0',
  ],
  `X-Long: ${'a'.repeat(3_000)}`,
  'A: b\r\n'.repeat(70).trimEnd(),
];

export const TARGETS: readonly ((mark: string) => string)[] = [
  (mark) => `http://gw/r/${mark}`,
  (mark) => `http://evil/r/${mark}`,
  (mark) => `//evil/r/${mark}`,
  (mark) => `/r//${mark}`,
  (mark) => `/r/../r/${mark}`,
  (mark) => `/r/%2e%2e/${mark}`,
  (mark) => `/r%2f${mark}`,
  (mark) => `/r/${mark}#f`,
  (mark) => `/r/${mark}\\x`,
  (mark) => `/r/${mark}%`,
  (mark) => `/r/${mark}%00`,
  (mark) => `/r/${mark}%0d%0aX:%20y`,
  (mark) => `/r/${mark}?a=%0d%0aX:%20y`,
  (mark) => `/r/${mark} HTTP/1.1\r\nHost: gw\r\n\r\nGET /smuggled/${mark}`,
  (mark) => `/r/${mark} /smuggled`,
  (mark) => `/r/${mark};a=b?c=d?e/f`,
  (mark) => `/r/${mark}\xff`,
  (mark) => `r/${mark}`,
  () => '*',
  () => 'gw:443',
  (mark) => `/~cam/r/${mark}`,
];

export const VERSIONS = [
  'HTTP/1.0',
  'HTTP/0.9',
  'HTTP/2.0',
  'HTTP/1.2',
  'HTTP/1.10',
  'http/1.1',
  'HTTP/1.1 ',
  'HTTP/ 1.1',
  'RTSP/1.0',
  'ICE/1.0',
  'HTTP/01.1',
  '',
];
export const METHODS = [
  'get',
  'TRACE',
  'CONNECT',
  'PRI',
  'PROPFIND',
  'GET\t',
  ' GET',
  'G ET',
  '\r\nPOST',
  '\nGET',
  'POST',
  'GET',
  'HEAD',
  'OPTIONS',
  'QUERY',
  'SOURCE',
];
export const SIZES = [
  '+5',
  '0x5',
  '5 ',
  ' 5',
  '5;a=b',
  '5;a="b\r\nc"',
  '5\n',
  '05',
  '00000000000000000005',
  '5;\nx',
  '-5',
  '10000000000000005',
  'FFFFFFFFFFFFFFFF',
  '',
  '5\t',
  '5;a=\0',
  '4',
  '6',
  '0',
];
export const BYTES = [
  '\0',
  '\t',
  '\n',
  '\r',
  '\x0b',
  '\x0c',
  ' ',
  ':',
  ',',
  ';',
  '%',
  '\x7f',
  '\x80',
  '\xa0',
  '\xff',
  '0',
  'A',
  '\r\n',
  '\r\n\r\n',
  '_',
];
export const ENDS = ['\n', '\r', '\r\r\n', '\n\r', '\r\n\n', '\r\n ', '\r\n\t', ' \r\n', '\r\n\r\n', ''];
export const CHUNK_ENDS = [
  ...['0\r\nX-Mark: trailer\r\n\r\n', '0\r\nContent-Length: 5\r\n\r\n', '0\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ...['0;a=b\r\n\r\n', '000\r\n\r\n', '0\r\n', '0\n\r\n', '0\r\n\n', '\r\n\r\n', '0 \r\n\r\n', '0\r\n\r\n\r\n'],
];
export const TAILS: readonly ((mark: string) => string)[] = [
  smuggled,
  (mark) => `0\r\n\r\n${smuggled(mark)}`,
  (mark) => `\r\n${smuggled(mark)}`,
  () => 'X',
  () => '\r\n',
  () => 'A: b\r\n\r\n',
  (mark) => `POST /smuggled/${mark} HTTP/1.1\r\nHost: gw\r\nContent-Length: 100\r\n\r\n`,
];
