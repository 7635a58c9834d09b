import type { CommandModule } from 'yargs';
import type { LevelFlags } from '../log-level.ts';

/** `backdial agent`: the private side, from a file. */
export const agentCommand: CommandModule = {
  builder: (parser) =>
    parser
      .option('config', {
        alias: 'c',
        type: 'string',
        requiresArg: true,
        default: '/etc/backdial/agent.json5',
        describe: 'Configuration file',
      })
      .example('$0 agent -c agent.json5', ''),
  handler: async (flags) => {
    const { runAgent } = await import('../run-agent.ts');
    await runAgent(String(flags.config), flags as LevelFlags);
  },
};
