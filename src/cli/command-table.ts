import type { CommandModule } from 'yargs';

/** A command before it is loaded: `--help` shows it without importing what it needs. */
export interface CommandEntry {
  /** Name and positionals, as yargs takes them. */
  readonly command: string;
  readonly describe: string;
  /** Imports the module that has the options and does the work. */
  readonly load: () => Promise<CommandModule>;
}

/** Every command, in the order in which help shows them. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    command: 'server',
    describe: 'Run a server: visitors and agents connect to it',
    load: async () => (await import('./commands/server.ts')).serverCommand,
  },
  {
    command: 'agent',
    describe: 'Run an agent: it dials servers and serves local targets',
    load: async () => (await import('./commands/agent.ts')).agentCommand,
  },
  {
    command: 'http <target>',
    describe: 'Serve one HTTP target under a domain, without a file',
    load: async () => (await import('./commands/http.ts')).httpCommand,
  },
  {
    command: 'tcp <target>',
    describe: 'Serve one TCP target under a domain, without a file',
    load: async () => (await import('./commands/tcp.ts')).tcpCommand,
  },
  {
    command: 'connect <name>',
    describe: 'Reach a domain from here, through the server: a local listener, or stdio',
    load: async () => (await import('./commands/connect.ts')).connectCommand,
  },
  {
    command: 'demo',
    describe: 'Try it: server, agent and a sample service on loopback',
    load: async () => (await import('./commands/demo.ts')).demoCommand,
  },
  {
    command: 'check',
    describe: 'Check a configuration file and its folder of domains',
    load: async () => (await import('./commands/check.ts')).checkCommand,
  },
  {
    command: 'doctor [target]',
    describe: 'Find out why an agent does not come up',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand,
  },
  {
    command: 'status',
    describe: 'Show how a server or agent that runs is',
    load: async () => (await import('./commands/status.ts')).statusCommand,
  },
  {
    command: 'drain <tunnel>',
    describe: 'Ask one tunnel of a server that runs to leave',
    load: async () => (await import('./commands/drain.ts')).drainCommand,
  },
  {
    command: 'domain',
    describe: 'Add a domain to a server, with a fresh secret',
    load: async () => (await import('./commands/domain.ts')).domainCommand,
  },
  {
    command: 'password [secret]',
    describe: 'Hash a secret with SHA-512-crypt, or make one',
    load: async () => (await import('./commands/password.ts')).passwordCommand,
  },
  {
    command: 'hostname <name>',
    describe: 'Print the canonical form of a host name',
    load: async () => (await import('./commands/hostname.ts')).hostnameCommand,
  },
  {
    command: 'pki <kind> [certificates..]',
    describe: 'Make an authority and certificates, or revoke one',
    load: async () => (await import('./commands/pki.ts')).pkiCommand,
  },
  {
    command: 'import <from> <file>',
    describe: 'Convert a configuration of groom',
    load: async () => (await import('./commands/import.ts')).importCommand,
  },
  {
    command: 'completion [shell]',
    describe: 'Print a completion script for bash or zsh',
    load: async () => (await import('./commands/completion.ts')).completionCommand,
  },
];
