import type { CommandModule } from 'yargs';
import { BackdialError } from '../../core/errors.ts';
import { type QuickArguments, quickFlags } from '../quick-flags.ts';

/** `backdial tcp TARGET`: one TCP service under one domain, without a file. */
export const tcpCommand: CommandModule = {
  builder: (parser) =>
    quickFlags(parser).example('$0 tcp 5432 --server vps.example.com --domain db.example.com --secret-file s', ''),
  handler: (flags) => serveTcp(flags as unknown as QuickArguments),
};

async function serveTcp(flags: QuickArguments): Promise<void> {
  const text = flags.target ?? '';
  if (/^https?:/i.test(text)) {
    throw new BackdialError('input-invalid', `the target \`${text}\` is HTTP; see \`backdial http --help\``);
  }
  const [{ runQuickAgent }, { targetArgument }] = await Promise.all([
    import('../quick-agent.ts'),
    import('../target.ts'),
  ]);
  await runQuickAgent(flags, { target: targetArgument(text), exchanges: false, address: publicPort });
}

/** The port is the server's to choose; the handshake does not tell it. */
function publicPort(domain: string, server: string): string {
  const host = server.slice(0, server.lastIndexOf(':'));
  return `${domain}: the TCP ports that \`listen\` of this domain names on ${host}`;
}
