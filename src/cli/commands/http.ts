import type { CommandModule } from 'yargs';
import { type QuickArguments, quickFlags } from '../quick-flags.ts';

/** `backdial http TARGET`: one HTTP service under one domain, without a file. */
export const httpCommand: CommandModule = {
  builder: (parser) =>
    quickFlags(parser)
      .example('$0 http 3000 --server vps.example.com --domain dev.example.com --secret-file s', '')
      .example('$0 http https://nas.lan --server 203.0.113.7 --pin sha256/... --domain nas.example.com', ''),
  handler: (flags) => serveHttp(flags as unknown as QuickArguments),
};

async function serveHttp(flags: QuickArguments): Promise<void> {
  const [{ runQuickAgent }, { targetArgument }] = await Promise.all([
    import('../quick-agent.ts'),
    import('../target.ts'),
  ]);
  await runQuickAgent(flags, {
    target: targetArgument(flags.target ?? ''),
    exchanges: true,
    claim: null,
    address: publicUrl,
  });
}

/** Visitors and agents come to the same front door, so the server's port is the public one too. */
function publicUrl(domain: string, server: string): string {
  const port = /:(\d+)$/.exec(server)?.[1];
  return `https://${domain}${port === '443' ? '' : `:${port}`}`;
}
