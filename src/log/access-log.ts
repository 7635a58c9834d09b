import pino, { type Logger } from 'pino';
import type { AccessRecord, StreamEnd } from '../core/events.ts';
import { accessFields, accessText } from './access-line.ts';
import type { Destination } from './destination.ts';
import { FanOut } from './fan-out.ts';

/** Writes one line a request or byte stream, refusals and cuts included. */
export interface AccessLog {
  write(record: AccessRecord): void;
}

/** Ends that mean "a domain that nobody serves": strangers' noise on a public address, left out unless asked for. */
const DISCONNECTED: ReadonlySet<StreamEnd> = new Set(['domain-unknown', 'domain-inactive', 'domain-unserved']);

/** Choices of the access log. */
export interface AccessLogOptions {
  readonly destinations: readonly Destination[];
  /** Whether requests to domains that nobody serves are written. Default false. */
  readonly disconnected?: boolean;
}

/**
 * The access log. Machines get pino's `level` and `time`, then the fields of features 8.2 under their names; people get
 * one sentence.
 */
export function createAccessLog({ destinations, disconnected = false }: AccessLogOptions): AccessLog {
  const written = lineWriter(destinations);
  // Made like any other, for the time that it takes: what is logged must not tell strangers what there is (design 6.5).
  const leftOut = disconnected ? written : lineWriter(destinations.map(nowhereFor));
  return {
    write(record) {
      (DISCONNECTED.has(record.reason) ? leftOut : written)(record);
    },
  };
}

/** Takes lines as the destination does, and leaves them. */
function nowhereFor({ people }: Destination): Destination {
  return { people, dropped: 0, write() {}, reopen() {}, flushSync() {}, close: () => Promise.resolve() };
}

function lineWriter(destinations: readonly Destination[]): (record: AccessRecord) => void {
  const people = accessLogger(destinations.filter((destination) => destination.people));
  const machines = accessLogger(destinations.filter((destination) => !destination.people));
  return (record) => {
    machines?.info(accessFields(record));
    people?.info(`${record.domain ?? '-'} ${accessText(record)}`);
  };
}

function accessLogger(destinations: readonly Destination[]): Logger | null {
  if (destinations.length === 0) return null;
  return pino({ base: null, formatters: { level: (label) => ({ level: label }) } }, new FanOut('access', destinations));
}
