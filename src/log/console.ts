import pino from 'pino';
import { prettyFactory } from 'pino-pretty';
import { visibleDeep, visibleJson } from './visible.ts';

/** Where lines go: takes whole JSON lines as pino writes them. */
export interface Destination {
  /** True where people read: sentences instead of records. */
  readonly people: boolean;
  write(line: string): void;
  /** Reopens what lives on a disk, so that a rotated file is let go. */
  reopen(): void;
  /** Writes what is still held, at once. For the moment before a crash. */
  flushSync(): void;
  /** Writes what is still held, then takes no more. */
  close(): Promise<void>;
}

/** What the console is; `cli` finds out. */
export interface ConsoleOptions {
  /** 1: standard output, 2: standard error. */
  readonly fd: 1 | 2;
  /** Lines for people instead of JSON, written here. */
  readonly terminal: { write(text: string): unknown } | null;
  /** Whether lines for people are coloured. */
  readonly colors: boolean;
}

/** What may wait for a console that does not take it; more is dropped, so that a stuck reader cannot stop the process. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;

/** The console as a destination: lines for people on a terminal, else pino's JSON lines. Neither can be forged or broken. */
export function openConsole(options: ConsoleOptions): Destination {
  return options.terminal === null ? openJson(options.fd) : openPretty(options.terminal, options.colors);
}

function openJson(fd: 1 | 2): Destination {
  const sink = pino.destination({ dest: fd, sync: false, maxLength: MAX_WAITING_BYTES });
  // A reader that went away (EPIPE) must not end a server; there is nowhere left to say it.
  sink.on('error', () => {});
  const closed = new Promise<void>((resolve) => sink.once('close', resolve));
  return {
    people: false,
    write: (line) => void sink.write(visibleJson(line)),
    reopen: () => {},
    flushSync: () => {
      try {
        sink.flushSync();
      } catch {
        // The reader went away: as above.
      }
    },
    close: () => {
      sink.end();
      return closed;
    },
  };
}

function openPretty(terminal: { write(text: string): unknown }, colors: boolean): Destination {
  const pretty = prettyFactory({
    colorize: colors,
    ignore: 'pid,hostname',
    // The sentences hold what matters; the fields are for machines.
    hideObject: true,
    translateTime: 'SYS:HH:MM:ss.l',
  });
  return {
    people: true,
    // pino-pretty prints strings as they are, so they are made safe before.
    write: (line) => void terminal.write(pretty(visibleDeep(JSON.parse(line)))),
    reopen: () => {},
    flushSync: () => {},
    close: () => Promise.resolve(),
  };
}
