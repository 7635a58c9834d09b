import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Listener } from '../../src/net/listen.ts';
import { ListenerSet, type WantedListener } from '../../src/net/listener-set.ts';

/** A listener that opens when it is told to; what was asked of it. */
function slowListener(key: string) {
  const opened = Promise.withResolvers<void>();
  const seen = { asked: 0, isOpen: false };
  const listener: Listener = {
    address: { host: '127.0.0.1', port: 1 },
    stop: () => {
      seen.isOpen = false;
    },
    close: async () => listener.stop(),
  };
  const wanted: WantedListener = {
    key,
    async listen() {
      seen.asked += 1;
      await opened.promise;
      seen.isOpen = true;
      return listener;
    },
  };
  return { wanted, seen, open: () => opened.resolve() };
}

describe('a set of listeners', () => {
  for (const end of ['stop', 'drained', 'close'] as const) {
    it(`leaves none open that was on its way at ${end}(), and opens no other`, async () => {
      const [first, second] = [slowListener('first'), slowListener('second')];
      const set = new ListenerSet();
      const following = set.follow([first.wanted, second.wanted]);
      if (end === 'stop') set.stop();
      else if (end === 'drained') await set.drained();
      else await set.close(() => {});
      first.open();
      second.open();
      assert.deepEqual(await following, []);
      assert.deepEqual([first.seen.isOpen, second.seen.isOpen], [false, false]);
      assert.equal(second.seen.asked, 0);
      assert.deepEqual(set.addresses, []);
    });
  }

  it('closes one that is not wanted any more by the time that it is open', async () => {
    const { wanted, seen, open } = slowListener('first');
    const set = new ListenerSet();
    const following = set.follow([wanted]);
    await set.follow([]);
    open();
    await following;
    assert.equal(seen.isOpen, false);
    assert.deepEqual(set.addresses, []);
  });
});
