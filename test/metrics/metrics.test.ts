import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { register } from 'prom-client';
import type { StreamEnd, TunnelInfo } from '../../src/core/events.ts';
import {
  SAMPLE_PROGRAM,
  SAMPLE_STATS,
  sampleAccess,
  sampleAgentMetrics,
  sampleServerMetrics,
} from '../support/sample-metrics.ts';
import { findTool, missingTools } from '../support/tools.ts';
import { undisturbed } from '../support/undisturbed.ts';

const TUNNEL: TunnelInfo = { id: 't1', domain: 'www.test', instance: 'one', slot: 0, remote: '1:1', node: 'n' };

/** A server's metrics after something of everything has happened. */
function busyServer(t: TestContext) {
  const server = sampleServerMetrics();
  const { metrics } = server;
  t.after(() => metrics.close());
  const access = (more: Parameters<typeof sampleAccess>[0]) =>
    metrics.observer({ type: 'access', record: sampleAccess(more) });
  access({});
  access({ status: 502, reason: 'target-refused' });
  access({ domain: 'a.wild.test', status: 401, reason: 'credentials-wrong' });
  access({ method: null, path: null, status: null, way: 'tcp', in: 5, out: 6 });
  metrics.observer({ type: 'dialled', tunnel: TUNNEL, way: 'https', durationMs: 12, error: null });
  metrics.observer({ type: 'tunnel-opened', tunnel: TUNNEL, peerVersion: null });
  metrics.observer({ type: 'tunnel-closed', tunnel: TUNNEL, reason: 'lost', detail: null, lifetimeMs: 1 });
  metrics.observer({ type: 'connection-refused', remote: '1:1', reason: 'hello-invalid', detail: '', name: null });
  metrics.observer({
    type: 'handshake-refused',
    remote: '1:1',
    domain: 'x.test',
    instance: 'i',
    reason: 'secret-wrong',
    detail: '',
  });
  return server;
}

function busyAgent(t: TestContext) {
  const agent = sampleAgentMetrics();
  t.after(() => agent.metrics.close());
  agent.metrics.observer({ type: 'access', record: sampleAccess() });
  return agent;
}

const figureOf = (series: readonly string[], name: string) =>
  Number(
    series
      .find((line) => line.startsWith(name))
      ?.split(' ')
      .at(-1),
  );

const seriesOf = (text: string) => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

