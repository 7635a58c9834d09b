import type { CommandModule } from 'yargs';
import type { LevelFlags } from '../log-level.ts';

/** `backdial demo`: a server, an agent and a service in this process, on loopback. */
export const demoCommand: CommandModule = {
  builder: (parser) =>
    parser.option('port', {
      type: 'number',
      requiresArg: true,
      describe: 'Port of the server; 0: any free one (default: 8443, or any free one)',
    }),
  handler: async (flags) => {
    const { runDemo } = await import('../run-demo.ts');
    await runDemo(flags.port as number | undefined, flags as LevelFlags);
  },
};
