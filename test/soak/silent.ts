import assert from 'node:assert/strict';
import { residentBytes } from '../bench/process-figures.ts';
import { Deployment } from '../support/deployment.ts';
import { SilentVisitors } from '../support/silent-visitors.ts';
import { type Soak, scaled } from './soak.ts';

const VISITORS = 10_000;
/** From accept to the end of a ClientHello, `readTimeout` of the server. */
const READ_TIMEOUT_MS = 10_000;

export const silentSoak: Soak = {
  name: 'silent',
  about: `${VISITORS} visitors connect and say nothing: others are served, agents come, and after 10 s all are gone`,
  async run({ scale }) {
    const count = scaled(VISITORS, scale);
    const deployment = await Deployment.start();
    const { pid = 0 } = deployment.server.child;
    try {
      const before = residentBytes(pid);
      const begun = performance.now();
      const silent = await SilentVisitors.open(deployment.frontDoor, count);
      try {
        const openedMs = performance.now() - begun;
        assert.equal(silent.ended, 0, 'none was turned away');
        const each = (residentBytes(pid) - before) / count;
        await deployment.killAgent();
        await deployment.untilServing();
        const servedMs = performance.now() - begun - openedMs;
        assert.ok(servedMs < READ_TIMEOUT_MS, 'an agent came while they were there');
        await silent.allEnded(3 * READ_TIMEOUT_MS);
        assert.deepEqual([...silent.alerts], [[90, count]]);
        await deployment.untilServing();
        const opened = `${count} were open after ${openedMs.toFixed(0)} ms, at ${(each / 1e3).toFixed(1)} kB each`;
        return `${opened}; meanwhile a new agent served after ${servedMs.toFixed(0)} ms; all ended with alert 90`;
      } finally {
        silent.close();
      }
    } finally {
      await deployment.close();
    }
  },
};