describe('metrics', () => {
  it('of a server tell what happened, by the names of the design', async (t) => {
    const series = seriesOf(await busyServer(t).text());
    for (const line of [
      'backdial_server_active_registrations{domain="www.test"} 1',
      'backdial_server_active_connections{domain="www.test",way="https"} 2',
      'backdial_server_domain_target{domain="*.wild.test"} 1',
      'backdial_server_connection_latency_seconds_count{domain="www.test",op="dial"} 1',
      'backdial_server_connection_latency_seconds_sum{domain="www.test",op="dial"} 0.012',
      'backdial_server_connection_latency_seconds_sum{domain="www.test",op="request"} 0.06',
      'backdial_server_client_round_trip_latency_seconds{domain="www.test"} 0.02',
      'backdial_proxy_requests_total{domain="www.test",code="200"} 1',
      'backdial_proxy_requests_total{domain="www.test",code="502"} 1',
      'backdial_proxy_requests_total{domain="*.wild.test",code="401"} 1',
      'backdial_stream_ends_total{domain="www.test",reason="done"} 2',
      'backdial_stream_ends_total{domain="www.test",reason="target-refused"} 1',
      'backdial_visitor_received_bytes_total{domain="www.test"} 25',
      'backdial_visitor_sent_bytes_total{domain="www.test"} 46',
      'backdial_login_failures_total{reason="credentials-wrong"} 1',
      'backdial_handshakes_refused_total{reason="secret-wrong"} 1',
      'backdial_connections_refused_total{reason="hello-invalid"} 1',
      'backdial_tunnels_opened_total 1',
      'backdial_tunnel_ends_total{reason="lost"} 1',
      'backdial_tunnel_ends_total{reason="silent"} 0',
      'backdial_tunnel_round_trip_seconds{domain="www.test",instance="one",slot="0"} 0.02',
      'backdial_tunnel_held_bytes{domain="www.test",instance="one",slot="0"} 7',
      'backdial_tunnel_window_bytes{domain="www.test",instance="one",slot="0"} 1048576',
      'backdial_tunnel_received_bytes_total{domain="a.wild.test",instance="one",slot="0"} 100',
      'backdial_tunnels 2',
      'backdial_memory_held_bytes 7',
      'backdial_memory_budget_bytes 1000',
      'backdial_config_generation 2',
      'backdial_config_last_reload_successful 1',
      'backdial_log_lines_dropped_total 4',
      'backdial_certificate_not_after_timestamp_seconds{hosts="*.example.com"} 1893456000',
      'backdial_tunnel_certificate_not_after_timestamp_seconds{domain="www.test",instance="one",slot="0"} 1893542400',
    ]) {
      assert.ok(series.includes(line), `${line}\n${series.join('\n')}`);
    }
    assert.ok(!series.some((line) => line.startsWith('backdial_server_domain_target{domain="www.test"')));
    assert.ok(figureOf(series, 'process_resident_memory_bytes') > 10_000_000);
    assert.ok(figureOf(series, 'process_open_fds') > 3);
    assert.match(series.join('\n'), /backdial_build_info\{version="\d.*",node="v\d.*",side="server"\} 1/);
  });

  it('of an agent count what a domain did that was added since they were read', async (t) => {
    let domains = [{ name: 'www.test', wanted: 1 }];
    const { metrics, text } = sampleAgentMetrics({ domains: () => domains, tunnels: () => [] });
    t.after(() => metrics.close());
    domains = [...domains, { name: 'new.test', wanted: 1 }];
    metrics.observer({ type: 'tunnel-opened', tunnel: { ...TUNNEL, domain: 'new.test' }, peerVersion: null });
    metrics.observer({ type: 'access', record: sampleAccess({ domain: 'new.test' }) });
    const requests = seriesOf(await text()).filter((line) => line.startsWith('backdial_proxy_requests_total'));
    assert.deepEqual(requests, ['backdial_proxy_requests_total{domain="new.test",code="200"} 1']);
  });

  it('of a domain have the mean round trip of all tunnels that it covers, in seconds', async (t) => {
    const tunnels = [20, 40, null].map((rttMs, slot) => ({
      domain: `${'abc'[slot]}.wild.test`,
      instance: 'one',
      slot,
      stats: { ...SAMPLE_STATS, rttMs },
    }));
    const { metrics, text } = sampleServerMetrics({ tunnels: () => tunnels });
    t.after(() => metrics.close());
    const means = seriesOf(await text()).filter((line) => line.startsWith('backdial_server_client_round_trip'));
    assert.deepEqual(means, ['backdial_server_client_round_trip_latency_seconds{domain="*.wild.test"} 0.03']);
  });

  it('have the age of the configuration and the CPU of the process in seconds', async (t) => {
    const cpuSeconds = () => process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6;
    t.mock.timers.enable({ apis: ['Date'], now: SAMPLE_PROGRAM.config.appliedAt + 61_500 });
    const { metrics, text } = sampleServerMetrics();
    t.after(() => metrics.close());
    const before = cpuSeconds();
    const series = seriesOf(await text());
    assert.equal(figureOf(series, 'backdial_config_age_seconds'), 61.5);
    const told = figureOf(series, 'process_cpu_seconds_total');
    assert.ok(before <= told && told <= cpuSeconds(), `${before} <= ${told} <= ${cpuSeconds()}`);
  });

  it(
    'have how late the event loop was since it was asked last, without the time between two looks',
    undisturbed(async (t) => {
      const { metrics, text } = sampleServerMetrics();
      t.after(() => metrics.close());
      const late = async (percentile: number) =>
        figureOf(seriesOf(await text()), `backdial_event_loop_delay_seconds{percentile="${percentile}"}`);
      // Two looks are 100 ms apart, and the first after a reset only begins; nothing tells of one.
      await sleep(230);
      const quiet = await late(50);
      assert.ok(quiet < 0.1, `${quiet}`);
      await sleep(110);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
      await sleep(1);
      const busy = await late(99);
      assert.ok(busy >= 0.19 && busy < 5, `${busy}`);
      assert.equal(await late(99), 0);
    }),
  );

  it('call no stream end by a reason that the table of error codes lacks', async (t) => {
    const { metrics, text } = sampleServerMetrics();
    t.after(() => metrics.close());
    for (const reason of ['target-refused', 'made-up' as StreamEnd, 'done'] as const) {
      metrics.observer({ type: 'access', record: sampleAccess({ reason }) });
    }
    const ends = seriesOf(await text()).filter((line) => line.startsWith('backdial_stream_ends_total'));
    const reasons = ends.map((line) => /reason="([^"]*)"/.exec(line)?.[1]);
    assert.deepEqual(reasons.toSorted(), ['done', 'target-refused']);
  });

  it('of an agent count a name under its wildcard for the wildcard, and no deeper one', async (t) => {
    const { metrics, text } = sampleAgentMetrics({ domains: () => [{ name: '*.wild.test', wanted: 2 }] });
    t.after(() => metrics.close());
    for (const domain of ['a.wild.test', 'b.wild.test', 'a.b.wild.test', 'wild.test']) {
      metrics.observer({ type: 'access', record: sampleAccess({ domain }) });
    }
    const requests = seriesOf(await text()).filter((line) => line.startsWith('backdial_proxy_requests_total'));
    assert.deepEqual(requests.toSorted(), [
      'backdial_proxy_requests_total{domain="*.wild.test",code="200"} 2',
      'backdial_proxy_requests_total{domain="-",code="200"} 2',
    ]);
  });

  it('of an agent have its streams, and the tunnels that it wants', async (t) => {
    const series = seriesOf(await busyAgent(t).text());
    for (const line of [
      'backdial_agent_active_connections{domain="www.test"} 3',
      'backdial_agent_tunnels{domain="www.test"} 1',
      'backdial_agent_tunnels_wanted{domain="www.test"} 2',
      'backdial_visitor_sent_bytes_total{domain="www.test"} 20',
    ]) {
      assert.ok(series.includes(line), `${line}\n${series.join('\n')}`);
    }
  });

  it('are the same when they are asked for twice', async (t) => {
    const { text } = busyServer(t);
    const steady = (lines: string[]) =>
      lines.filter((line) => !/^(process_|nodejs_|backdial_event_loop|backdial_config_age)/.test(line));
    assert.deepEqual(steady(seriesOf(await text())), steady(seriesOf(await text())));
  });

  it('cannot be made more by strangers: unknown names, names under a wildcard, methods', async (t) => {
    const { metrics, text } = busyServer(t);
    metrics.observer({ type: 'access', record: sampleAccess({ domain: null, status: 404, reason: 'domain-unknown' }) });
    const before = seriesOf(await text()).length;
    for (let i = 0; i < 2_000; i += 1) {
      for (const domain of [`x${i}.example`, `x${i}.wild.test`, `x${i}.www.test`]) {
        const record = sampleAccess({ domain, status: 404, reason: 'domain-unknown', method: `M${i}`, path: `/${i}` });
        metrics.observer({ type: 'access', record });
        metrics.observer({
          type: 'handshake-refused',
          remote: `${i}`,
          domain,
          instance: `i${i}`,
          reason: 'domain-unknown',
          detail: `${i}`,
        });
      }
    }
    const after = await text();
    assert.ok(seriesOf(after).length <= before + 3, `${before} series became ${seriesOf(after).length}`);
    assert.ok(seriesOf(after).includes('backdial_proxy_requests_total{domain="-",code="404"} 4001'));
  });

  it('have series for a bounded number of tunnels, and the sum for all', async (t) => {
    const tunnels = Array.from({ length: 3_000 }, (_, slot) => ({
      domain: 'www.test',
      instance: 'one',
      slot,
      stats: SAMPLE_STATS,
    }));
    const { metrics, text } = sampleServerMetrics({ tunnels: () => tunnels });
    t.after(() => metrics.close());
    const series = seriesOf(await text());
    assert.equal(series.filter((line) => line.startsWith('backdial_tunnel_streams{')).length, 1_000);
    assert.ok(series.includes('backdial_tunnels 3000'));
  });

  it('forget a domain that is taken out of the configuration', async (t) => {
    const { names, text } = busyServer(t);
    assert.match(await text(), /domain="\*\.wild\.test"/);
    names.delete('*.wild.test');
    names.add('wild.test');
    assert.doesNotMatch(await text(), /domain="\*\.wild\.test"/);
  });

  it('stay out of the registry that all users of prom-client in a process share', async (t) => {
    await busyServer(t).text();
    assert.deepEqual(register.getMetricsAsArray(), []);
  });

  it('please promtool', { skip: missingTools('promtool') }, async (t) => {
    for (const { text } of [busyServer(t), busyAgent(t)]) {
      const { status, stdout, stderr } = spawnSync(findTool('promtool'), ['check', 'metrics'], { input: await text() });
      assert.equal(status, 0, `${stdout}${stderr}`);
    }
  });
});
