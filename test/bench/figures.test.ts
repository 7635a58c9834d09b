import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Figure, figure, passes } from './bench.ts';
import { ratios } from './compare-loads.ts';
import { parseH2load, parseWrk } from './load.ts';
import { pageWork } from './page-work.ts';
import { formatMarkdown, formatTable } from './report.ts';
import { spread, welchT } from './statistics.ts';

const WRK = `Running 4s test @ https://localhost:1/
  1 threads and 64 connections
  44191 requests in 4.08s, 50.60MB read
Requests/sec:  10820.66
Transfer/sec:     12.39MB
`;

const H2LOAD = `finished in 2.00s, 27500.00 req/s, 33.15MB/s
requests: 55000 total, 55064 started, 55000 done, 55000 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 55000 2xx, 0 3xx, 0 4xx, 0 5xx
`;

test('a median stands between the least and the most, and no values are no figure', () => {
  assert.deepEqual(spread([3, 1, 2]), { median: 2, min: 1, max: 3 });
  assert.deepEqual(spread([4, 1, 2, 3]), { median: 2.5, min: 1, max: 4 });
  assert.throws(() => spread([]), /no values/);
});

test("Welch's t counts the standard errors between two means", () => {
  assert.equal(welchT([1, 2, 3], [1, 2, 3]), 0);
  // Means 2 and 5, variances 1 and 4, three values each.
  assert.ok(Math.abs(welchT([5, 3, 7], [2, 1, 3]) - 3 / Math.sqrt(5 / 3)) < 1e-12);
  assert.throws(() => welchT([1], [1, 2]), /two values/);
});

test('the median is what a limit judges; a figure without a limit is not judged', () => {
  const judged = (limit?: Figure['limit']) => passes(figure('a', 'b', 'x', [1, 3, 9], limit));
  assert.equal(judged({ atMost: 3 }), true);
  assert.equal(judged({ atMost: 2.9 }), false);
  assert.equal(judged({ atLeast: 3 }), true);
  assert.equal(judged({ atLeast: 3.1 }), false);
  assert.equal(judged(), null);
  assert.deepEqual(ratios([2, 9], [1, 3]), [2, 3]);
});

test('wrk is read, and a load with failed requests is none', () => {
  assert.deepEqual(parseWrk(WRK), { requests: 44_191, requestsPerSecond: 10_820.66 });
  assert.throws(() => parseWrk(WRK.replace('Requests', '  Non-2xx or 3xx responses: 3\nRequests')), /failed/);
  assert.throws(() =>
    parseWrk(WRK.replace('Requests', '  Socket errors: connect 0, read 1, write 0, timeout 0\nRequests')),
  );
  assert.throws(() => parseWrk(''), /failed/);
});

test('h2load is read, and a load with failed requests is none', () => {
  assert.deepEqual(parseH2load(H2LOAD, 2), { requests: 55_000, requestsPerSecond: 27_500 });
  assert.throws(() => parseH2load(H2LOAD.replace('0 failed', '1 failed'), 2), /failed/);
  assert.throws(() => parseH2load(H2LOAD.replace('55000 2xx, 0 3xx, 0 4xx', '54999 2xx, 0 3xx, 1 4xx'), 2), /failed/);
  assert.throws(() => parseH2load('', 2), /failed/);
});

test('a report names what was missed and why a bench did not run', () => {
  const figures = [figure('backdial / nginx', 'CPU a request', 'x', [3, 4, 5], { atMost: 3.5 })];
  const report = { name: 'https-cpu', title: 'a load', figures };
  assert.match(formatTable(report), /4 x.*\(3 - 5\).*at most 3\.5.*FAILED/);
  const text = formatMarkdown('a machine', [report, { name: 'bulk', title: 'b', figures: [], skipped: 'no rathole' }]);
  assert.match(text, /a machine.*\| backdial \/ nginx \| CPU a request \| 4 x \| \(3 - 5\) \| at most 3\.5 \|/s);
  assert.match(text, /bulk.*not measured: no rathole/s);
});

test('of a trace of Chromium the thread of the page counts: a frame is its own task and the longest that it waited for', () => {
  const [pid, ts] = [7, 0];
  const thread = (tid: number, name: string) => ({ name: 'thread_name', ph: 'M', pid, tid, ts, args: { name } });
  const task = (tid: number, at: number, cpuMs: number) => {
    return { name: 'RunTask', ph: 'X', pid, tid, ts: at, dur: 2_000 * cpuMs, tdur: 1_000 * cpuMs };
  };
  const frame = (at: number) => ({ name: 'Commit', ph: 'X', pid, tid: 1, ts: at });
  const read = (traceEvents: readonly object[]) => pageWork(Buffer.from(JSON.stringify({ traceEvents })));
  const threads = [thread(1, 'CrRendererMain'), thread(2, 'CrRendererMain'), thread(3, 'Compositor')];
  const before = [task(1, 0, 5), task(1, 20_000, 30), task(1, 90_000, 4), frame(91_000)];
  const all = [...threads, task(2, 0, 1), task(3, 0, 500), task(1, 200_000, 20), frame(210_000), ...before];
  assert.deepEqual(read(all), { longestTaskMs: 60, busiestFrameCpuMs: 34, frames: 2 });
  assert.equal(read([...all, task(1, 900_000, 40)]).busiestFrameCpuMs, 40, 'without a frame after it');
  assert.throws(() => read([thread(3, 'Compositor'), task(3, 0, 1)]), /no page/);
});
