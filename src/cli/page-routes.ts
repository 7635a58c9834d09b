import { readFile } from 'node:fs/promises';
import { getAsset, isSea } from 'node:sea';
import { fileURLToPath } from 'node:url';
import { BackdialError } from '../core/errors.ts';
import type { ApiRoute } from '../net/api-route.ts';

/** Nothing from elsewhere, nothing inline, no form that leaves, no frame around it. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const SCRIPT = 'text/javascript; charset=utf-8';

const FILES: readonly (readonly [path: string, type: string, url: () => string])[] = [
  ['/', 'text/html; charset=utf-8', () => import.meta.resolve('./page/index.html')],
  ['/page.js', SCRIPT, () => import.meta.resolve('./page/page.js')],
  ['/known.js', SCRIPT, () => import.meta.resolve('./page/known.js')],
  ['/domains.js', SCRIPT, () => import.meta.resolve('./page/domains.js')],
  ['/details.js', SCRIPT, () => import.meta.resolve('./page/details.js')],
  ['/text.js', SCRIPT, () => import.meta.resolve('./page/text.js')],
  ['/page.css', 'text/css; charset=utf-8', () => import.meta.resolve('./page/page.css')],
  ['/icon.svg', 'image/svg+xml', () => import.meta.resolve('./page/icon.svg')],
  // preact and htm in one file, as the package has it for browsers.
  ['/preact.js', SCRIPT, () => import.meta.resolve('htm/preact/standalone')],
];

/** The files of the status page. They hold no data, so that they are shown to whoever may still have to give the token. */
export function pageRoutes(): ApiRoute[] {
  return FILES.map(([path, type, url]) => {
    let bytes: Promise<Buffer> | null = null;
    return {
      method: 'GET',
      path,
      open: true,
      handle: async () => {
        bytes ??= read(path, url);
        return { bytes: await bytes, type, headers: { 'Content-Security-Policy': POLICY } };
      },
    };
  });
}

async function read(path: string, url: () => string): Promise<Buffer> {
  try {
    // The single executable has no files beside it.
    if (isSea()) return Buffer.from(getAsset(`page${path === '/' ? '/index.html' : path}`));
    return await readFile(fileURLToPath(url()));
  } catch (cause) {
    const text = 'this build has no page; `backdial status --watch` shows the same on a terminal';
    throw new BackdialError('api-not-found', text, { cause });
  }
}
