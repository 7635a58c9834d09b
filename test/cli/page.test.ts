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
import { eventually } from '../support/within.ts';

const TOKEN = 'a token of a test, long enough';

/** The page over a server that is played: domains, their traffic, refusals. */
async function startPage(t: TestContext, names: readonly string[], token: string | null = null) {
  const domains = new Map<string, DomainState>();
  const traffic = new Map<string, TrafficTotals>();
  const inactive = new Set<string>();
  const refusals = new RefusalList();
  const polls: number[] = [];
  const serve = (name: string, instances: readonly string[], hasTarget = false) =>
    domains.set(name, {
      name,
      instances: instances.map((each) => ({ name: each, domain: name, tunnels: 2, streams: 1 })),
      hasTarget,
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
        inactive: inactive.size,
        served: domains.size,
        tunnels: 1,
        active: 1,
        memory: { heldBytes: 0, budgetBytes: 1 },
        config: { generation: 1, appliedAt: 0, lastReloadOk: true },
        certificates: [{ hosts: '*.test', notAfter: Date.now() + 86_400_000 * 3.5 }],
      }),
    domains: () => [...domains.values()],
    inactive: () => [...inactive],
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
  const url = `http://127.0.0.1:${address.port}/`;
  return { url, close: () => api.close(), domains, inactive, serve, refusals, polls, visit };
}

it('shows sizes as configuration files take them: a kB has 1,024 bytes', async () => {
  const { size } = await import(new URL('../../src/cli/page/text.js', import.meta.url).href);
  const shown = [0, 999, 1_000, 1_536, 20_000, 67_108_864].map((bytes) => size(bytes));
  assert.deepEqual(shown, ['0 B', '999 B', '1.0 kB', '1.5 kB', '20 kB', '64 MB']);
});

describe('the status page', { skip: missingTools('chromium') }, () => {
  it('shows domains, what changes, tunnels by keyboard, refusals and certificates, under its strict policy', async (t) => {
    const { url, serve, domains, inactive, refusals, visit } = await startPage(t, ['www.test', 'api.test']);
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
      serve('beside.test', [], true);
      domains.delete('api.test');
      inactive.add('off.test');
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
      assert.match(await row('beside.test').innerText(), /its target/);
      assert.match(await row('off.test').innerText(), /inactive/);
      assert.match(await page.locator('.figures').innerText(), /inactive domains\s+1/);
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
    const { url, refusals } = await startPage(t, ['www.test', `${'a-very-long-name.'.repeat(8)}test`]);
    refusals.observe({
      type: 'connection-refused',
      remote: '[2001:db8:1:2:3:4:5:6]:51234',
      name: 'www.test',
      reason: 'certificate-missing',
      detail: 'x',
    });
    const back = new Set<string>();
    for (const colorScheme of ['light', 'dark'] as const) {
      await withPage(url, { viewport: { width: 360, height: 740 }, colorScheme }, async ({ page, faults }) => {
        await page.locator('.space .row').first().waitFor();
        const width = Number(await page.evaluate('document.documentElement.scrollWidth'));
        assert.ok(width <= 360, `${width} px wide`);
        // No cell so narrow that its words are broken letter by letter.
        await page.locator('.space .row').first().getByRole('button').click();
        await page.getByText('192.0.2.1:5').waitFor();
        const heights = await page.locator('td').evaluateAll((cells) => cells.map((cell) => cell.clientHeight));
        assert.ok(heights.length >= 10 + 3 && Math.max(...heights) < 80, `${heights}`);
        back.add(String(await page.evaluate('getComputedStyle(document.documentElement).backgroundColor')));
        assert.deepEqual(faults, []);
      });
    }
    assert.equal(back.size, 2);
  });

  it('of 10,000 domains draws what is seen, is sent what changed, and draws nothing else anew', async (t) => {
    const names = Array.from({ length: 10_000 }, (_, index) => `d${String(index).padStart(5, '0')}.test`);
    const { url, polls, visit } = await startPage(t, names);
    const nextPolls = async (count: number) => {
      const before = polls.length;
      await eventually('polls', () => polls.length >= before + count);
    };
    await withPage(url, { viewport: { width: 1_200, height: 900 } }, async ({ page, faults }) => {
      await page.getByRole('status').filter({ hasText: '10000 of 10000' }).waitFor();
      assert.ok((await page.locator('.space .row').count()) < 60);
      // As many as the list is high are drawn once its height is known.
      await nextPolls(2);
      await page.evaluate(`
        drawn = new Set();
        new MutationObserver((all) => all.forEach(({ target }) => {
          const row = (target.closest ? target : target.parentElement).closest('.row');
          drawn.add(row === null ? 'the list' : row.innerText.split('\\n')[0]);
        })).observe(document.querySelector('.list'), { subtree: true, childList: true, characterData: true, attributes: true });`);
      const drawn = (): Promise<string[]> => page.evaluate('[...drawn]');
      for (const name of names.slice(5_000, 5_200)) visit(name, 1);
      await nextPolls(2);
      assert.deepEqual(await drawn(), []);
      visit('d00003.test', 5);
      await page.locator('.row').filter({ hasText: 'd00003.test' }).filter({ hasText: 'kB/s' }).waitFor();
      await nextPolls(2);
      assert.deepEqual(await drawn(), ['d00003.test']);
      const [first = 0, ...later] = polls;
      assert.ok(Math.max(...later) < first / 10, `${first} bytes at first, then ${later}`);
      await page.locator('.list').evaluate((list) => list.scrollTo(0, list.scrollHeight));
      await page.locator('.space .row').filter({ hasText: 'd09999.test' }).waitFor();
      assert.deepEqual(faults, []);
    });
  });

  it('sorts by what a column says, the busiest first, and by name again', async (t) => {
    const { url, serve, visit } = await startPage(t, ['a.test', 'b.test', 'c.test']);
    await withPage(url, { viewport: { width: 1_200, height: 900 } }, async ({ page }) => {
      const order = async (names: string) => {
        for (const [index, name] of [...names].entries()) {
          await page
            .locator(`.row[aria-rowindex="${index + 2}"]`)
            .filter({ hasText: `${name}.test` })
            .waitFor();
        }
      };
      const head = (name: string) => page.getByRole('columnheader', { name });
      await order('abc');
      assert.equal(await head('domain').getAttribute('aria-sort'), 'ascending');
      await head('tunnels').getByRole('button').focus();
      await page.keyboard.press('Enter');
      serve('c.test', ['one', 'two', 'three']);
      serve('b.test', ['one', 'two']);
      await order('cba');
      assert.equal(await head('tunnels').getAttribute('aria-sort'), 'descending');
      const load = setInterval(() => visit('b.test', 9), 50);
      t.after(() => clearInterval(load));
      await head('requests/s').getByRole('button').click();
      await order('bac');
      await head('domain').getByRole('button').click();
      await order('abc');
    });
  });

  it('says what is not there, and that the server is gone', async (t) => {
    const { url, close } = await startPage(t, []);
    await withPage(url, {}, async ({ page }) => {
      await page.getByText('No domain is configured yet').waitFor();
      await close();
      await page.getByRole('alert').filter({ hasText: 'the server cannot be reached' }).waitFor();
      await page.getByText('No domain is configured yet').waitFor();
    });
  });
});
