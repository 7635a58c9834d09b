import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { StormResult } from '../support/abort-storm.ts';
import { testAuthority } from '../support/certificates.ts';
import { Deployment } from '../support/deployment.ts';
import { startPinger } from '../support/pinger.ts';
import { connectPeer } from '../support/raw-target.ts';
import { steadyPort } from '../support/steady-port.ts';
import { DOMAIN } from '../support/with-tunnel.ts';
import { type Soak, scaled } from './soak.ts';
import { measure, told } from './storm-figures.ts';
import { BANNER, startStormTarget } from './storm-target.ts';
import { stormInTunnel } from './storm-tunnel.ts';
import { STORM_VISITORS, type Storm } from './storm-visitors.ts';

const PER_SECOND = 5_000;
const SECONDS = 20;
/** So late an exchange beside the storm would be no service. */
const SERVED_WITHIN_MS = 5_000;
/** Processes that make visitors. */
const GENERATORS = 2;

type Case = 'tcp connected' | 'tcp answered' | 'http2 answered' | 'tunnel';
const CASES: readonly Case[] = ['tcp connected', 'tcp answered', 'http2 answered', 'tunnel'];

export const abortStormSoak: Soak = {
  name: 'storm',
  about: `${PER_SECOND} visitors a second who reset, for ${SECONDS} s: the tunnel and its other streams stay`,
  cases: CASES,
  async run({ scale, cases }) {
    const visitors = scaled(PER_SECOND * SECONDS, scale);
    for (const name of CASES.filter((one) => cases.includes(one))) {
      const storm = { visitors, perSecond: PER_SECOND };
      console.log(`  ${name}: ${await (name === 'tunnel' ? stormInTunnel(storm) : stormOfVisitors(name, storm))}`);
    }
    return 'no tunnel was lost, and what was open in one was served all the time';
  },
};

async function stormOfVisitors(
  name: Exclude<Case, 'tunnel'>,
  { visitors, perSecond }: { visitors: number; perSecond: number },
): Promise<string> {
  const http2 = name === 'http2 answered' ? { domain: DOMAIN, caFile: testAuthority().certFile } : null;
  const targetPort = await steadyPort();
  const target = await startStormTarget(http2 === null ? 'banner' : 'answer', targetPort);
  const deployment = await Deployment.start({ targetPort, metrics: true });
  try {
    const beside = await connectPeer(deployment.tcp);
    if (http2 === null) await beside.received(BANNER.length);
    const pinger = startPinger(beside.stream);
    const pids = { server: deployment.server.child.pid ?? 0, agent: deployment.agent.child.pid ?? 0 };
    const [, before] = [await deployment.metrics('server'), await deployment.metrics('agent')];
    const spent = measure(pids);
    const results = await Promise.all(
      Array.from({ length: GENERATORS }, () => {
        const share = { visitors: Math.ceil(visitors / GENERATORS), perSecond: perSecond / GENERATORS };
        const port = http2 === null ? deployment.tcp : deployment.frontDoor;
        return runVisitors({ ...share, port, http2, when: name === 'tcp connected' ? 'connected' : 'answered' });
      }),
    );
    const pings = await pinger.stop();
    const resets = results.reduce((sum, result) => sum + result.resets, 0);
    const refused = results.reduce((sum, result) => sum + result.refused, 0);
    assert.equal(refused, 0, 'visitors were cut before they reset');
    const after = [await deployment.metrics('server'), await deployment.metrics('agent')] as const;
    const streams = after[1]('backdial_stream_ends_total') - before('backdial_stream_ends_total');
    const lags = after.map((metrics) => metrics('backdial_event_loop_delay_seconds', '"99"'));
    assert.doesNotMatch(deployment.output(), /tunnel-closed|tunnel-draining/);
    assert.ok(pings.most < SERVED_WITHIN_MS, `an exchange beside the storm took ${pings.most} ms`);
    beside.close();
    const seconds = Math.max(...results.map(({ durationMs }) => durationMs)) / 1_000;
    const loop = `event loops late by p99 ${lags.map((lag) => `${(lag * 1e3).toFixed(0)} ms`).join(' and ')}`;
    return [
      `${resets} resets, ${Math.round(resets / seconds)} a second, ${streams} of them of a stream that the agent had`,
      spent(resets, seconds),
      loop,
      told(pings),
    ].join('; ');
  } finally {
    await deployment.close();
    target.kill('SIGKILL');
  }
}

async function runVisitors(storm: Storm): Promise<StormResult> {
  const child = fork(STORM_VISITORS, [JSON.stringify(storm)]);
  try {
    const ended = once(child, 'exit').then(() => Promise.reject(new Error('the visitors ended without a word')));
    const [result] = (await Promise.race([once(child, 'message'), ended])) as [StormResult];
    return result;
  } finally {
    child.kill('SIGKILL');
  }
}
