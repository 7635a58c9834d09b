import { readFile } from 'node:fs/promises';
import ipaddr from 'ipaddr.js';

/** What names a TCP connection, as Node tells it of a socket. */
export interface TcpEnds {
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/** Thousands that ask at the same time share one reading: for so long, ms. */
const SHARED_MS = 50;

/**
 * Bytes that were handed to the kernel for a TCP connection and that its peer has not acknowledged: what a slow peer takes is
 * seen here first. The kernel tells a writer of it only once a third of its buffer is free, which may be more than a megabyte.
 * Null where the system does not tell (it is Linux's `/proc/net/tcp`), and for what is no TCP connection of this machine.
 */
export async function unacknowledgedBytes(socket: TcpEnds): Promise<number | null> {
  const local = endOf(socket.localAddress, socket.localPort);
  const remote = endOf(socket.remoteAddress, socket.remotePort);
  if (local === null || remote === null) return null;
  const table = await readTable(local.length > IPV4_END_LENGTH ? '/proc/self/net/tcp6' : '/proc/self/net/tcp');
  const key = `${local} ${remote} `;
  const at = table.indexOf(key);
  if (at === -1) return null;
  // The state, and then the queue: "01 0000C350:00000000".
  const [, queue] = /^[0-9A-F]{2} ([0-9A-F]{8}):/.exec(table.slice(at + key.length, at + key.length + 20)) ?? [];
  return queue === undefined ? null : Number.parseInt(queue, 16);
}

const IPV4_END_LENGTH = '0100007F:0050'.length;

/** As the table has it: each word of the address as the machine holds it, in hexadecimal; the port in the network's order. */
function endOf(address: string | undefined, port: number | undefined): string | null {
  if (address === undefined || port === undefined) return null;
  const bytes = ipaddr.parse(withoutZone(address)).toByteArray();
  const words: string[] = [];
  for (let at = 0; at < bytes.length; at += 4) {
    const word = Buffer.from(bytes.slice(at, at + 4));
    words.push((LITTLE_ENDIAN ? word.reverse() : word).toString('hex'));
  }
  return `${words.join('')}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function withoutZone(address: string): string {
  return address.replace(/%.*$/, '');
}

const readings = new Map<string, Promise<string>>();

function readTable(path: string): Promise<string> {
  const shared = readings.get(path);
  if (shared !== undefined) return shared;
  const reading = readFile(path, 'latin1').catch(() => '');
  readings.set(path, reading);
  setTimeout(() => readings.delete(path), SHARED_MS).unref();
  return reading;
}
