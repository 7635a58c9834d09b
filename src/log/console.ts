import pino from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { Destination, DestinationReport } from './destination.ts';
import { settledWithin } from './pump.ts';
import { visibleDeep } from './visible.ts';

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

/** How long a console that takes nothing may hold up the end of the process, ms. */
const CLOSE_MS = 2_000;
/** The same of a crash, which writes in one go, ms. */
const FLUSH_MS = 1_000;

/**
 * The console as a destination: lines for people on a terminal, else pino's JSON lines. Neither can be forged or broken.
 * `report` is told when a slow reader has caught up after lines were dropped.
 */
export function openConsole(options: ConsoleOptions, report: (report: DestinationReport) => void): Destination {
  return options.terminal === null ? openJson(options.fd, report) : openPretty(options.terminal, options.colors);
}

function openJson(fd: 1 | 2, report: (report: DestinationReport) => void): Destination {
  let flushEndsAt = Number.POSITIVE_INFINITY;
  const retryEAGAIN = () => performance.now() < flushEndsAt;
  const sink = pino.destination({ dest: fd, sync: false, maxLength: MAX_WAITING_BYTES, retryEAGAIN });
  let dropped = 0;
  let droppedBefore = 0;
  let ended = false;
  const flushForEver = sink.flushSync.bind(sink);
  const flush = () => {
    flushEndsAt = performance.now() + FLUSH_MS;
    try {
      flushForEver();
    } catch {
      // Nobody reads the pipe, or its reader went away.
      giveUp();
    } finally {
      flushEndsAt = Number.POSITIVE_INFINITY;
    }
  };
  const giveUp = () => {
    sink.flushSync = () => {};
  };
  sink.flushSync = flush;
  // A reader that went away (EPIPE) or a full disk must not end a server; there is nowhere left to say it. Nor must it keep one from
  // ending: `flushSync`, which pino calls at the exit, too, would try for ever.
  sink.on('error', giveUp);
  sink.on('write', () => {
    sink.flushSync = flush;
  });
  sink.on('drop', () => {
    dropped += 1;
  });
  sink.on('drain', () => {
    if (dropped === 0) return;
    const count = dropped;
    droppedBefore += count;
    dropped = 0;
    report({ state: 'working', dropped: count, error: null });
  });
  const closed = new Promise<void>((resolve) => sink.once('close', resolve));
  return {
    people: false,
    get dropped() {
      return droppedBefore + dropped;
    },
    // What is still under way at the end may have a word left; pino's destination throws then.
    write: (line) => {
      if (ended) dropped += 1;
      else sink.write(line);
    },
    reopen: () => {},
    flushSync: () => sink.flushSync(),
    close: async () => {
      ended = true;
      sink.end();
      await settledWithin(closed, CLOSE_MS);
      // It has had its time.
      giveUp();
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
    dropped: 0,
    // pino-pretty prints strings as they are, so they are made safe before.
    write: (line) => void terminal.write(pretty(visibleDeep(JSON.parse(line)))),
    reopen: () => {},
    flushSync: () => {},
    close: () => Promise.resolve(),
  };
}
