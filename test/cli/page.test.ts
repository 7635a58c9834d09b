import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { pageRoutes } from '../../src/cli/page-routes.ts';
import { summaryOf } from '../../src/cli/program-summary.ts';
import { RefusalList } from '../../src/cli/refusal-list.ts';
import { StatusFeed } from '../../src/cli/status-feed.ts';
import { Secret } from '../../src/core/secret.ts';
import type { DomainState } from '../../src/index.ts';
import type { TrafficTotals } from '../../src/metrics/traffic.ts';
import { createApiServer } from '../../src/net/api-server.ts';
import { withPage } from '../support/browser.ts';
import { SAMPLE_STATS } from '../support/sample-metrics.ts';
import { missingTools } from '../support/tools.ts';

const TOKEN = 'a token of a test, long enough';

/** The page over a server that is played: domains, their traffic, refusals. */
async function startPage(t: TestContext, names: readonly string[], token: string | null = null) {
  const domains = new Map<string, DomainState>();
  const traffic = new Map<string, TrafficTotals>();
  const refusals = new RefusalList();
  const polls: number[] = [];
  const serve = (name: string, instances: readonly string[]) =>
    domains.set(name, {
      name,
      instances: instances.map((each) => ({ name: each, domain: name, tunnels: 2, streams: 1 })),
      active: { https: 1 },
    });
  for (const name of names) serve(name, ['one']);
  const tunnels = () => [
    {
      id: 't1',
      domain: 'www.test',
      instance: 'one',
      slot: 0,
      remote: '192.0.2.1:5',
      node: 'n',
      stats: () => SAMPLE_STATS,
    },
  ];
  const feed = new StatusFeed({
    summary: () =>
      summaryOf({
        kind: 'server',
        name: 'vps',
        draining: false,
        domains: domains.size,
        served: domains.size,
        tunnels: 1,
        active: 1,
        memory: { heldBytes: 0, budgetBytes: 1 },
        config: { generation: 1, appliedAt: 0, lastReloadOk: true },
        certificates: [{ hosts: '*.test', notAfter: Date.now() + 86_400_000 * 3.5 }],
      }),
    domains: () => [...domains.values()],
    tunnels,
    traffic: () => new Map(traffic),
    domainOf: (name) => name,
    refusals,
  });
  const api = createApiServer({
    info: { title: '', version: '', description: '' },
    routes: [
      ...pageRoutes(),
      {
        method: 'GET',
        path: '/changes',
        handle: ({ query }) => {
          const json = feed.changes(query.get('since') ?? '');
          polls.push(JSON.stringify(json).length);
          return { json };
        },
      },
      {
        method: 'GET',
        path: '/tunnels',
        handle: () => ({ json: tunnels().map(({ stats, ...info }) => ({ ...info, ...stats() })) }),
      },
    ],
  });
  t.after(() => api.close());
  await api.apply({
    listen: [{ host: '127.0.0.1', port: 0 }],
    token: token === null ? null : new Secret(token),
    names: [],
  });
  const [address] = api.addresses;
  assert.ok(address !== undefined && 'port' in address);
  const visit = (name: string, requests: number) => {
    const before = traffic.get(name) ?? { requests: 0, failures: 0, receivedBytes: 0, sentBytes: 0 };
    traffic.set(name, {
      ...before,
      requests: before.requests + requests,
      sentBytes: before.sentBytes + 1_000 * requests,
    });
  };
  return { url: `http://127.0.0.1:${address.port}/`, domains, serve, refusals, polls, visit };
}

