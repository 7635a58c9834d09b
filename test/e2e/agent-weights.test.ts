import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { withRouted } from '../support/routed.ts';
import { steadyPort } from '../support/steady-port.ts';
import { startToldTarget, type Told } from '../support/told-target.ts';
import { eventually } from '../support/within.ts';

describe('a weighted list of targets', () => {
  test('shares the requests by the weights, also of visitors who come one by one', async () => {
    const [heavy, light] = [await startToldTarget('heavy'), await startToldTarget('light')];
    const list = `[{ url: "http://127.0.0.1:${heavy.port}", weight: 3 }, "http://127.0.0.1:${light.port}"]`;
    try {
      for (const more of ['', 'proxyProtocol: null, path: "^/",']) {
        await withRouted({ keys: `targets: { ${more} target: ${list} }` }, async ({ ask }) => {
          const counts: Record<string, number> = { heavy: 0, light: 0 };
          for (let i = 0; i < 16; i += 1) {
            const { target } = await ask<Told>('/');
            counts[target] = (counts[target] ?? 0) + 1;
          }
          assert.deepEqual(counts, { heavy: 12, light: 4 });
        });
      }
    } finally {
      await Promise.all([heavy.close(), light.close()]);
    }
  });

  test('does without one that refuses, says so once, and takes it again when it is back', async () => {
    const good = await startToldTarget('good');
    const port = await steadyPort();
    const keys = `targets: { name: "app", target: ["http://127.0.0.1:${port}", "http://127.0.0.1:${good.port}"] }`;
    try {
      await withRouted({ keys }, async ({ ask, curl, agentEvents }) => {
        const answers = await Promise.all(Array.from({ length: 12 }, () => ask<Told>('/', '--data', 'not sent twice')));
        assert.deepEqual(new Set(answers.map(({ target }) => target)), new Set(['good']));
        const warnings = agentEvents.of('warning').map(({ code, message }) => `${code} ${message}`);
        assert.equal(warnings.length, 1, warnings.join('\n'));
        assert.match(warnings[0] ?? '', /^target-refused .*: target app: 127\.0\.0\.1:\d+ is avoided: /);
        const back = await startToldTarget('back', { port });
        try {
          let found = false;
          const looking = (async () => {
            while (!found) found = (await ask<Told>('/')).target === 'back';
          })();
          await eventually('the one that is back', () => found);
          await looking;
          const counts = new Map<string, number>();
          for (let i = 0; i < 10; i += 1) {
            const { target } = await ask<Told>('/');
            counts.set(target, (counts.get(target) ?? 0) + 1);
          }
          assert.deepEqual(counts, new Map([...counts.keys()].map((name) => [name, 5])));
          assert.equal(counts.size, 2);
          const [told, ...more] = agentEvents.of('target-back');
          assert.deepEqual([told?.route, told?.target, more], ['app', `127.0.0.1:${port}`, []]);
        } finally {
          await back.close();
        }
        await good.close();
        const { status, text } = await curl('/');
        assert.equal(status, 502);
        assert.match(text, /details="target-refused"/);
      });
    } finally {
      await good.close().catch(() => {});
    }
  });
});
