import type { CommandModule } from 'yargs';
import type { LevelFlags } from '../log-level.ts';

/** `backdial server`: the public side, from a file. */
export const serverCommand: CommandModule = {
  builder: (parser) =>
    parser
      .option('config', {
        alias: 'c',
        type: 'string',
        requiresArg: true,
        default: '/etc/backdial/server.json5',
        describe: 'Configuration file',
      })
      .example('$0 server -c server.json5', ''),
  handler: async (flags) => {
    const { runServer } = await import('../run-server.ts');
    await runServer(String(flags.config), flags as LevelFlags);
  },
};
