import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exchange, Framing, HttpVersion } from './http-target.ts';
import { type Visit, type VisitOptions, visit } from './http-visitor.ts';
import type { Ending } from './verdict.ts';
import { within } from './within.ts';

const BODY = Buffer.alloc(2_000_000, 'body ');
const HALF = BODY.length / 2;

/** What a case is played on: one visitor, and the target's side of its request once that has arrived. */
interface Scene {
  readonly framing: Framing;
  readonly version: HttpVersion;
  visit(options?: Partial<VisitOptions>): Promise<Visit>;
  exchange(): Promise<Exchange>;
}

/** One way in which an HTTP exchange can end. */
interface HttpEnding {
  readonly title: string;
  /** The framings in which it makes sense; default all. */
  readonly framings?: readonly Framing[];
  /** The visitors that can play it; default all. */
  readonly versions?: readonly HttpVersion[];
  run(scene: Scene): Promise<void>;
}

/** How HTTP exchanges end, on any route that claims to be as good as a wire: complete or visibly cut, never in between. */
const HTTP_ENDINGS: readonly HttpEnding[] = [
  {
    title: 'a body each way arrives whole',
    async run({ framing, visit, exchange }) {
      const visitor = await visit({ method: 'POST', ...(framing === 'length' ? { length: BODY.length } : {}) });
      const sent = visitor.send(BODY);
      const target = await exchange();
      visitor.finish();
      await isClean('the request', target.requestEnding);
      await sent;
      assert.ok(target.bytes.equals(BODY), `the target got ${target.length} bytes`);
      target.respond(framing, BODY.length);
      await target.send(BODY);
      target.finish();
      await isClean('the answer', visitor.ending);
      assert.ok(BODY.equals(await visitor.bytes()));
    },
  },
  {
    title: 'the target answers in full and ends the connection',
    versions: ['HTTP/1.1'],
    async run({ framing, visit, exchange }) {
      const visitor = await visit();
      const target = await exchange();
      target.respond(framing, BODY.length);
      await target.send(BODY);
      target.finish();
      target.fin();
      await isClean('the answer', visitor.ending);
      assert.equal((await visitor.bytes()).length, BODY.length);
    },
  },
  ...endsOfTarget('fin'),
  ...endsOfTarget('reset'),
  ...endsOfVisitor('fin'),
  ...endsOfVisitor('reset'),
  {
    title: 'the visitor resets its stream alone in the middle of its body',
    versions: ['HTTP/2'],
    async run({ framing, visit, exchange }) {
      const visitor = await visit({ method: 'POST', ...(framing === 'length' ? { length: BODY.length } : {}) });
      const sent = visitor.send(BODY.subarray(0, HALF)).catch(() => {});
      const target = await exchange();
      await target.received(HALF);
      visitor.resetStream();
      await isCut('the request', target.requestEnding);
      await sent;
    },
  },
  {
    title: 'the target resets as soon as it has answered in full',
    async run({ framing, visit, exchange }) {
      const visitor = await visit();
      const target = await exchange();
      target.respond(framing, BODY.length);
      await target.send(BODY);
      target.finish();
      target.reset();
      const ending = await within("the answer's end", visitor.ending);
      // What was on its way may be lost; but what is called complete must be.
      if (ending.verdict === 'clean') assert.equal((await visitor.bytes()).length, BODY.length);
    },
    framings: ['chunked', 'length'],
  },
  {
    title: 'a visitor that half-closed gets its answer',
    versions: ['HTTP/1.1'],
    async run({ framing, visit, exchange }) {
      const visitor = await visit();
      const target = await exchange();
      visitor.fin();
      await isClean('the request', target.requestEnding);
      target.respond(framing, BODY.length);
      await target.send(BODY);
      target.finish();
      if (framing === 'close') target.fin();
      await isClean('the answer', visitor.ending);
      assert.equal((await visitor.bytes()).length, BODY.length);
    },
  },
  {
    title: 'an answer that comes before the request is complete arrives whole',
    async run({ framing, visit, exchange }) {
      const visitor = await visit({ method: 'POST' });
      await visitor.send('the first part');
      const target = await exchange();
      await target.received(14);
      target.respond(framing, 5);
      await target.send('early');
      target.finish();
      await isClean('the answer', visitor.ending);
      assert.equal((await visitor.bytes()).toString(), 'early');
    },
  },
  {
    title: 'both end the connection at once, in the middle of the answer',
    framings: ['chunked', 'length'],
    versions: ['HTTP/1.1'],
    async run({ framing, visit, exchange }) {
      const visitor = await visit();
      const target = await exchange();
      target.respond(framing, BODY.length);
      await target.send(BODY.subarray(0, HALF));
      await visitor.received(1);
      visitor.fin();
      target.fin();
      await isCut('the answer', visitor.ending);
      await within('the end of the exchange', target.gone);
    },
  },
  {
    title: 'both reset at once',
    async run({ framing, visit, exchange }) {
      const visitor = await visit();
      const target = await exchange();
      target.respond(framing, BODY.length);
      await target.send(BODY.subarray(0, HALF));
      await visitor.received(1);
      visitor.reset();
      target.reset();
      await within('the end of the exchange', target.gone);
    },
  },
];

