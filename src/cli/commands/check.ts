import type { CommandModule } from 'yargs';
import { type ConfigKind, kindOf } from '../../config/kind.ts';
import { loadAgentConfig, loadServerConfig } from '../load-config.ts';

/** `backdial check -c FILE`: every problem of a configuration, each with its place. */
export const checkCommand: CommandModule = {
  builder: (parser) =>
    parser
      .option('config', {
        alias: 'c',
        type: 'string',
        requiresArg: true,
        demandOption: true,
        describe: 'File of a server or an agent; its folder of domains is checked too',
      })
      .option('kind', {
        type: 'string',
        choices: ['server', 'agent'],
        requiresArg: true,
        describe: "Whose file it is (default: a file with `listen` is a server's)",
      }),
  handler: ({ config, kind }) => check(config as string, kind as ConfigKind | undefined),
};

async function check(file: string, given: ConfigKind | undefined): Promise<void> {
  const kind = given ?? (await kindOf(file));
  const { options, inactive } = kind === 'server' ? await loadServerConfig(file) : await loadAgentConfig(file);
  const domains = options.domains.length === 1 ? '1 active domain' : `${options.domains.length} active domains`;
  const others = inactive.length === 0 ? '' : `, ${inactive.length} inactive`;
  process.stdout.write(
    `${file}: ${kind === 'server' ? 'a server' : 'an agent'} with ${domains}${others}: no problem\n`,
  );
}