describe('the status page', { skip: missingTools('chromium') }, () => {
  it('shows domains, what changes, tunnels by keyboard, refusals and certificates, under its strict policy', async (t) => {
    const { url, serve, domains, refusals, visit } = await startPage(t, ['www.test', 'api.test']);
    visit('www.test', 1);
    await withPage(url, { viewport: { width: 1_200, height: 900 } }, async ({ page, faults }) => {
      const row = (name: string) => page.locator('.space .row').filter({ hasText: name });
      await row('www.test').waitFor();
      assert.match(await page.locator('header').innerText(), /Backdial vps\s+serving/);
      assert.equal(await page.locator('.space .row').count(), 2);
      assert.match(await page.locator('main').innerText(), /\*\.test[\s\S]*3 d/);
      // What changes comes by itself.
      visit('www.test', 500);
      serve('new.test', []);
      domains.delete('api.test');
      refusals.observe({
        type: 'handshake-refused',
        remote: '192.0.2.9:1',
        domain: '<img src=x onerror=alert(1)>',
        instance: null,
        reason: 'secret-wrong',
        detail: '<script>alert(1)</script>',
      });
      await row('new.test').waitFor();
      assert.match(await row('new.test').innerText(), /nobody/);
      await page.getByText('<img src=x onerror=alert(1)>').waitFor();
      assert.equal(await row('api.test').count(), 0);
      await page.waitForFunction(`/[1-9]/.test(document.querySelectorAll('.figures dd')[3].textContent)`);
      // By keyboard alone: search, the row, its tunnels, Escape.
      await page.keyboard.press('Tab');
      await page.keyboard.type('www');
      await row('new.test').waitFor({ state: 'detached' });
      await row('www.test').getByRole('button').focus();
      await page.keyboard.press('Enter');
      await page.getByText('192.0.2.1:5').waitFor();
      await page.keyboard.press('Escape');
      await page.getByText('192.0.2.1:5').waitFor({ state: 'detached' });
      await page.locator('input[type=search]').fill('');
      await page.getByLabel('only those that nobody serves').check();
      await row('www.test').waitFor({ state: 'detached' });
      assert.equal(await page.locator('.space .row').count(), 1);
      assert.deepEqual(faults, []);
      const response = await page.request.get(url);
      assert.match(response.headers()['content-security-policy'] ?? '', /^default-src 'none'; script-src 'self';/);
      assert.doesNotMatch(await response.text(), /https?:\/\//);
    });
  });

  it('asks for the token where there is one, says when it is wrong, and keeps it for this tab only', async (t) => {
    const { url } = await startPage(t, ['www.test'], TOKEN);
    await withPage(url, {}, async ({ page, faults }) => {
      await page.locator('#token').fill('wrong');
      await page.getByRole('button', { name: 'Show' }).click();
      await page.getByText('The token was wrong').waitFor();
      await page.locator('#token').fill(TOKEN);
      await page.keyboard.press('Enter');
      await page.locator('.space .row').waitFor();
      assert.equal(await page.evaluate('localStorage.length + document.cookie.length'), 0);
      // The browser itself tells of the 401s.
      assert.deepEqual(
        faults.filter((fault) => !/401/.test(fault)),
        [],
      );
    });
  });

  it('fits a phone, and is dark where that is wished for', async (t) => {
    const { url } = await startPage(t, ['www.test', `${'a-very-long-name.'.repeat(8)}test`]);
    const back = new Set<string>();
    for (const colorScheme of ['light', 'dark'] as const) {
      await withPage(url, { viewport: { width: 360, height: 740 }, colorScheme }, async ({ page, faults }) => {
        await page.locator('.space .row').first().waitFor();
        const width = Number(await page.evaluate('document.documentElement.scrollWidth'));
        assert.ok(width <= 360, `${width} px wide`);
        back.add(String(await page.evaluate('getComputedStyle(document.documentElement).backgroundColor')));
        assert.deepEqual(faults, []);
      });
    }
    assert.equal(back.size, 2);
  });

  it('with 10,000 domains and 200 requests a second draws what is seen, and is sent what changed', async (t) => {
    const names = Array.from({ length: 10_000 }, (_, index) => `d${String(index).padStart(5, '0')}.test`);
    const { url, polls, visit } = await startPage(t, names);
    await withPage(url, { viewport: { width: 1_200, height: 900 } }, async ({ page, faults }) => {
      await page.getByRole('status').filter({ hasText: '10000 of 10000' }).waitFor();
      const load = setInterval(() => {
        for (let i = 0; i < 20; i += 1) visit(names[Math.floor(Math.random() * names.length)] ?? '', 1);
      }, 100);
      try {
        const session = await page.context().newCDPSession(page);
        await session.send('Performance.enable');
        const busySeconds = async () => {
          const { metrics } = await session.send('Performance.getMetrics');
          return metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0;
        };
        const [from, before] = [await busySeconds(), polls.length];
        await page.waitForTimeout(4_000);
        const updates = polls.length - before;
        const perUpdateMs = ((await busySeconds()) - from) * (1_000 / updates);
        assert.ok(updates >= 2, `${updates} updates`);
        assert.ok(perUpdateMs < 100, `${perUpdateMs} ms of the page's thread for each update`);
      } finally {
        clearInterval(load);
      }
      const [first = 0, ...later] = polls;
      assert.ok(Math.max(...later) < first / 10, `${first} bytes at first, then ${later}`);
      assert.ok((await page.locator('.space .row').count()) < 60);
      await page.locator('.list').evaluate((list) => list.scrollTo(0, list.scrollHeight));
      await page.locator('.space .row').filter({ hasText: 'd09999.test' }).waitFor();
      assert.deepEqual(faults, []);
    });
  });
});
