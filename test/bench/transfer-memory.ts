import { DOMAIN, startBackdial } from './backdial.ts';
import { type Bench, type Figure, figure } from './bench.ts';
import { type CurlTransfer, curlDownload, curlUpload } from './curl.ts';
import { startHashingTarget } from './hashing-target.ts';
import { residentBytes } from './process-figures.ts';

/** How often resident memory is read during a transfer, ms. */
const SAMPLE_INTERVAL_MS = 50;
const LIMIT_MB = 64;

/** Large transfers through the HTTPS way in: nothing is changed, and memory does not grow with the size. */
export const transferMemory: Bench = {
  name: 'transfer-memory',
  title: 'HTTPS way in, one large download and upload with curl: growth of resident memory, SHA-256 at both ends',
  tools: ['curl', 'openssl'],
  async run({ transferBytes }) {
    const figures: Figure[] = [];
    for (const version of ['--http1.1', '--http2'] as const) {
      await using target = await startHashingTarget(transferBytes);
      await using backdial = await startBackdial({ targetPort: target.port });
      const url = `https://${DOMAIN}:${backdial.httpsPort}`;
      const directions: readonly [name: string, transfer: () => Promise<CurlTransfer>][] = [
        ['download', () => curlDownload(version, `${url}/download`)],
        ['upload', () => curlUpload(version, `${url}/upload`, transferBytes)],
      ];
      for (const [name, transfer] of directions) {
        const before = backdial.pids.map(residentBytes);
        const most = [...before];
        const sampler = setInterval(() => {
          for (const [index, pid] of backdial.pids.entries())
            most[index] = Math.max(most[index] ?? 0, residentBytes(pid));
        }, SAMPLE_INTERVAL_MS);
        const start = performance.now();
        const { sha256 } = await transfer().finally(() => clearInterval(sampler));
        const gigabits = (transferBytes * 8) / 1e6 / (performance.now() - start);
        if (sha256 !== target.sha256()) throw new Error(`${name} ${version}: the bytes were changed on their way`);
        const growth = (index: number): number => ((most[index] ?? 0) - (before[index] ?? 0)) / 2 ** 20;
        const view = `${name}, ${version.slice(2)}`;
        figures.push(
          figure('backdial server', `resident growth, ${view}`, 'MB', [growth(0)], { atMost: LIMIT_MB }),
          figure('backdial agent', `resident growth, ${view}`, 'MB', [growth(1)], { atMost: LIMIT_MB }),
          figure('backdial', view, 'Gbit/s', [gigabits]),
        );
      }
    }
    return figures;
  },
};
