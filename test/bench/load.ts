import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findTool } from '../support/tools.ts';
import { cpuSecondsOf } from './process-figures.ts';

const run = promisify(execFile);

/** What a load generator did. */
export interface LoadResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
}

/** The same seen from the systems under load. */
export interface MeasuredLoad extends LoadResult {
  /** CPU of all counted processes for one request, us. */
  readonly cpuMicrosPerRequest: number;
}

/** Makes a load on a URL for so many seconds. */
export type LoadGenerator = (url: string, visitors: number, seconds: number) => Promise<LoadResult>;

/** Kept-alive HTTP/1.1 visitors. One thread: it shares the machine with what it measures. */
export const wrk: LoadGenerator = (url, visitors, seconds) => runWrk([], url, visitors, seconds);

/** As many visitors at once; each request has a connection of its own. */
export const wrkShort: LoadGenerator = (url, visitors, seconds) =>
  runWrk(['-H', 'Connection: close'], url, visitors, seconds);

async function runWrk(more: readonly string[], url: string, visitors: number, seconds: number): Promise<LoadResult> {
  const args = [...more, '-t1', `-c${visitors}`, `-d${seconds}s`, '--timeout', '10s', url];
  return parseWrk((await run(findTool('wrk'), args)).stdout);
}

/** Kept-alive HTTP/1.1 visitors, by another program. */
export const h2loadHttp1: LoadGenerator = (url, visitors, seconds) => h2load(['--h1'], url, visitors, seconds);

/** HTTP/2 visitors with one request at a time each. */
export const h2loadHttp2: LoadGenerator = (url, visitors, seconds) => h2load(['-m1'], url, visitors, seconds);

async function h2load(more: readonly string[], url: string, visitors: number, seconds: number): Promise<LoadResult> {
  const args = [...more, '-t1', '-c', String(visitors), '-D', String(seconds), url];
  return parseH2load((await run(findTool('h2load'), args)).stdout, seconds);
}

/** Runs a load and counts the CPU that these processes spent meanwhile. */
export async function measureLoad(
  generator: LoadGenerator,
  load: { url: string; visitors: number; seconds: number; pids: readonly number[] },
): Promise<MeasuredLoad> {
  const before = cpuSecondsOf(load.pids);
  const result = await generator(load.url, load.visitors, load.seconds);
  const spent = cpuSecondsOf(load.pids) - before;
  return { ...result, cpuMicrosPerRequest: (spent / result.requests) * 1e6 };
}

/** Reads what `wrk` printed; fails where any request failed, for then the figures are of something else. */
export function parseWrk(text: string): LoadResult {
  const requests = Number(/^\s*(\d+) requests in /m.exec(text)?.[1]);
  const requestsPerSecond = Number(/^Requests\/sec:\s+([\d.]+)$/m.exec(text)?.[1]);
  if (!(requests > 0) || /Socket errors|Non-2xx/.test(text)) throw new Error(`wrk: requests failed:\n${text}`);
  return { requests, requestsPerSecond };
}

/** Reads what `h2load -D` printed; fails where any request failed. */
export function parseH2load(text: string, seconds: number): LoadResult {
  const done = /^requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, 0 failed, 0 errored, 0 timeout$/m.exec(
    text,
  );
  const good = /^status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx$/m.exec(text);
  const requests = Number(done?.[1]);
  // Answers whose head came before the end, and whose body did not, count as a status only.
  if (!(requests > 0) || !(Number(good?.[1]) >= requests)) throw new Error(`h2load: requests failed:\n${text}`);
  return { requests, requestsPerSecond: requests / seconds };
}
