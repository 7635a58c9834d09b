import type { CommandModule } from 'yargs';
import { serverOptions } from '../quick-flags.ts';
import type { ConnectArguments } from '../run-connect.ts';

/** `backdial connect NAME[:PORT]`: a domain as if it were here, through the server, under a grant. */
export const connectCommand: CommandModule = {
  builder: (parser) =>
    serverOptions(parser)
      .positional('name', {
        type: 'string',
        describe: 'DOMAIN or INSTANCE.DOMAIN, with or without :PORT',
        demandOption: true,
      })
      .option('listen', {
        type: 'string',
        requiresArg: true,
        describe: 'Listen here: PORT, HOST:PORT or unix:/path; without it standard input and output are joined',
      })
      .example(
        '$0 connect db.example.com:5432 --listen 5432 --server vps.example.com --identity ci --secret-file s',
        '',
      )
      .example(
        "ssh -o ProxyCommand='$0 connect %h:%p --server vps.example.com --identity ci --secret-file s' home.example.com",
        '',
      ),
  handler: async (flags) => {
    const { runConnect } = await import('../run-connect.ts');
    await runConnect(flags as unknown as ConnectArguments);
  },
};
