import type { Argv, CommandModule } from 'yargs';
import { BackdialError } from '../../core/errors.ts';

const KINDS = ['ca', 'server', 'agent', 'client', 'revoke'] as const;

/** What stands on the command line. */
export interface PkiFlags {
  readonly kind: (typeof KINDS)[number];
  readonly certificates?: readonly string[];
  readonly dns?: readonly string[];
  readonly ip?: readonly string[];
  readonly days?: string;
  readonly name?: string;
  readonly out: string;
  readonly authority?: string;
  readonly force: boolean;
}

/** `backdial pki KIND`: an authority, certificates that it issues, and the list of those that are revoked. */
export const pkiCommand: CommandModule = {
  builder: pkiFlags,
  handler: async (flags) => {
    const lines = await runPki(flags as unknown as PkiFlags);
    process.stdout.write(`${lines.join('\n')}\n`);
  },
};

function pkiFlags(parser: Argv): Argv {
  return (
    parser
      // --dns and --ip are lists, of one value a flag: `--dns a --dns b`.
      .parserConfiguration({ 'populate--': true, 'duplicate-arguments-array': true, 'greedy-arrays': false })
      .positional('kind', { choices: KINDS, demandOption: true, describe: 'What to make' })
      .positional('certificates', {
        type: 'string',
        array: true,
        describe: 'revoke: certificate files or serial numbers; none: the same list anew',
      })
      .option('dns', {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'DNS name, *.testdom too; repeatable',
      })
      .option('ip', { type: 'string', array: true, requiresArg: true, describe: 'IP address; repeatable' })
      .option('days', { type: 'string', requiresArg: true, describe: 'Days until the end (ca: 3650, others: 365)' })
      .option('name', { type: 'string', requiresArg: true, describe: 'Common name (default: the first --dns or --ip)' })
      .option('out', { type: 'string', requiresArg: true, default: '.', describe: 'Folder to write to' })
      .option('authority', {
        type: 'string',
        requiresArg: true,
        describe: 'Folder of ca.pem and ca.key (default: that of --out, else the current one)',
      })
      .option('force', { type: 'boolean', default: false, describe: 'Replace what is there; names stay unless given' })
      .string(['certificates', '_'])
      .example('$0 pki ca', 'an authority: ca.pem, ca.key, crl.pem')
      .example('$0 pki server --dns vps.example.com', 'a certificate for a server')
      .example("$0 pki agent --dns '*.testdom'", 'one for an agent that serves any instance of testdom')
      .example('$0 pki revoke agent.pem', 'take it back')
  );
}

/** Does what was asked for and gives the lines to print. Fails with `usage`, `input-invalid` or `name-invalid`. */
export async function runPki(flags: PkiFlags): Promise<string[]> {
  const { kind, force, certificates = [] } = flags;
  for (const key of ['days', 'name', 'out', 'authority', 'force'] as const) {
    if (Array.isArray(flags[key])) throw usage(`--${key} is given twice`);
  }
  const days = flags.days === undefined ? {} : { days: wholeNumber(flags.days) };
  const name = flags.name === undefined ? {} : { name: flags.name };
  const [dns, ip] = [flags.dns ?? [], flags.ip ?? []];
  if (kind === 'revoke') {
    if (dns.length + ip.length > 0) throw usage('`pki revoke` takes certificate files or serial numbers, not names');
    if (flags.name !== undefined) throw usage('`pki revoke` takes no --name');
    const { revoke } = await import('../pki-revoke.ts');
    return revoke({ what: certificates, out: flags.authority ?? flags.out, ...days, force });
  }
  if (certificates.length > 0) throw usage(`\`pki ${kind}\` takes no ${JSON.stringify(certificates[0])}`);
  const { makeAuthority, makeLeaf } = await import('../pki-make.ts');
  const authority = flags.authority === undefined ? {} : { authority: flags.authority };
  const given = { dns, ip, out: flags.out, force, ...days, ...name, ...authority };
  return kind === 'ca' ? makeAuthority(given) : makeLeaf(kind, given);
}

function wholeNumber(text: string): number {
  return /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
}

function usage(detail: string): BackdialError {
  return new BackdialError('usage', `${detail}. See \`backdial pki --help\``);
}
