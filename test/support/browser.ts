import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { findTool } from './tools.ts';

/** A page of Debian's Chromium, and what went wrong on it. */
export interface TestPage {
  readonly page: Page;
  /** Errors of scripts and of the Content-Security-Policy, failed requests, requests to elsewhere. */
  readonly faults: string[];
}

/** Opens a page while `body` runs. */
export async function withPage(
  url: string,
  options: BrowserContextOptions,
  body: (page: TestPage) => Promise<void>,
): Promise<void> {
  const browser: Browser = await chromium.launch({ executablePath: findTool('chromium'), args: ['--no-sandbox'] });
  try {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const faults: string[] = [];
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) faults.push(message.text());
    });
    page.on('request', (request) => {
      if (new URL(request.url()).host !== new URL(url).host) faults.push(`a request to ${request.url()}`);
    });
    await page.goto(url);
    await body({ page, faults });
  } finally {
    await browser.close();
  }
}
