import { once } from 'node:events';
import * as https from 'node:https';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { pinOf } from '../../src/net/pin.ts';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { findTool } from '../support/tools.ts';
import { within } from '../support/within.ts';
import { type Backdial, DOMAIN, startBackdial } from './backdial.ts';
import { type Bench, type Figure, figure } from './bench.ts';
import type { AgentsOrder } from './idle-tunnels.ts';
import { startTarget } from './nginx.ts';
import { CATEGORIES, type PageWork, pageWork } from './page-work.ts';
import { freePort, startProgram } from './program.ts';

const AGENTS = fileURLToPath(new URL('./many-agents.ts', import.meta.url));
const DOMAINS = 10_000;
/** Served by an agent; the others have a target beside the server. */
const SERVED = 500;
const SECRET = 'a secret of the benches';
const REQUESTS_A_SECOND = 200;
const LOAD_INTERVAL_MS = 50;
const SCHEMES = ['light', 'dark'] as const;
/** From the issue: of a frame. */
const FRAME_MS = 100;
const LOADED_MS = 120_000;

const nameOf = (index: number): string => `site-${index}.example.com`;

/** What somebody does who looks at the page. Each is traced by itself. */
const PHASES: readonly (readonly [name: string, act: (page: Page, seconds: number) => Promise<void>])[] = [
  ['updates', (page, seconds) => page.waitForTimeout(1_000 * seconds)],
  ['typing', (page) => page.locator('input[type=search]').pressSequentially('site-77', { delay: 100 })],
  [
    'scrolling',
    async (page) => {
      await page.locator('input[type=search]').fill('');
      await page.locator('.list').hover();
      for (let turn = 0; turn < 60; turn += 1) await page.mouse.wheel(0, turn < 40 ? 400 : 20_000);
      await page.waitForTimeout(1_000);
    },
  ],
  [
    'sorting',
    async (page) => {
      for (const column of ['requests/s', 'out', 'round trip', 'domain']) {
        await page.getByRole('columnheader', { name: column, exact: true }).getByRole('button').click();
        await page.waitForTimeout(500);
      }
    },
  ],
];

/** The status page in Chromium. What is judged is CPU of its thread: a frame's time on a machine of two cores is its neighbours', too. */
export const page: Bench = {
  name: 'page',
  title: `the status page: ${DOMAINS} domains, ${REQUESTS_A_SECOND} requests a second to all of them, ${SERVED} have an agent`,
  tools: ['chromium', 'nginx', 'openssl'],
  async run({ rounds, seconds }) {
    await using target = await startTarget();
    const adminPort = await freePort();
    await using backdial = await startServer(target.port, adminPort);
    await using agents = startProgram('agents', process.execPath, [AGENTS], { ipc: true });
    const open = once(agents.child, 'message');
    const names = Array.from({ length: SERVED }, (_, index) => nameOf(index));
    const pin = pinOf(testCertificate().cert);
    agents.child.send({ port: backdial.httpsPort, pin, names, secret: SECRET, connections: 1 } satisfies AgentsOrder);
    await within('all tunnels', open, LOADED_MS);
    using _load = visitAll(backdial.httpsPort);
    const browser = await chromium.launch({ executablePath: findTool('chromium'), args: ['--no-sandbox'] });
    try {
      const shown: Shown[] = [];
      for (let round = 0; round < Math.min(3, rounds); round += 1) {
        for (const scheme of SCHEMES) shown.push(await show(browser, { scheme, adminPort, seconds }));
      }
      return figuresOf(shown);
    } finally {
      await browser.close();
    }
  },
};

function startServer(targetPort: number, adminPort: number): Promise<Backdial> {
  const serverFiles: Record<string, string> = {};
  for (let index = 0; index < DOMAINS - 1; index += 1) {
    const own = index < SERVED ? { secret: SECRET } : { target: `http://127.0.0.1:${targetPort}` };
    serverFiles[`domains/${nameOf(index)}.json5`] = JSON.stringify({ active: true, ...own });
  }
  return startBackdial({ targetPort, serverFiles, serverKeys: { admin: { listen: `127.0.0.1:${adminPort}` } } });
}

/** Asks for one domain after the other, on a few connections: Host says which. */
function visitAll(port: number): Disposable {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 8, ca: testAuthority().cert });
  let asked = 0;
  const timer = setInterval(() => {
    for (let i = 0; i < (REQUESTS_A_SECOND * LOAD_INTERVAL_MS) / 1_000; i += 1) {
      asked += 7;
      const options = { host: DOMAIN, family: 4, port, agent, headers: { host: nameOf(asked % (DOMAINS - 1)) } };
      https.get(options, (response) => response.resume()).on('error', () => {});
    }
  }, LOAD_INTERVAL_MS);
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      agent.destroy();
    },
  };
}

/** What one visit of the page showed. */
interface Shown {
  readonly scheme: (typeof SCHEMES)[number];
  readonly work: ReadonlyMap<string, PageWork>;
  readonly firstBytes: number;
  readonly laterBytes: number;
}

interface Visit {
  readonly scheme: Shown['scheme'];
  readonly adminPort: number;
  readonly seconds: number;
}

async function show(browser: Browser, { scheme, adminPort, seconds }: Visit): Promise<Shown> {
  const context = await browser.newContext({ viewport: { width: 1_280, height: 900 }, colorScheme: scheme });
  const tab = await context.newPage();
  const sizes: number[] = [];
  tab.on('response', (response) => {
    if (response.url().includes('/changes'))
      void response.body().then(
        (body) => sizes.push(body.length),
        () => {},
      );
  });
  const traced = async (act: () => Promise<void>): Promise<PageWork> => {
    await browser.startTracing(tab, { categories: CATEGORIES });
    await act();
    return pageWork(await browser.stopTracing());
  };
  const work = new Map<string, PageWork>();
  const load = async (): Promise<void> => {
    await tab.goto(`http://127.0.0.1:${adminPort}/`);
    await tab.locator('.space .row').first().waitFor({ timeout: LOADED_MS });
    await tab.waitForTimeout(500);
  };
  work.set('first load', await traced(load));
  for (const [name, act] of PHASES) work.set(name, await traced(() => act(tab, seconds)));
  await context.close();
  const [firstBytes = 0, ...later] = sizes;
  return { scheme, work, firstBytes, laterBytes: Math.max(...later) };
}

function figuresOf(shown: readonly Shown[]): Figure[] {
  const figures = SCHEMES.flatMap((scheme) => {
    const ofScheme = shown.filter((one) => one.scheme === scheme);
    const works = (name: string) => ofScheme.map(({ work }) => work.get(name) as PageWork);
    return ['first load', ...PHASES.map(([name]) => name)].flatMap((name) => [
      figure(
        `${scheme}, ${name}`,
        'busiest frame, CPU',
        'ms',
        works(name).map(({ busiestFrameCpuMs }) => busiestFrameCpuMs),
        { atMost: FRAME_MS },
      ),
      figure(
        `${scheme}, ${name}`,
        'longest task',
        'ms',
        works(name).map(({ longestTaskMs }) => longestTaskMs),
      ),
    ]);
  });
  const all = (read: (one: Shown) => number) => shown.map(read);
  return [
    ...figures,
    figure(
      'first poll',
      'sent',
      'kB',
      all(({ firstBytes }) => firstBytes / 1_000),
    ),
    figure(
      'largest later poll',
      'sent',
      'kB',
      all(({ laterBytes }) => laterBytes / 1_000),
    ),
  ];
}
