/**
 * A head of HTTP/1.1 as bytes. Only bytes, never strings, are written to an HTTP/2 stream: Node (26.10) frees the strings
 * of a gathered write before they are sent when its last chunk is empty, and what arrives then is foreign memory.
 */
export function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

export const CRLF = latin1('\r\n');
