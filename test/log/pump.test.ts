import assert from 'node:assert/strict';
import test from 'node:test';
import { Pump, type Sink } from '../../src/log/pump.ts';
import { undisturbed } from '../support/undisturbed.ts';

/** Takes all that it is given, a turn later. */
class TurnSink implements Sink {
  readonly writes: { readonly atMs: number; readonly lines: readonly string[] }[] = [];

  async write(lines: readonly string[]) {
    const taken = [...lines];
    this.writes.push({ atMs: performance.now(), lines: taken });
    await new Promise(setImmediate);
    return { count: taken.length, error: null };
  }
  reopen(): void {}
  async close(): Promise<void> {}
}

const report = (): void => assert.fail('nothing is to be said');

test(
  'a line after a pause is written at once, lines that follow one another closely are written together',
  undisturbed(async () => {
    const sink = new TurnSink();
    const pump = new Pump(sink, { report });
    const beganAtMs = performance.now();
    let written = 0;
    for (; performance.now() < beganAtMs + 110; written += 1) {
      pump.write(`${written}\n`);
      await new Promise(setImmediate);
    }
    await pump.close();
    const [first, second] = sink.writes;
    assert.deepEqual(first?.lines, ['0\n']);
    assert.ok((second?.atMs ?? 0) - (first?.atMs ?? 0) > 15, 'the next write waits');
    assert.ok(sink.writes.length <= 8, `${sink.writes.length} writes of ${written} lines`);
    assert.deepEqual(
      sink.writes.flatMap(({ lines }) => lines),
      Array.from({ length: written }, (_, n) => `${n}\n`),
    );
  }),
);

test('a burst is not held back, and neither is what closes', async (t) => {
  const sink = new TurnSink();
  const pump = new Pump(sink, { report });
  pump.write('first\n');
  while (sink.writes.length === 0) await new Promise(setImmediate);
  // From here on no wait ends by itself.
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const line = `${'x'.repeat(1_000)}\n`;
  for (let n = 0; n < 70; n += 1) pump.write(line);
  for (let turn = 0; turn < 4; turn += 1) await new Promise(setImmediate);
  assert.equal(sink.writes[1]?.lines.length, 70);
  pump.write('last\n');
  await pump.close();
  assert.deepEqual(sink.writes.at(-1)?.lines, ['last\n']);
});

test('a write that began before the close and failed is followed by one more, and by no other', async () => {
  for (const outcomes of [
    ['fails', 'works'],
    ['fails', 'fails'],
  ]) {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { promise: ending, resolve: end } = Promise.withResolvers<void>();
    let writes = 0;
    const sink: Sink = {
      async write(lines) {
        const fails = outcomes[writes] === 'fails';
        writes += 1;
        begin();
        await ending;
        return fails ? { count: 0, error: new Error('full') } : { count: lines.length, error: null };
      },
      reopen() {},
      async close() {},
    };
    const said: { readonly state: string; readonly dropped: number }[] = [];
    const pump = new Pump(sink, { report: ({ state, dropped }) => void said.push({ state, dropped }) });
    pump.write('a\n');
    await begun;
    const closed = pump.close();
    end();
    await closed;
    assert.equal(writes, 2);
    assert.equal(pump.dropped, outcomes[1] === 'works' ? 0 : 1);
    assert.equal(said[0]?.state, 'failing');
  }
});
