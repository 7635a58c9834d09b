import type { CommandModule } from 'yargs';
import { BackdialError } from '../../core/errors.ts';
import { openApiClient } from '../api-client.ts';
import type { ProgramSummary } from '../program-summary.ts';
import { apiFlags } from './status.ts';

/** `backdial drain TUNNEL`: asks one tunnel of a server that runs to leave. */
export const drainCommand: CommandModule = {
  builder: (parser) =>
    apiFlags(parser)
      .positional('tunnel', {
        type: 'string',
        demandOption: true,
        describe: 'Its id, as `backdial status` shows it',
      })
      .example('$0 drain t17 -c server.json5', ''),
  handler: async ({ tunnel, config, url }) => {
    const client = await openApiClient({ config: config as string, url: url as string });
    if ((await client.json<ProgramSummary>('/status')).kind === 'agent') {
      throw new BackdialError('input-invalid', `${client.where} is an agent's: only a server asks tunnels to leave`);
    }
    await client.json(`/tunnels/${encodeURIComponent(String(tunnel))}`, 'DELETE');
    process.stdout.write(`${tunnel} was asked to leave; its agent dials anew, its streams have \`drain\` left\n`);
  },
};
