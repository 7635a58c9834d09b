import { setTimeout as sleep } from 'node:timers/promises';
import type { Argv, CommandModule } from 'yargs';
import { BackdialError } from '../../core/errors.ts';
import { type ApiClient, type ApiPlace, openApiClient } from '../api-client.ts';
import type { ProgramSummary } from '../program-summary.ts';
import { type DomainRow, type StatusReport, statusTable, type TunnelRow } from '../status-table.ts';
import { isTerminal, wantsColors } from '../terminal.ts';

interface StatusArguments extends ApiPlace {
  readonly json?: boolean;
  readonly watch?: boolean;
  readonly health?: boolean;
}

const WATCH_INTERVAL_MS = 1_000;
/** Empties the screen; what was scrolled out of it is the user's, and stays. */
const CLEAR = '\u001b[H\u001b[J';

/** The flags by which `status` and `drain` find the API. */
export function apiFlags(parser: Argv): Argv {
  return parser
    .option('config', {
      alias: 'c',
      type: 'string',
      requiresArg: true,
      describe: 'File of the server or agent that runs (default: the one in /etc/backdial); has address and token',
    })
    .option('url', {
      type: 'string',
      requiresArg: true,
      conflicts: 'config',
      describe: 'Address of its API instead: http://host:port or unix:/path; the token is BACKDIAL_TOKEN',
    });
}

/** `backdial status`: how a server or agent that runs is, by its `admin` or `api`. */
export const statusCommand: CommandModule = {
  builder: (parser) =>
    apiFlags(parser)
      .option('json', { type: 'boolean', describe: 'JSON instead of tables' })
      .option('watch', { type: 'boolean', describe: 'Show it anew each second, until Ctrl-C' })
      .option('health', {
        type: 'boolean',
        describe: 'Only whether it serves: exit code 0, else 1 (for a HEALTHCHECK)',
      })
      .conflicts('health', ['json', 'watch']),
  handler: async (flags) => {
    const { json = false, watch = false, health = false, ...place } = flags as unknown as StatusArguments;
    const client = await openApiClient(place);
    if (health) return reportHealth(client);
    if (watch) return showForEver(client, json);
    process.stdout.write(await text(client, json, Number.POSITIVE_INFINITY));
  },
};

async function reportHealth(client: ApiClient): Promise<void> {
  const { status, text: answer } = await client.ask('GET', '/health');
  if (status === 200) process.stdout.write(`${answer}\n`);
  else if (status === 401) await client.json('/health');
  else throw new BackdialError('api-unhealthy', `${client.where}: ${answer.split('\n')[0] ?? status}`);
}

async function text(client: ApiClient, json: boolean, rows: number): Promise<string> {
  const [summary, domains, tunnels] = await Promise.all([
    client.json<ProgramSummary>('/status'),
    client.json<DomainRow[]>('/domains'),
    client.json<TunnelRow[]>('/tunnels'),
  ]);
  // A program of an older version does not tell them.
  const inactive = (summary.inactive ?? 0) > 0 ? await client.json<string[]>('/inactive') : [];
  const report: StatusReport = { summary, domains, inactive, tunnels };
  if (json) return `${JSON.stringify(report)}\n`;
  return statusTable(report, { now: Date.now(), colors: wantsColors(), rows });
}

/** Ends by a signal only; what cannot be reached for a while is said, and tried again. */
async function showForEver(client: ApiClient, json: boolean): Promise<void> {
  const onTerminal = isTerminal() && !json;
  for (;;) {
    const rows = onTerminal ? Math.max(4, (process.stdout.rows ?? 40) - 10) : Number.POSITIVE_INFINITY;
    const shown = await text(client, json, rows).catch((error: unknown) => {
      if (!onTerminal || !(error instanceof BackdialError) || error.code !== 'api-unreachable') throw error;
      return `${error.message}\n`;
    });
    process.stdout.write(`${onTerminal ? CLEAR : ''}${shown}${onTerminal || json ? '' : '\n'}`);
    await sleep(WATCH_INTERVAL_MS);
  }
}
