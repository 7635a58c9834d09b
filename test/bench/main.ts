import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { lookForTool } from '../support/tools.ts';
import { type Bench, type BenchSettings, passes } from './bench.ts';
import { bulk } from './bulk.ts';
import { cliStart } from './cli-start.ts';
import { exposures } from './exposures.ts';
import { guardedCpu } from './guarded-cpu.ts';
import { httpsCpu } from './https-cpu.ts';
import { idleMemory } from './idle-memory.ts';
import { idleTunnels } from './idle-tunnels.ts';
import { library } from './library.ts';
import { libraryFetch } from './library-fetch.ts';
import { loginStorm } from './login-storm.ts';
import { longPath } from './long-path.ts';
import { manyDomains } from './many-domains.ts';
import { metricsCpu } from './metrics-cpu.ts';
import { page } from './page.ts';
import { peek } from './peek.ts';
import { lookForRathole } from './rathole.ts';
import { type BenchReport, describeMachine, formatMarkdown, formatTable } from './report.ts';
import { shortConnections } from './short-connections.ts';
import { manyStalledReaders, stalledReaders } from './stalled-readers.ts';
import { stealth } from './stealth.ts';
import { tcpCpu } from './tcp-cpu.ts';
import { transferMemory } from './transfer-memory.ts';

const BENCHES: readonly Bench[] = [
  httpsCpu,
  tcpCpu,
  shortConnections,
  transferMemory,
  idleMemory,
  idleTunnels,
  stalledReaders,
  manyStalledReaders,
  bulk,
  longPath,
  peek,
  guardedCpu,
  metricsCpu,
  manyDomains,
  loginStorm,
  library,
  libraryFetch,
  stealth,
  exposures,
  cliStart,
  page,
];

const USAGE = `npm run bench -- [name...] [--rounds N] [--seconds N] [--bytes N] [--json FILE] [--markdown FILE]

Benches: ${BENCHES.map((bench) => bench.name).join(', ')}; default: all of them.
  --rounds N       how often each system is measured; medians are judged (default 5)
  --seconds N      length of one load (default 5)
  --bytes N        size of one transfer (default 1000000000)
  --json FILE      writes the figures for machines ("-": standard output)
  --markdown FILE  writes the figures for README ("-": standard output)

Exit code 1 when a required figure is missed or a bench failed. A bench whose peer is not installed is skipped,
and fails where CI is set. All processes, the load included, share the machine.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    bytes: { type: 'string', default: '1000000000' },
    json: { type: 'string' },
    markdown: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help) console.log(USAGE);
else await main();

async function main(): Promise<void> {
  const unknown = positionals.filter((name) => BENCHES.every((bench) => bench.name !== name));
  const settings = {
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    transferBytes: Number(values.bytes),
  };
  if (unknown.length > 0 || Object.values(settings).some((value) => !Number.isSafeInteger(value) || value < 1)) {
    console.error(
      unknown.length > 0 ? `no bench is called ${unknown.join(', ')}` : 'numbers must be whole and above 0',
    );
    console.error(USAGE);
    process.exitCode = 2;
    return;
  }
  const machine = describeMachine();
  console.error(machine);
  const reports: BenchReport[] = [];
  for (const bench of BENCHES) {
    if (positionals.length > 0 && !positionals.includes(bench.name)) continue;
    console.error(`\n${bench.name}: ${bench.title}`);
    const report = await runBench(bench, settings);
    reports.push(report);
    if (report.skipped !== undefined) console.error(`  SKIPPED: ${report.skipped}`);
    if (report.failed !== undefined) console.error(`  FAILED: ${report.failed}`);
    if (report.figures.length > 0) console.error(formatTable(report));
  }
  write(values.json, () => `${JSON.stringify({ machine, settings, reports }, null, 2)}\n`);
  write(values.markdown, () => formatMarkdown(machine, reports));
  const missed = reports.some(
    (report) => report.failed !== undefined || report.figures.some((one) => passes(one) === false),
  );
  if (missed) process.exitCode = 1;
}

async function runBench(bench: Bench, settings: BenchSettings): Promise<BenchReport> {
  const { name, title } = bench;
  const missing = bench.tools.filter((tool) => (tool === 'rathole' ? lookForRathole() : lookForTool(tool)) === null);
  if (missing.length > 0) {
    const reason = `not installed: ${missing.join(', ')}`;
    return { name, title, figures: [], ...(process.env.CI ? { failed: reason } : { skipped: reason }) };
  }
  try {
    return { name, title, figures: await bench.run(settings) };
  } catch (error) {
    return {
      name,
      title,
      figures: [],
      failed: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  }
}

function write(file: string | undefined, text: () => string): void {
  if (file === '-') process.stdout.write(text());
  else if (file !== undefined) writeFileSync(file, text());
}
