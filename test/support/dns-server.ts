import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { askRecords, NO_RECORDS } from '../../src/agent/name-records.ts';
import type { Lookup, NameAnswer } from '../../src/agent/resolver.ts';

const TYPES: Record<number, 'a' | 'aaaa'> = { 1: 'a', 28: 'aaaa' };
const RCODES = { servfail: 2, nxdomain: 3 } as const;

/** What is said to the question for one kind of address: addresses, an error, or nothing at all. */
export type DnsAnswer = readonly string[] | keyof typeof RCODES | 'silent';

export interface DnsName {
  a: DnsAnswer;
  aaaa: DnsAnswer;
  /** Of every record, seconds. */
  ttl: number;
}

/** A name server on a UDP port of the loopback address. */
export interface DnsServer {
  /** `ip:port` */
  readonly address: string;
  /** By name, as it is said now; all others are NXDOMAIN. */
  readonly names: Map<string, DnsName>;
  /** Questions for A so far. */
  readonly asked: number;
  /** What an agent resolves names with, in the place of the system's resolver. */
  readonly lookup: Lookup;
  close(): Promise<void>;
}

export async function startDnsServer(port = 0): Promise<DnsServer> {
  const names = new Map<string, DnsName>();
  let asked = 0;
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => {
    const { name, type, end } = readQuestion(query);
    const kind = TYPES[type];
    if (kind === 'a') asked += 1;
    const known = names.get(name);
    const answer: DnsAnswer = known === undefined ? 'nxdomain' : kind === undefined ? [] : known[kind];
    if (answer === 'silent') return;
    const head = Buffer.from(query.subarray(0, end));
    // A response, recursion available, one question, nothing additional.
    head.writeUInt16BE(0x8180 | (typeof answer === 'string' ? RCODES[answer] : 0), 2);
    const records = typeof answer === 'string' ? [] : answer.map((address) => record(type, known?.ttl ?? 0, address));
    head.writeUInt16BE(records.length, 6);
    head.writeUInt32BE(0, 8);
    socket.send(Buffer.concat([head, ...records]), from.port, from.address);
  });
  socket.bind(port, '127.0.0.1');
  await once(socket, 'listening');
  const address = `127.0.0.1:${socket.address().port}`;
  return {
    address,
    names,
    get asked() {
      return asked;
    },
    lookup: (host, signal) => ({
      addresses: addressesOf(host, address),
      records: askRecords(host, signal, [address]),
    }),
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

/** An answer that the DNS says nothing about; a string is an error's code. */
export function answering(answer: readonly string[] | string): NameAnswer {
  const addresses =
    typeof answer === 'string'
      ? Promise.reject(Object.assign(new Error(answer), { code: answer }))
      : Promise.resolve(answer);
  return { addresses, records: Promise.resolve(NO_RECORDS) };
}

/** As getaddrinfo has it: both kinds at once, one alone where the other was not answered, the error where none was. */
async function addressesOf(host: string, server: string): Promise<readonly string[]> {
  const resolver = new Resolver({ timeout: 200, tries: 1 });
  resolver.setServers([server]);
  const results = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const found = results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  const failed = results.map((result) => (result.status === 'rejected' ? (result.reason as { code: string }) : null));
  if (found.length > 0) return found;
  throw failed.find((error) => error !== null && !['ENOTFOUND', 'ENODATA'].includes(error.code)) ?? failed[0];
}

function readQuestion(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function record(type: number, ttl: number, address: string): Buffer {
  const bytes = address.includes(':') ? ipv6Bytes(address) : Buffer.from(address.split('.').map(Number));
  const fixed = Buffer.alloc(12);
  // The name of the question.
  fixed.writeUInt16BE(0xc00c, 0);
  fixed.writeUInt16BE(type, 2);
  fixed.writeUInt16BE(1, 4);
  fixed.writeUInt32BE(ttl, 6);
  fixed.writeUInt16BE(bytes.length, 10);
  return Buffer.concat([fixed, bytes]);
}

function ipv6Bytes(address: string): Buffer {
  const [left = '', right = ''] = address.split('::');
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const [head, tail] = [groups(left), groups(right)];
  const all = [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
  const bytes = Buffer.alloc(16);
  for (const [index, group] of all.entries()) bytes.writeUInt16BE(group, index * 2);
  return bytes;
}
