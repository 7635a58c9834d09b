import { createHash, randomBytes } from 'node:crypto';
import { fieldValue, removeNamed } from './header-rules.ts';
import type { ResponseHead } from './http1-response-head.ts';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** A fresh `Sec-WebSocket-Key` (RFC 6455, section 4.1): HTTP/2 visitors have none (RFC 8441, section 5). */
export function freshWebSocketKey(): string {
  return randomBytes(16).toString('base64');
}

/** What a target must answer to a key. */
export function webSocketAccept(key: string): string {
  return createHash('sha1')
    .update(key + GUID)
    .digest('base64');
}

/** True for a 101 that does what was asked for: the same protocol and, where `key` was ours, its proof. */
export function isSwitchTo(head: ResponseHead, protocol: string, key: string | null): boolean {
  const said = head.upgrade?.toLowerCase() ?? '';
  const asked = protocol.split(',').map((token) => token.trim().toLowerCase());
  if (!asked.includes(said)) return false;
  return key === null || fieldValue(head.headers, 'sec-websocket-accept') === webSocketAccept(key);
}

/** The 101's fields as an HTTP/2 visitor may see them. */
export function headersOfSwitch(headers: string[]): string[] {
  return removeNamed(headers, ['sec-websocket-accept', 'sec-websocket-key']);
}
