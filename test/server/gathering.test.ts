import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Gathering } from '../../src/server/gathering.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Lets so many arrive, one a turn; gives who went on, in order, and what there was of it at each turn's end. */
async function arriveByTurns(gathering: Gathering, count: number) {
  const gone: number[] = [];
  const seen: number[] = [];
  for (let at = 0; at < count; at += 1) {
    void gathering.arrive().then(() => gone.push(at));
    await turn();
    seen.push(gone.length);
  }
  return { gone, seen };
}

describe('what is gathered', () => {
  it('goes on together, in order, once a turn brought no more', async () => {
    const { gone, seen } = await arriveByTurns(new Gathering(), 3);
    assert.deepEqual(seen, [0, 0, 0]);
    await turn();
    assert.deepEqual(gone, [0, 1, 2]);
  });

  it('goes on in the next turn where it comes alone', async () => {
    const { gone } = await arriveByTurns(new Gathering(), 1);
    assert.deepEqual(gone, []);
    await turn();
    assert.deepEqual(gone, [0]);
  });

  it('is sixteen at most: who comes in a crowd does not wait for all of it', async () => {
    const { seen } = await arriveByTurns(new Gathering(), 34);
    assert.deepEqual(seen.slice(14, 17), [0, 16, 16]);
    assert.deepEqual(seen.slice(30), [16, 32, 32, 32]);
  });
});
