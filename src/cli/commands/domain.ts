import { dirname } from 'node:path';
import type { Argv, CommandModule } from 'yargs';
import { parseRemote } from '../../config/addresses.ts';
import { agentLine, domainFileText, makeSecret, writeDomainFile } from '../../config/domain-file.ts';
import { Findings } from '../../config/findings.ts';
import { readListeners } from '../../config/listeners.ts';
import { readServerFile } from '../../config/load-server.ts';
import { stateFolder } from '../../config/loaded.ts';
import { BackdialError } from '../../core/errors.ts';
import { toDomain } from '../../core/host-name.ts';
import type { ServerOptions } from '../../index.ts';
import { reportProblems } from '../load-config.ts';
import { keptPin } from '../self-signed.ts';

const HTTPS_PORT = 443;
const DEFAULT_SERVER_FILE = '/etc/backdial/server.json5';

interface AddArguments {
  readonly name: string;
  readonly config: string;
  readonly server?: string;
}

/** `backdial domain add NAME`: a domain file with a fresh secret for the server; prints what the agent needs. */
export const domainCommand: CommandModule = {
  builder: (parser) =>
    parser
      .command(
        'add <name>',
        'Write a server domain file with a fresh secret; print the command for the agent',
        addFlags,
        (flags) => addDomain(flags as unknown as AddArguments),
      )
      .demandCommand(1, 'say what to do: add'),
  handler: () => {},
};

function addFlags(parser: Argv): Argv {
  return parser
    .positional('name', {
      type: 'string',
      demandOption: true,
      describe: 'Domain: www.example.com, *.example.com, devservice',
    })
    .option('config', {
      alias: 'c',
      type: 'string',
      requiresArg: true,
      default: DEFAULT_SERVER_FILE,
      describe: "The server's file",
    })
    .option('server', {
      type: 'string',
      requiresArg: true,
      describe: 'HOST[:PORT] under which agents reach the server, for the printed command (default: the domain)',
    });
}

async function addDomain({ name: given, config, server }: AddArguments): Promise<void> {
  const name = toDomain(given);
  if (name === null) throw new BackdialError('name-invalid', JSON.stringify(given));
  if (server !== undefined && parseRemote(server) === null) {
    throw new BackdialError('input-invalid', `the server ${JSON.stringify(server)}; allowed: HOST or HOST:PORT`);
  }
  const findings = new Findings();
  const main = await readServerFile(config, findings);
  if (main === null || findings.problems.length > 0) return reportProblems(config, findings.problems);
  const listen = await readListeners(main.section.child('listen'), dirname(config));
  const secret = makeSecret();
  const file = await writeDomainFile(main.folder, name, domainFileText(name, secret));
  const ownCertificate = (main.section.child('certificates')?.items() ?? []).length === 0;
  const state = stateFolder(config, main.fields.state, { stateDirectory: process.env.STATE_DIRECTORY });
  const pin = ownCertificate ? await keptPin(state) : null;
  process.stderr.write(`wrote ${file}; a server that runs already picks it up\n`);
  if (ownCertificate && pin === null) {
    process.stderr.write('add --pin with the pin that the server prints when it starts\n');
  }
  const reachedAt = server ?? `${name.replace(/^\*\./, '')}${portOf(listen ?? [])}`;
  process.stderr.write('on the machine of the service (3000: its port):\n');
  process.stdout.write(`${agentLine({ name, secret, server: reachedAt, pin })}\n`);
}

/** The first port of the front door where none is the usual one. */
function portOf(listen: ServerOptions['listen']): string {
  const addresses = listen.map((each) => ('address' in each ? each.address : each));
  const ports = addresses.flatMap((address) => ('port' in address ? [address.port] : []));
  const [first] = ports;
  return first === undefined || first === 0 || ports.includes(HTTPS_PORT) ? '' : `:${first}`;
}
