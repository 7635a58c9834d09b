import * as net from 'node:net';
import type { TLSSocket } from 'node:tls';
import { peerAddress } from '../../src/core/address.ts';
import type { Carrier, CarrierSource, DialOptions, TargetTimeouts } from '../../src/core/dial.ts';
import { BackdialError } from '../../src/core/errors.ts';
import type { AccessRecord, BackdialEvent } from '../../src/core/events.ts';
import { DomainTable } from '../../src/server/domain-table.ts';
import type { ServiceHandler } from '../../src/server/http1-visitors.ts';
import { createHttpsWay, type HttpsWay, type HttpsWayInternals } from '../../src/server/https-way.ts';
import type { DomainOptions, ServerOptions } from '../../src/server/options.ts';
import { resolveServerOptions } from '../../src/server/resolve-options.ts';
import type { DomainAccess } from '../../src/server/visitor-access.ts';
import { testCertificate } from './certificates.ts';
import { closerOf, listenOn } from './listen-on.ts';
import { connectPeer, type Peer, type RawTarget, startRawTarget } from './raw-target.ts';
import { wireAcceptor } from './sockets.ts';
import { within } from './within.ts';

/** A tunnel that is none: each stream is a connection to a port of this machine. */
export class FakeCarrier implements Carrier {
  readonly id: string;
  readonly domain: string;
  readonly instance: string;
  streamPerVisitor = false;
  timeouts: TargetTimeouts = { readMs: 0, writeMs: 0 };
  usable = true;
  epoch = 0;
  /** Where streams lead; 0: `open` fails with `target-refused`. */
  port: number;
  readonly opened: { readonly authority: string; readonly options: DialOptions; readonly stream: net.Socket }[] = [];
  readonly #leaving = new AbortController();

  constructor(port: number, instance = 'one', domain = 'www.example.com') {
    this.id = `t-${instance}`;
    this.domain = domain;
    this.instance = instance;
    this.port = port;
  }

  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }

  leave(): void {
    this.usable = false;
    this.#leaving.abort();
  }

  async open(authority: string, options: DialOptions): Promise<net.Socket> {
    if (this.port === 0) throw new BackdialError('target-refused');
    const stream = net.connect({ port: this.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    stream.on('error', () => {});
    this.opened.push({ authority, options, stream });
    await new Promise<void>((resolve, reject) => {
      stream.once('connect', resolve);
      stream.once('error', (error) => reject(new BackdialError('target-refused', error.message)));
    });
    return stream;
  }
}

/** Everyone may come. */
const OPEN_ACCESS: DomainAccess = {
  admitsAgent: () => true,
  senderOf: (remote) => ({ remote, forwardedFor: peerAddress(remote) ?? remote }),
  refusal: () => null,
  asksLogin: false,
  login: () => Promise.resolve(null),
};

export interface HttpsWayKit {
  readonly way: HttpsWay;
  /** Where visitors connect, TLS with ALPN. */
  readonly port: number;
  readonly target: RawTarget;
  /** Leads to the target; more can be added. */
  readonly carriers: FakeCarrier[];
  readonly carrier: FakeCarrier;
  readonly events: BackdialEvent[];
  /** The access records so far. */
  readonly records: AccessRecord[];
  /** Connects as a visitor that speaks HTTP/1.1 and holds the bytes itself. */
  visitor(): Promise<Peer>;
  /** The record number `count`, counted from 1, once it was told. */
  record(count?: number): Promise<AccessRecord>;
}

export interface HttpsWayKitOptions {
  readonly server?: Partial<ServerOptions>;
  readonly domain?: Partial<DomainOptions>;
  readonly internals?: Partial<HttpsWayInternals>;
  readonly onService?: ServiceHandler;
  /** Default true: one carrier, to a raw target. */
  readonly served?: boolean;
}

/** Serves `www.example.com` (and `full.example.com`, which nobody serves) and closes everything afterwards. */
export async function withHttpsWay(
  options: HttpsWayKitOptions,
  run: (kit: HttpsWayKit) => Promise<void>,
): Promise<void> {
  const { cert, key } = testCertificate();
  const events: BackdialEvent[] = [];
  const records: AccessRecord[] = [];
  const waiting: { count: number; resolve: (record: AccessRecord) => void }[] = [];
  const resolved = resolveServerOptions({
    listen: [{ host: '127.0.0.1', port: 0 }],
    certificates: [{ hosts: ['*.example.com', 'example.com'], cert, key }],
    domains: [
      { name: 'www.example.com', secrets: [], ...options.domain },
      { name: 'unserved.example.com', secrets: [] },
    ],
    name: 'front.example.net',
    ...options.server,
    observer(event) {
      events.push(event);
      if (event.type !== 'access') return;
      records.push(event.record);
      for (const { count, resolve } of waiting) if (count === records.length) resolve(event.record);
    },
  });
  const table = new DomainTable(resolved.domains);
  const target = await startRawTarget();
  const carrier = new FakeCarrier(target.port);
  const carriers = options.served === false ? [] : [carrier];
  const source: CarrierSource = {
    pick(name, except) {
      if (table.find(name) === null) throw new BackdialError('domain-unknown');
      const left = carriers.filter((one) => one.usable && except?.has(one) !== true);
      const next = name.startsWith('unserved.') ? undefined : left[0];
      if (next === undefined) throw new BackdialError('domain-unserved');
      return next;
    },
    serves: (name) => !name.startsWith('unserved.') && carriers.length > 0,
  };
  const way = createHttpsWay({
    options: resolved,
    domains: () => table,
    carriers: source,
    access: { of: () => OPEN_ACCESS },
    onService: options.onService ?? (() => Promise.resolve(false)),
    ...(options.internals === undefined ? {} : { internals: options.internals }),
  });
  const accept = wireAcceptor({ tls: true, alpn: ['h2', 'http/1.1'] }, ({ stream, raw }) => {
    const { servername } = stream as TLSSocket & { servername?: string };
    const name = servername ? servername.toLowerCase() : null;
    const remote = `127.0.0.1:${raw.remotePort}`;
    way.accept(stream as TLSSocket, {
      raw,
      name,
      remote,
      acceptedAt: performance.now(),
      door: '',
      clientAuthorities: null,
      clientSubject: null,
    });
  });
  const server = net.createServer({ noDelay: true }, accept);
  const closeServer = closerOf(server);
  const port = await listenOn(server);
  const record = (count = 1): Promise<AccessRecord> => {
    const known = records[count - 1];
    if (known !== undefined) return Promise.resolve(known);
    return within(`access record ${count}`, new Promise((resolve) => waiting.push({ count, resolve })));
  };
  try {
    const visitor = (): Promise<Peer> => connectPeer(port, { tls: true, alpn: ['http/1.1'] });
    await run({ visitor, way, port, target, carrier, carriers, events, records, record });
  } finally {
    await way.close();
    await closeServer();
    await target.close();
  }
}
