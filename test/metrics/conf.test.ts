import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { parse } from 'yaml';
import { readmeSection, tableRows } from '../support/readme.ts';
import { sampleAgentMetrics, sampleServerMetrics } from '../support/sample-metrics.ts';
import { findTool, missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';

const ALERTS = 'conf/prometheus/alerts.yml';
const DASHBOARD = 'conf/grafana/backdial.json';

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}

interface AlertRule {
  readonly alert: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Every metric that a server or an agent has. */
async function existing(t: TestContext): Promise<Set<string>> {
  const texts = [sampleServerMetrics(), sampleAgentMetrics()].map(async ({ metrics, text }) => {
    t.after(() => metrics.close());
    return text();
  });
  const all = (await Promise.all(texts)).join('\n');
  return new Set(Array.from(all.matchAll(/^# TYPE (\w+) /gm), ([, name = '']) => name));
}

/** The metrics that PromQL names, without what a histogram adds to its own. */
function named(promQl: string): string[] {
  const names = promQl.match(/\b(?:backdial|process|nodejs)_\w+/g) ?? [];
  return names.map((name) => name.replace(/_(?:bucket|sum|count)$/, ''));
}

/** Those of the alert, as its file words them. */
function unservedAnnotations(domain: string): Record<string, string> {
  const { groups } = parse(readFileSync(ALERTS, 'utf8')) as { groups: { rules: AlertRule[] }[] };
  const rule = groups.flatMap(({ rules }) => rules).find(({ alert }) => alert === 'BackdialDomainUnserved');
  const entries = Object.entries(rule?.annotations ?? {});
  return Object.fromEntries(entries.map(([name, text]) => [name, text.replace('{{ $labels.domain }}', domain)]));
}

const panelsOf = () => (JSON.parse(readFileSync(DASHBOARD, 'utf8')) as { panels: Panel[] }).panels;

describe('what conf/ has for Prometheus and Grafana', () => {
  it('names only metrics that exist, in alerts and on the dashboard', async (t) => {
    const names = await existing(t);
    assert.ok(names.size > 30);
    for (const file of [ALERTS, DASHBOARD]) {
      const used = named(readFileSync(file, 'utf8'));
      assert.ok(used.length > 10, file);
      for (const name of used) assert.ok(names.has(name), `${file}: ${name}`);
    }
  });

  it('shows every metric on the dashboard, except for those that are only the same in another form', async (t) => {
    const shown = new Set(named(readFileSync(DASHBOARD, 'utf8')));
    const elsewhere =
      /^backdial_(?:tunnel_|agent_active|config_applied|config_generation|event_loop_util)|^process_start|^nodejs_ext/;
    const missing = [...(await existing(t))].filter((name) => !shown.has(name) && !elsewhere.test(name));
    assert.deepEqual(missing, []);
  });

  it('has alerts that promtool accepts', { skip: missingTools('promtool') }, () => {
    const { status, stdout, stderr } = spawnSync(findTool('promtool'), ['check', 'rules', ALERTS], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /SUCCESS: \d+ rules found/);
  });

  it('has a dashboard whose expressions promtool accepts', { skip: missingTools('promtool') }, async () => {
    const expressions = panelsOf().flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    assert.ok(expressions.length > 20);
    const rules = expressions.map((expr, index) => ({
      record: `a:${index}`,
      expr: expr.replace(/\$__rate_interval/g, '5m'),
    }));
    const text = JSON.stringify({ groups: [{ name: 'dashboard', rules }] });
    await withFolder({ 'rules.yml': text }, async (folder) => {
      const { status, stdout, stderr } = spawnSync(findTool('promtool'), ['check', 'rules', `${folder}/rules.yml`]);
      assert.equal(status, 0, `${stdout}${stderr}`);
    });
  });

  it('calls a domain served by nobody only where no `target` serves it', {
    skip: missingTools('promtool'),
  }, async () => {
    const of = (domain: string) => `{job="backdial-server", instance="s:9090", domain="${domain}"}`;
    const registrations = 'backdial_server_active_registrations';
    const expressions = panelsOf().flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    const counted = expressions.find((expr) => expr.startsWith(`count(${registrations}`));
    assert.ok(counted);
    const tests = {
      rule_files: [resolve(ALERTS)],
      tests: [
        {
          interval: '1m',
          input_series: [
            { series: `${registrations}${of('nobody.test')}`, values: '0x10' },
            { series: `${registrations}${of('agent.test')}`, values: '1x10' },
            { series: `${registrations}${of('target.test')}`, values: '0x10' },
            { series: `backdial_server_domain_target${of('target.test')}`, values: '1x10' },
          ],
          alert_rule_test: [
            {
              eval_time: '6m',
              alertname: 'BackdialDomainUnserved',
              exp_alerts: [
                {
                  exp_labels: {
                    severity: 'critical',
                    job: 'backdial-server',
                    instance: 's:9090',
                    domain: 'nobody.test',
                  },
                  exp_annotations: unservedAnnotations('nobody.test'),
                },
              ],
            },
          ],
          promql_expr_test: [
            {
              expr: counted.replace('$instance', '.*'),
              eval_time: '6m',
              exp_samples: [{ labels: '{}', value: 1 }],
            },
          ],
        },
      ],
    };
    await withFolder({ 'tests.yml': JSON.stringify(tests) }, async (folder) => {
      const { status, stdout, stderr } = spawnSync(findTool('promtool'), ['test', 'rules', `${folder}/tests.yml`]);
      assert.equal(status, 0, `${stdout}${stderr}`);
    });
  });

  it('has panels that do not overlap, each with a number and a title of its own', () => {
    const panels = panelsOf();
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length);
    const taken = new Set<string>();
    for (const { title, gridPos } of panels) {
      assert.ok(gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          assert.ok(!taken.has(`${x},${y}`), title);
          taken.add(`${x},${y}`);
        }
      }
    }
  });

  it('has every metric in README, and no other', async (t) => {
    const told = tableRows(readmeSection('Metrics')).map(([cell = '']) => /^`(\w+)/.exec(cell)?.[1]);
    assert.deepEqual(told.toSorted(), [...(await existing(t))].toSorted());
  });
});
