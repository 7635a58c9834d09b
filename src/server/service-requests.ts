import type { IncomingMessage } from 'node:http';

/** What an agent asks for by a plain request (design 3.2). */
export interface PortRequest {
  readonly method: 'PUT' | 'DELETE';
  readonly port: number;
}

/** Whether a request asks for the path and the upgrade of an agent's handshake. */
export function isHandshake({ url, rawHeaders }: IncomingMessage, service: string): boolean {
  if (url !== service) return false;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== 'upgrade') continue;
    const token = rawHeaders[i + 1]?.trim().toLowerCase();
    return token === 'ptth' || token === 'h2c-reverse';
  }
  return false;
}

/** `PUT` or `DELETE` of `<service>/ports/<1-65535>`; null for any other request. */
export function portRequestOf({ method, url = '' }: IncomingMessage, service: string): PortRequest | null {
  if ((method !== 'PUT' && method !== 'DELETE') || !url.startsWith(`${service}/ports/`)) return null;
  const text = url.slice(`${service}/ports/`.length);
  const port = Number(text);
  return /^[1-9]\d{0,4}$/.test(text) && port <= 65_535 ? { method, port } : null;
}