function endsOfTarget(how: 'fin' | 'reset'): HttpEnding[] {
  const does = how === 'fin' ? 'ends the connection' : 'resets';
  // The end of the connection is the end of such a body: only a reset says that it was cut.
  const framings: readonly Framing[] = how === 'fin' ? ['chunked', 'length'] : ['chunked', 'length', 'close'];
  return [
    {
      title: `the target ${does} before its head`,
      async run({ visit, exchange }) {
        // Not a GET, for that may be tried again.
        const visitor = await visit({ method: 'POST', length: 0 });
        visitor.finish();
        const target = await exchange();
        target[how]();
        const ending = await within("the answer's end", visitor.ending);
        // A proxy may answer in the target's place, and must not pretend that the target did.
        if (ending.verdict === 'clean') assert.equal(await visitor.status(), 502);
      },
    },
    {
      title: `the target ${does} after its head`,
      framings,
      async run({ framing, visit, exchange }) {
        const visitor = await visit();
        const target = await exchange();
        target.respond(framing, BODY.length);
        await visitor.head();
        target[how]();
        await isCut('the answer', visitor.ending);
      },
    },
    {
      title: `the target ${does} in the middle of its body`,
      framings,
      async run({ framing, visit, exchange }) {
        const visitor = await visit();
        const target = await exchange();
        target.respond(framing, BODY.length);
        const sent = target.send(BODY.subarray(0, HALF)).catch(() => {});
        await visitor.received(HALF);
        target[how]();
        await isCut('the answer', visitor.ending);
        await sent;
      },
    },
    {
      title: `the target ${does} where only the last byte is missing`,
      framings,
      async run({ framing, visit, exchange }) {
        const visitor = await visit();
        const target = await exchange();
        target.respond(framing, BODY.length);
        const sent = target.send(BODY.subarray(0, BODY.length - 1)).catch(() => {});
        await visitor.received(BODY.length - 1);
        target[how]();
        await isCut('the answer', visitor.ending);
        await sent;
      },
    },
  ];
}

function endsOfVisitor(how: 'fin' | 'reset'): HttpEnding[] {
  const does = how === 'fin' ? 'ends the connection' : 'resets';
  return [
    {
      title: `the visitor ${does} in the middle of its body`,
      framings: ['chunked', 'length'],
      async run({ framing, visit, exchange }) {
        const visitor = await visit({ method: 'POST', ...(framing === 'length' ? { length: BODY.length } : {}) });
        const sent = visitor.send(BODY.subarray(0, HALF)).catch(() => {});
        const target = await exchange();
        await target.received(HALF);
        visitor[how]();
        await isCut('the request', target.requestEnding);
        await sent;
      },
    },
    {
      title: `the visitor ${does} where only the last byte of its body is missing`,
      framings: ['length'],
      async run({ visit, exchange }) {
        const visitor = await visit({ method: 'POST', length: BODY.length });
        const sent = visitor.send(BODY.subarray(0, BODY.length - 1)).catch(() => {});
        const target = await exchange();
        await target.received(BODY.length - 1);
        visitor[how]();
        await isCut('the request', target.requestEnding);
        await sent;
      },
    },
    ...(how === 'fin'
      ? []
      : [
          {
            title: 'the visitor resets in the middle of the answer',
            async run({ framing, visit, exchange }: Scene) {
              const visitor = await visit();
              const target = await exchange();
              target.respond(framing, BODY.length);
              const sent = target.send(BODY.subarray(0, HALF)).catch(() => {});
              await visitor.received(1);
              visitor.reset();
              await within("the end of the target's side", target.gone);
              await sent;
            },
          },
          {
            title: 'the visitor resets while it waits for an answer',
            async run({ visit, exchange }: Scene) {
              const visitor = await visit();
              const target = await exchange();
              visitor.reset();
              await within("the end of the target's side", target.gone);
            },
          },
        ]),
  ];
}

async function isClean(what: string, ending: Promise<Ending>): Promise<void> {
  assert.deepEqual(await within(`the end of ${what}`, ending), { verdict: 'clean', code: null });
}

async function isCut(what: string, ending: Promise<Ending>): Promise<void> {
  const { verdict } = await within(`the end of ${what}`, ending);
  assert.notEqual(verdict, 'clean', `${what} was cut but looked complete`);
}

export interface HttpRoute {
  /** Where visitors go. */
  readonly port: () => number;
  readonly tls: boolean;
  readonly version: HttpVersion;
  /** What the target speaks; framing by the end of the connection exists in HTTP/1.1 only. */
  readonly targetVersion: HttpVersion;
  readonly host?: string;
  readonly exchange: (path: string) => Promise<Exchange>;
}

/** One test for each ending and framing that the route can carry; `where` ends their titles. */
export function testHttpEndings(where: string, route: HttpRoute): void {
  const framings: readonly Framing[] =
    route.targetVersion === 'HTTP/2' ? ['chunked', 'length'] : ['chunked', 'length', 'close'];
  for (const framing of framings) {
    for (const ending of HTTP_ENDINGS) {
      if (ending.framings?.includes(framing) === false || ending.versions?.includes(route.version) === false) continue;
      test(`${ending.title} (${framing}), ${where}`, () => play(ending, framing, route));
    }
  }
}

async function play(ending: HttpEnding, framing: Framing, route: HttpRoute): Promise<void> {
  const { tls, version, host } = route;
  cases += 1;
  // A path of its own: what an earlier case left behind (a request that a proxy tried again) is not this one's.
  const path = `/case/${cases}`;
  const visits: Visit[] = [];
  try {
    await ending.run({
      framing,
      version,
      exchange: () => route.exchange(path),
      async visit(options = {}) {
        const where = { tls, version, path, ...(host === undefined ? {} : { host }) };
        const made = await visit(route.port(), { ...where, ...options });
        visits.push(made);
        return made;
      },
    });
  } finally {
    for (const made of visits) made.close();
  }
}

let cases = 0;
