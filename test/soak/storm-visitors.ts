import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { abortStorm, type StormOptions } from '../support/abort-storm.ts';
import { http2Storm } from '../support/http2-storm.ts';

/** The file of this program: visitors of a storm, in a process of their own. Its argument is a {@link Storm} as JSON. */
export const STORM_VISITORS = fileURLToPath(import.meta.url);

export interface Storm extends StormOptions {
  /** Null: of the TCP way in; else of the HTTPS way in, over HTTP/2. */
  readonly http2: { readonly domain: string; readonly caFile: string } | null;
}

if (process.argv[1] === STORM_VISITORS) {
  const { http2, ...options } = JSON.parse(process.argv[2] ?? '') as Storm;
  const result = await (http2 === null
    ? abortStorm(options)
    : http2Storm({ ...options, domain: http2.domain, ca: readFileSync(http2.caFile) }));
  process.send?.(result, () => process.exit());
}
