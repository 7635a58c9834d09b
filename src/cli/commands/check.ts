import type { CommandModule } from 'yargs';
import { explainName } from '../../config/explain-name.ts';
import { type ConfigKind, kindOf } from '../../config/kind.ts';
import { BackdialError } from '../../core/errors.ts';
import { parseConnectName } from '../connect-name.ts';
import { loadAgentConfig, loadServerConfig } from '../load-config.ts';
import { reportError } from '../report-error.ts';

interface CheckFlags {
  readonly config: readonly string[];
  readonly kind?: ConfigKind;
  readonly explain?: string;
}

/** `backdial check -c FILE`: every problem of one or several configurations, each with its place. */
export const checkCommand: CommandModule = {
  builder: (parser) =>
    parser
      // -c is a list, of one value a flag: `-c a -c b`.
      .parserConfiguration({ 'populate--': true, 'duplicate-arguments-array': true, 'greedy-arrays': false })
      .option('config', {
        alias: 'c',
        type: 'string',
        array: true,
        requiresArg: true,
        demandOption: true,
        describe: 'File of a server or an agent; its folder of domains is checked too; repeatable',
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
  handler: async (flags) => {
    const { config, kind, explain: name } = flags as unknown as CheckFlags;
    for (const key of ['kind', 'explain'] as const) {
      if (Array.isArray(flags[key])) throw usage(`--${key} is given twice`);
    }
    const [file = '', ...more] = config;
    if (more.length > 0 && name !== undefined) throw usage('--explain takes one file of a server; -c is given twice');
    if (name !== undefined) await explain(file, kind, name);
    else if (more.length > 0) await checkEach(config, kind);
    else await check(file, kind);
  },
};

function usage(detail: string): BackdialError {
  return new BackdialError('usage', `${detail}. See \`backdial check --help\``);
}

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

/** One that is invalid keeps none of the others from being looked at. */
async function checkEach(files: readonly string[], kind: ConfigKind | undefined): Promise<void> {
  let invalid = 0;
  for (const file of files) {
    try {
      await check(file, kind);
    } catch (error) {
      if (!(error instanceof BackdialError)) throw error;
      reportError(error, false);
      invalid += 1;
    }
  }
  if (invalid > 0) throw new BackdialError('config-invalid', `${invalid} of ${files.length} files`);
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
