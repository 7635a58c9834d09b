import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import type { Peer } from './raw-target.ts';
import type { Verdict } from './verdict.ts';
import { within } from './within.ts';

/** Enough that most of it is on its way, and not yet read, when the end comes. */
const FLOOD = Buffer.alloc(4_000_000, 'flood ');

/** One way in which a byte stream can end, and what each side must see of the other's end. */
interface StreamEnding {
  readonly title: string;
  run(visitor: Peer, target: Peer): Promise<void>;
  readonly visitorSees?: Verdict;
  readonly targetSees?: Verdict;
}

/** The FIN/RST behaviour of bare sockets, on any route that claims to be as good as a wire. */
export const STREAM_ENDINGS: readonly StreamEnding[] = [
  {
    title: 'the visitor half-closes and the answer still arrives',
    async run(visitor, target) {
      await visitor.send('question');
      visitor.fin();
      await target.ending;
      assert.equal(target.text, 'question');
      await target.send('answer');
      target.fin();
      await visitor.ending;
      assert.equal(visitor.text, 'answer');
    },
    visitorSees: 'clean',
    targetSees: 'clean',
  },
  {
    title: 'the target half-closes and what the visitor says later still arrives',
    async run(visitor, target) {
      await target.send('banner');
      target.fin();
      await visitor.ending;
      assert.equal(visitor.text, 'banner');
      await visitor.send('last words');
      visitor.fin();
      await target.ending;
      assert.equal(target.text, 'last words');
    },
    visitorSees: 'clean',
    targetSees: 'clean',
  },
  {
    title: 'both end at once',
    async run(visitor, target) {
      await Promise.all([visitor.send('v'), target.send('t')]);
      visitor.fin();
      target.fin();
      await Promise.all([visitor.ending, target.ending]);
      assert.deepEqual([visitor.text, target.text], ['t', 'v']);
    },
    visitorSees: 'clean',
    targetSees: 'clean',
  },
  {
    title: 'the target ends without a byte',
    async run(visitor, target) {
      target.fin();
      await visitor.ending;
      visitor.fin();
    },
    visitorSees: 'clean',
    targetSees: 'clean',
  },
  {
    title: 'a large transfer ends and every byte of it arrives',
    async run(visitor, target) {
      visitor.stream.write(FLOOD);
      target.stream.write(FLOOD);
      visitor.fin();
      target.fin();
      await Promise.all([visitor.ending, target.ending]);
      assert.ok(visitor.bytes.equals(FLOOD), `the visitor got ${visitor.length} bytes`);
      assert.ok(target.bytes.equals(FLOOD), `the target got ${target.length} bytes`);
    },
    visitorSees: 'clean',
    targetSees: 'clean',
  },
  {
    title: 'the visitor resets',
    async run(visitor, target) {
      await visitor.send('hello');
      await target.received(5);
      visitor.reset();
    },
    targetSees: 'reset',
  },
  {
    title: 'the target resets',
    async run(visitor, target) {
      await target.send('hello');
      await visitor.received(5);
      target.reset();
    },
    visitorSees: 'reset',
  },
  {
    title: 'the target resets without a byte',
    async run(_visitor, target) {
      target.reset();
    },
    visitorSees: 'reset',
  },
  {
    title: 'both reset at once',
    async run(visitor, target) {
      await Promise.all([visitor.send('v'), target.send('t')]);
      await Promise.all([visitor.received(1), target.received(1)]);
      visitor.reset();
      target.reset();
      await Promise.all([closed(visitor), closed(target)]);
    },
  },
  {
    title: 'the visitor resets in the middle of a download',
    async run(visitor, target) {
      target.stream.write(FLOOD, () => {});
      await visitor.received(100_000);
      visitor.reset();
    },
    targetSees: 'reset',
  },
  {
    title: 'the target resets in the middle of a download',
    async run(visitor, target) {
      target.stream.write(FLOOD, () => {});
      await visitor.received(100_000);
      target.reset();
    },
    visitorSees: 'reset',
  },
  {
    title: 'the visitor resets in the middle of an upload',
    async run(visitor, target) {
      visitor.stream.write(FLOOD, () => {});
      await target.received(100_000);
      visitor.reset();
    },
    targetSees: 'reset',
  },
  {
    title: 'the target resets in the middle of an upload',
    async run(visitor, target) {
      visitor.stream.write(FLOOD, () => {});
      await target.received(100_000);
      target.reset();
    },
    visitorSees: 'reset',
  },
  {
    title: 'the target resets in mid-answer to a visitor that half-closed',
    async run(visitor, target) {
      await visitor.send('question');
      visitor.fin();
      await target.ending;
      await target.send('half an ans');
      await visitor.received(11);
      target.reset();
    },
    visitorSees: 'reset',
    targetSees: 'clean',
  },
  {
    title: 'the visitor resets after the target half-closed',
    async run(visitor, target) {
      await target.send('banner');
      target.fin();
      await visitor.ending;
      await visitor.send('hal');
      await target.received(3);
      visitor.reset();
    },
    visitorSees: 'clean',
    targetSees: 'reset',
  },
];

const BARE: RouteTraits = { knowsResets: true };

/** How a visitor and the target it reached are obtained: bare, through a faulty link, through the tunnel. */
export type OpenPair = () => Promise<{ visitor: Peer; target: Peer }>;

export interface RouteTraits {
  /** False where a reset cannot pass, as on Unix sockets: any end will do in its place. */
  readonly knowsResets: boolean;
}

/** One test for each of {@link STREAM_ENDINGS}; `where` ends their titles. */
export function testStreamEndings(where: string, openPair: OpenPair, { knowsResets }: RouteTraits = BARE): void {
  for (const ending of STREAM_ENDINGS) {
    test(`${ending.title}, ${where}`, async () => {
      const { visitor, target } = await openPair();
      try {
        await within('the exchange', ending.run(visitor, target));
        if (ending.visitorSees !== undefined) {
          const seen = await within("the target's end at the visitor", visitor.ending);
          if (knowsResets || ending.visitorSees !== 'reset')
            assert.equal(seen.verdict, ending.visitorSees, `the visitor saw ${JSON.stringify(seen)}`);
        }
        if (ending.targetSees !== undefined) {
          const seen = await within("the visitor's end at the target", target.ending);
          if (knowsResets || ending.targetSees !== 'reset')
            assert.equal(seen.verdict, ending.targetSees, `the target saw ${JSON.stringify(seen)}`);
        }
      } finally {
        visitor.close();
        target.close();
      }
    });
  }
}

async function closed(peer: Peer): Promise<void> {
  if (!peer.raw.closed) await once(peer.raw, 'close');
}
