/** What a hand-made ClientHello says; everything else in it is fixed and valid. */
export interface HelloParts {
  /** Raw SNI; undefined: no such extension. */
  readonly serverName?: string;
  readonly alpn?: readonly string[];
  /** Further extensions, in front of the others. */
  readonly extensions?: readonly { readonly type: number; readonly data: Buffer }[];
  /** Length of the message's body, reached with a padding extension (RFC 7685, type 21). */
  readonly bodyBytes?: number;
}

/** A vector of TLS: its length in so many bytes, then itself. */
export function vector(lengthBytes: 1 | 2 | 3, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(body.length, 0, lengthBytes);
  return Buffer.concat([length, body]);
}

export function extension(type: number, data: Buffer): Buffer {
  return Buffer.concat([Buffer.of(type >> 8, type & 0xff), vector(2, data)]);
}

export function serverNameData(name: string): Buffer {
  return vector(2, Buffer.of(0), vector(2, Buffer.from(name, 'latin1')));
}

/** The handshake message, its 4-byte header included. */
export function helloMessage(parts: HelloParts = {}): Buffer {
  const extensions = (parts.extensions ?? []).map(({ type, data }) => extension(type, data));
  if (parts.serverName !== undefined) extensions.push(extension(0, serverNameData(parts.serverName)));
  if (parts.alpn !== undefined) {
    const names = parts.alpn.map((name) => vector(1, Buffer.from(name, 'latin1')));
    extensions.push(extension(16, vector(2, ...names)));
  }
  // A client of TLS 1.3: GREASE, the three suites, a GREASE extension, supported_versions.
  extensions.unshift(extension(0x2a2a, Buffer.alloc(0)));
  extensions.push(extension(43, vector(1, Buffer.of(0x7a, 0x7a, 3, 4, 3, 3))));
  const fixed = Buffer.concat([
    Buffer.of(3, 3),
    Buffer.alloc(32, 0xaa),
    vector(1, Buffer.alloc(32, 0xbb)),
    vector(2, Buffer.of(0x0a, 0x0a, 0x13, 0x01, 0x13, 0x02, 0x13, 0x03)),
    vector(1, Buffer.of(0)),
  ]);
  if (parts.bodyBytes !== undefined) {
    const used = fixed.length + 2 + Buffer.concat(extensions).length + 4;
    extensions.push(extension(21, Buffer.alloc(parts.bodyBytes - used)));
  }
  return Buffer.concat([Buffer.of(1), vector(3, fixed, vector(2, ...extensions))]);
}

/** A handshake message over records of at most so many bytes. */
export function records(message: Buffer, recordBytes = 16_384): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < message.length; at += recordBytes) {
    parts.push(Buffer.of(22, 3, 1), vector(2, message.subarray(at, at + recordBytes)));
  }
  return Buffer.concat(parts);
}

/** A ClientHello on the wire. */
export function hello(parts: HelloParts = {}): Buffer {
  return records(helloMessage(parts));
}
