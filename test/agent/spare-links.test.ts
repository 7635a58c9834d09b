import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Link } from '../../src/agent/link.ts';
import { SpareLinks } from '../../src/agent/spare-links.ts';

/** A link as far as it is looked at. */
interface Load {
  node: string;
  tunnel: { streamCount: number; isCrowded: boolean } | null;
  outdated: number;
}

const CROWDED = { streamCount: 100, isCrowded: true };
const FREE = { streamCount: 0, isCrowded: false };

/** Links of which those that are opened come up free, and the looks that one second after the other brings. */
function kit(t: TestContext, ...given: Partial<Load>[]) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  t.after(() => t.mock.timers.reset());
  const asLink = (load: Partial<Load>): Load & { outdateStreams(): void } => {
    const link = {
      node: 'a',
      tunnel: { ...FREE },
      outdated: 0,
      ...load,
      outdateStreams: () => {
        link.outdated += 1;
      },
    };
    return link;
  };
  const links = given.map(asLink);
  const known = (): Iterable<Link> => links.map((link) => link as unknown as Link);
  const spares = new SpareLinks({
    links: known,
    open: () => {
      const link = asLink({});
      links.push(link);
      return link as unknown as Link;
    },
    close: async (link) => {
      links.splice([...known()].indexOf(link), 1);
    },
  });
  const come = (at = 0): void => spares.streamOnCome(links[at] as unknown as Link);
  const look = (times = 1): void => {
    for (let i = 0; i < times; i += 1) t.mock.timers.tick(1_000);
  };
  return { links, spares, come, look };
}

describe('a spare tunnel', () => {
  test('comes once all regular ones are crowded and their crowd grows no more', (t) => {
    const { links, come, look } = kit(t, { tunnel: { ...CROWDED } }, { tunnel: { ...FREE } });
    const [, second] = links;
    assert.ok(second);
    come();
    look(3);
    assert.equal(links.length, 2);
    for (const streamCount of [40, 80, 160]) {
      second.tunnel = { ...CROWDED, streamCount };
      look();
    }
    assert.equal(links.length, 2);
    look();
    assert.equal(links.length, 3);
    look(3);
    assert.equal(links.length, 3);
  });

  test('comes also for streams that rest, where they are many: each has a small share of the memory', (t) => {
    const { links, come, look } = kit(t, { tunnel: { streamCount: 127, isCrowded: false } });
    come();
    look(3);
    assert.equal(links.length, 1);
    links[0] = { ...links[0], tunnel: { streamCount: 128, isCrowded: false } } as never;
    look();
    assert.equal(links.length, 2);
  });

  test('comes for the process at the server that has none with room, whatever others have', (t) => {
    const { links, come, look } = kit(t, { node: 'a', tunnel: { ...CROWDED } }, { node: 'b' });
    come();
    look(2);
    assert.equal(links.length, 3);
  });

  test('is followed by another when it is crowded itself, up to three; one that is not up yet may still help', (t) => {
    const { links, come, look } = kit(t, { tunnel: { ...CROWDED } });
    come();
    look(2);
    const last = (tunnel: Load['tunnel']): void => void Object.assign(links.at(-1) ?? {}, { tunnel });
    last(null);
    look(5);
    assert.equal(links.length, 2);
    for (const count of [3, 4, 4]) {
      last({ ...CROWDED });
      // The crowd has grown by it: it settles first.
      look(2);
      assert.equal(links.length, count);
    }
  });

  test('leaves after three looks without a crowd, and not while it carries a stream, which is told to be the last', (t) => {
    const { links, come, look, spares } = kit(t, { tunnel: { ...CROWDED } });
    const [first] = links;
    assert.ok(first);
    come();
    look(2);
    const spare = links[1];
    assert.ok(spare);
    assert.equal(spares.has(spare as unknown as Link), true);
    spare.tunnel = { streamCount: 1, isCrowded: false };
    first.tunnel = { ...FREE };
    look(2);
    assert.equal(spare.outdated, 0);
    look();
    assert.equal(spare.outdated, 1);
    assert.equal(links.length, 2);
    spare.tunnel = { ...FREE };
    look();
    assert.deepEqual(links, [first]);
    assert.equal(spares.has(spare as unknown as Link), false);
  });

  test('stays through a pause of a crowd that comes back', (t) => {
    const { links, come, look } = kit(t, { tunnel: { ...CROWDED } });
    const [first] = links;
    assert.ok(first);
    come();
    look(2);
    for (let round = 0; round < 3; round += 1) {
      first.tunnel = { ...FREE };
      look(2);
      first.tunnel = { ...CROWDED };
      look(1);
    }
    assert.equal(links.length, 2);
  });

  test('is not looked for in tunnels with few streams, nor after the end', (t) => {
    const few = kit(t, { tunnel: { streamCount: 31, isCrowded: true } });
    few.come();
    few.look(3);
    assert.equal(few.links.length, 1);
    few.spares.stop();
    Object.assign(few.links[0] ?? {}, { tunnel: { ...CROWDED } });
    few.come();
    few.look(3);
    assert.equal(few.links.length, 1);
  });
});
