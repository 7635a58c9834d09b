import type { Argv, Options } from 'yargs';

/** The flags that `http` and `tcp` share (design 6.1); each has an environment variable where one is named. */
export const QUICK_FLAGS = {
  server: { type: 'string', describe: 'HOST[:PORT] of the server (443) [env BACKDIAL_SERVER]' },
  domain: { type: 'string', describe: 'Domain to serve [env BACKDIAL_DOMAIN]' },
  'secret-file': { type: 'string', describe: 'File that holds the secret [env BACKDIAL_SECRET_FILE]' },
  secret: { type: 'string', describe: 'The secret; others on this machine can read it here [env BACKDIAL_SECRET]' },
  identity: { type: 'string', describe: "Name of the server's grants that the secret belongs to" },
  pin: { type: 'string', describe: "sha256/... of the server's key: enough without a CA [env BACKDIAL_PIN]" },
  ca: { type: 'string', describe: 'File with the certificate authorities to trust for the server (PEM)' },
  insecure: { type: 'boolean', describe: 'Accept any certificate of the server' },
  instance: { type: 'string', describe: 'Name of this instance: one label [env BACKDIAL_INSTANCE]' },
} as const satisfies Record<string, Options>;

/** What the command line gave of {@link QUICK_FLAGS}, under yargs' names. */
export interface QuickArguments {
  readonly target?: string;
  readonly server?: string;
  readonly domain?: string;
  readonly secretFile?: string;
  readonly secret?: string;
  readonly identity?: string;
  readonly pin?: string;
  readonly ca?: string;
  readonly insecure?: boolean;
  readonly instance?: string;
  readonly verbose?: number;
  readonly quiet?: number;
}

/** Adds TARGET and the shared flags to a command. */
export function quickFlags(parser: Argv): Argv {
  return serverOptions(
    parser.positional('target', {
      type: 'string',
      describe: 'PORT, HOST:PORT, unix:/path or a URL',
      demandOption: true,
    }),
  );
}

/** Adds the shared flags to a command. */
export function serverOptions(parser: Argv): Argv {
  return parser
    .options(QUICK_FLAGS)
    .requiresArg(Object.entries(QUICK_FLAGS).flatMap(([name, flag]) => (flag.type === 'string' ? [name] : [])));
}
