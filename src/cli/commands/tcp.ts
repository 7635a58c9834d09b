import type { CommandModule } from 'yargs';
import { BackdialError } from '../../core/errors.ts';
import { type QuickArguments, quickFlags } from '../quick-flags.ts';

/** `backdial tcp TARGET`: one TCP service under one domain, without a file. */
export const tcpCommand: CommandModule = {
  builder: (parser) =>
    quickFlags(parser)
      .option('listen', {
        type: 'string',
        requiresArg: true,
        describe: 'TCP port that the server is asked to open; a grant of `ports` must allow it',
      })
      .example('$0 tcp 5432 --server vps.example.com --domain db.example.com --secret-file s', '')
      .example('$0 tcp 22 --listen 2022 --server vps.example.com --domain home.example.com --secret-file s', ''),
  handler: (flags) => serveTcp(flags as unknown as TcpArguments),
};

interface TcpArguments extends QuickArguments {
  readonly listen?: string;
}

async function serveTcp(flags: TcpArguments): Promise<void> {
  const text = flags.target ?? '';
  const [{ runQuickAgent }, { targetArgument, withoutLogin }] = await Promise.all([
    import('../quick-agent.ts'),
    import('../target.ts'),
  ]);
  if (/^https?:/i.test(text)) {
    throw new BackdialError(
      'input-invalid',
      `the target \`${withoutLogin(text)}\` is HTTP; see \`backdial http --help\``,
    );
  }
  const claim = flags.listen === undefined ? null : parsePort(flags.listen);
  const address = claim === null ? publicPort : (_: string, server: string) => `${hostOf(server)}:${claim}`;
  await runQuickAgent(flags, { target: targetArgument(text), exchanges: false, address, claim });
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^[1-9]\d{0,4}$/.test(text) && port <= 65_535) return port;
  throw new BackdialError('input-invalid', `--listen ${JSON.stringify(text)}; allowed: a port from 1 to 65535`);
}

function hostOf(server: string): string {
  return server.slice(0, server.lastIndexOf(':'));
}

/** The port is the server's to choose; the handshake does not tell it. */
function publicPort(domain: string, server: string): string {
  return `${domain}: the TCP ports that \`listen\` of this domain names on ${hostOf(server)}`;
}
