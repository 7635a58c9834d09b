import { setImmediate as nextTurn } from 'node:timers/promises';
import yargs, { type Argv, type CommandModule } from 'yargs';
import { BackdialError } from '../core/errors.ts';
import { nearest } from '../core/nearest.ts';
import { VERSION } from '../core/version.ts';
import { COMMANDS, type CommandEntry } from './command-table.ts';
import { crashHandler } from './crash.ts';
import { EPILOGUE, USAGE } from './general-help.ts';
import { exitCodeOf, reportError } from './report-error.ts';
import { terminalColumns } from './terminal.ts';

/** Runs the program with its arguments (without `node` and the file) and ends the process with its exit code. */
export async function main(args: readonly string[]): Promise<void> {
  process.stdout.on('error', stdoutOnError);
  process.stderr.on('error', () => {});
  // A rejection that nobody handles becomes one, too (Node's default).
  process.on('uncaughtException', (error, origin) => {
    const handle = crashHandler();
    if (handle !== null) {
      void handle(error, origin).finally(() => process.exit(exitCodeOf(null)));
      return;
    }
    reportError(error, wantsStacks(args));
    process.exit(exitCodeOf(error));
  });
  const code = await run(args);
  // What could not be written is told in the next turn.
  await nextTurn();
  process.exit(code);
}

/** Runs one command; gives the exit code of the design's table (6.1). Never throws. */
async function run(args: readonly string[]): Promise<number> {
  try {
    // What stands behind `--` is no command, but yargs counts it as one.
    if (args.includes('--') && args.slice(0, args.indexOf('--')).every(isLevel)) {
      throw failure('a command is missing', undefined, []);
    }
    await build(withNeeded(args)).parseAsync();
    return Number(process.exitCode ?? 0);
  } catch (thrown) {
    // Behind an asynchronous builder yargs does not call the fail handler for what its parser found.
    const parser = thrown instanceof Error && thrown.name === 'YError';
    const error = parser ? failure(thrown.message, undefined, args) : thrown;
    reportError(error, wantsStacks(args));
    return exitCodeOf(error);
  }
}

/** `backdial hostname -- NAME`: yargs takes nothing that stands behind `--` for an argument that is needed. */
function withNeeded(args: readonly string[]): readonly string[] {
  const at = args.indexOf('--');
  const name = args.slice(0, Math.max(at, 0)).find((argument) => !argument.startsWith('-'));
  const entry = COMMANDS.find(({ command }) => command.split(' ')[0] === name);
  // What would be read as a flag stays where it is; and what may be a secret is not to be repeated by yargs.
  const stays = entry === undefined || !/>$|^domain$/.test(entry.command) || args.slice(at + 1).some(isFlag);
  return stays ? args : args.toSpliced(at, 1);
}

function isFlag(argument: string): boolean {
  return argument.startsWith('-');
}

function isLevel(argument: string): boolean {
  return /^(?:-[vq]+|--verbose|--quiet)$/.test(argument);
}

function build(args: readonly string[]): Argv {
  const parser = yargs([...args])
    .scriptName('backdial')
    .locale('en')
    .usage(USAGE)
    // A flag that is given twice counts as it was given last. A flag that is a list has to undo this for its command.
    .parserConfiguration({ 'populate--': true, 'duplicate-arguments-array': false })
    .option('verbose', { alias: 'v', type: 'count', describe: 'Log more; errors with their stack' })
    .option('quiet', { alias: 'q', type: 'count', describe: 'Log less' })
    .alias('help', 'h')
    .version(VERSION)
    .wrap(Math.max(60, Math.min(100, terminalColumns(80))))
    .example('$0 demo', 'see it work on this machine')
    .example('$0 http 3000 --help', 'how to put a local service online')
    .epilogue(EPILOGUE)
    .demandCommand(1, 'a command is missing')
    .strict()
    .showHelpOnFail(false)
    .exitProcess(false)
    .fail((message, error) => {
      // A fail handler that returns would still run the command (yargs), so it always throws.
      throw failure(message, error, args);
    });
  for (const entry of COMMANDS) parser.command(lazy(entry));
  return parser;
}

function lazy({ command, describe, load }: CommandEntry): CommandModule {
  return {
    command,
    describe,
    builder: async (parser) => {
      const { builder } = await load();
      return typeof builder === 'function' ? builder(parser) : parser.options(builder ?? {});
    },
    handler: async (argv) => (await load()).handler(withRest(argv, command)),
  };
}

/** What stands behind `--` is no flag, whatever it begins with; yargs leaves it to the command. */
function withRest(argv: Parameters<CommandModule['handler']>[0], command: string): typeof argv {
  const rest = argv['--'] as readonly string[] | undefined;
  if (rest === undefined || rest.length === 0) return argv;
  const optional = /\[(\w+)\]$/.exec(command)?.[1];
  if (optional !== undefined && argv[optional] === undefined && rest.length === 1) {
    return { ...argv, [optional]: rest[0] };
  }
  const name = command.split(' ')[0];
  // Not repeated: it may be a secret.
  throw new BackdialError('usage', `too much stands behind --. See \`backdial ${name} --help\``);
}

/** With a message it is yargs that found the usage wrong; without one, a command threw. */
function failure(message: string | null, error: Error | undefined, args: readonly string[]): Error {
  if (error instanceof BackdialError || (error && message === null)) return error;
  const names = COMMANDS.map((entry) => entry.command.split(' ')[0] ?? '');
  const command = args.find((argument) => names.includes(argument));
  const unknown = command === undefined ? args.find((argument) => !argument.startsWith('-')) : undefined;
  if (unknown !== undefined) {
    const meant = nearest(unknown, names);
    const hint = meant === null ? '' : ` Did you mean \`${meant}\`?`;
    return new BackdialError('usage', `there is no command \`${unknown}\`.${hint} See \`backdial --help\``);
  }
  const help = command === undefined ? 'backdial --help' : `backdial ${command} --help`;
  return new BackdialError('usage', `${sentence(message ?? '')}. See \`${help}\``, { cause: error });
}

/** What yargs says, on one line and in our words where its own are hard to read. */
function sentence(message: string): string {
  if (message.startsWith('Not enough non-option arguments')) return 'an argument is missing';
  const text = message.replace(/\s+/g, ' ').trim();
  return `${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}

/** Looked up in the raw arguments: it must be known also when they could not be parsed. */
function wantsStacks(args: readonly string[]): boolean {
  return args.some((argument) => argument === '--verbose' || /^-[a-z]*v[a-z]*$/.test(argument));
}

function stdoutOnError(error: NodeJS.ErrnoException): void {
  // `backdial ... | head`: the reader has what it wanted.
  if (error.code === 'EPIPE') process.exit(0);
  // The terminal is gone; what is to be done about that, its SIGHUP says.
  if (error.code === 'EIO') return;
  process.stderr.write(`backdial: standard output cannot be written to: ${error.message}\n`);
  process.exit(exitCodeOf(null));
}
