import { formatAddress } from '../core/address.ts';
import type { LogFile, LogSyslog } from '../core/log-destination.ts';
import { DatagramSink } from './datagram-sink.ts';
import type { Destination, DestinationReport } from './destination.ts';
import { FileSink } from './file-sink.ts';
import { Pump, type Sink } from './pump.ts';
import { StreamSink } from './stream-sink.ts';
import { syslogFormat } from './syslog-message.ts';

/** Least time between two hints about one destination, ms. */
const HINT_INTERVAL_MS = 60_000;

/** What is said about a destination, and what it is called there. */
export type Reporter = (where: string, report: DestinationReport) => void;

/** Opens a file or a syslog receiver with its first line; what fails is reported, and tried again. Never throws. */
export function openDestination(settings: LogFile | LogSyslog, report: Reporter): Destination {
  const where = nameOf(settings);
  const hint = sometimes((error) => report(where, { state: 'hint', dropped: 0, error }));
  const sink = 'file' in settings ? new FileSink(settings, { onHint: hint }) : syslogSink(settings);
  const format = 'file' in settings ? (line: string) => line : syslogFormat(settings);
  const pump = new Pump(sink, {
    report: ({ error, ...rest }) => report(where, { ...rest, error: error === null ? null : explained(error) }),
  });
  return {
    people: false,
    get dropped() {
      return pump.dropped;
    },
    write: (line, level, log) => pump.write(format(line, level, log)),
    reopen: () => pump.reopen(),
    flushSync: () => pump.flushSync(),
    close: () => pump.close(),
  };
}

function syslogSink({ syslog }: LogSyslog): Sink {
  if (syslog.protocol === 'unix') return new StreamSink({ path: syslog.path }, 'line-feed');
  const { protocol, host, port } = syslog;
  return protocol === 'tcp' ? new StreamSink({ host, port }, 'octet-counting') : new DatagramSink(host, port);
}

function nameOf(settings: LogFile | LogSyslog): string {
  if ('file' in settings) return settings.file;
  const { syslog } = settings;
  return syslog.protocol === 'unix' ? `unix:${syslog.path}` : `${syslog.protocol}://${formatAddress(syslog)}`;
}

/** Adds what to do where the system's words do not tell. */
function explained(error: Error): Error {
  if ((error as NodeJS.ErrnoException).code !== 'EPROTOTYPE') return error;
  const text =
    'it is a datagram socket, as /dev/log mostly is, and Node.js can use Unix stream sockets only. Under systemd use ' +
    '"console" (the journal takes it); else "udp://127.0.0.1:514", or a stream socket of the receiver (rsyslog: imptcp ' +
    'with `path`; syslog-ng: unix-stream)';
  return new Error(text, { cause: error });
}

function sometimes(say: (error: Error) => void): (error: Error) => void {
  let lastMs = Number.NEGATIVE_INFINITY;
  return (error) => {
    if (performance.now() - lastMs < HINT_INTERVAL_MS) return;
    lastMs = performance.now();
    say(error);
  };
}
