import type { CommandModule } from 'yargs';
import { explainName } from '../../config/explain-name.ts';
import { type ConfigKind, kindOf } from '../../config/kind.ts';
import { BackdialError } from '../../core/errors.ts';
import { parseConnectName } from '../connect-name.ts';
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
      })
      .option('explain', {
        type: 'string',
        requiresArg: true,
        describe: "NAME[:PORT]: who may claim it and who may reach it, and which lines of a server's files say so",
      }),
  handler: ({ config, kind, explain: name }) =>
    name === undefined
      ? check(config as string, kind as ConfigKind | undefined)
      : explain(config as string, kind as ConfigKind | undefined, name as string),
};

async function explain(file: string, given: ConfigKind | undefined, text: string): Promise<void> {
  const { authority, name, port } = parseConnectName(text);
  if ((given ?? (await kindOf(file))) === 'agent') {
    throw new BackdialError(
      'input-invalid',
      `--explain ${authority}: ${file} is an agent's; who may what is in a server's`,
    );
  }
  const { options } = await loadServerConfig(file);
  process.stdout.write(`${(await explainName(file, options, { name, port })).join('\n')}\n`);
}

async function check(file: string, given: ConfigKind | undefined): Promise<void> {
  const kind = given ?? (await kindOf(file));
  const { options, inactive } = kind === 'server' ? await loadServerConfig(file) : await loadAgentConfig(file);
  const domains = options.domains.length === 1 ? '1 active domain' : `${options.domains.length} active domains`;
  const others = inactive.length === 0 ? '' : `, ${inactive.length} inactive`;
  process.stdout.write(
    `${file}: ${kind === 'server' ? 'a server' : 'an agent'} with ${domains}${others}: no problem\n`,
  );
}
