import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Bench, type Figure, figure } from './bench.ts';
import { Scratch } from './scratch.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const DOMAINS = 1_000;

/** What somebody waits for who types: the help, and a check of a large configuration. Compiled, as packages have it. */
export const cliStart: Bench = {
  name: 'cli-start',
  title: `the compiled program, from its start to its end; ${DOMAINS} domains, a file each`,
  tools: ['npm'],
  async run({ rounds }) {
    execFileSync('npm', ['run', '--silent', 'build'], { cwd: PROJECT, stdio: ['ignore', 'ignore', 'inherit'] });
    const [server, agent] = [serverFile(), agentFile()];
    return [
      runs('backdial --help', rounds, { args: ['--help'], says: /Exit codes/, atMostMs: 150 }),
      runs("check of a server's file", rounds, checkOf(server)),
      runs("check of an agent's file", rounds, checkOf(agent)),
      runs('bare Node', rounds, { program: '-e', args: ['console.log("started")'], says: /started/ }),
    ];
  },
};

interface Run {
  /** What Node runs; default: the compiled program. */
  readonly program?: string;
  readonly args: readonly string[];
  /** What it must have printed: it is no speed to have done nothing. */
  readonly says: RegExp;
  readonly atMostMs?: number;
}

function checkOf(file: string): Run {
  return {
    args: ['check', '-c', file],
    says: new RegExp(`with ${DOMAINS} active domains: no problem`),
    atMostMs: 1_000,
  };
}

function runs(subject: string, rounds: number, { program = MAIN, args, says, atMostMs }: Run): Figure {
  const once = (): number => {
    const start = performance.now();
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
    const took = performance.now() - start;
    if (status !== 0 || !says.test(stdout)) throw new Error(`${subject}: ended with ${status}\n${stdout}${stderr}`);
    return took;
  };
  // Not counted: until the kernel has the files in memory.
  once();
  const limit = atMostMs === undefined ? undefined : { atMost: atMostMs };
  return figure(subject, 'start to end', 'ms', Array.from({ length: rounds }, once), limit);
}

/** Each domain with what an operator writes: secrets in files, networks, hours, logins. */
function serverFile(): string {
  const scratch = new Scratch('cli-start');
  for (let i = 0; i < DOMAINS; i += 1) {
    scratch.write(`secrets/site-${i}`, `the secret of site ${i}\n`);
    scratch.write(
      `domains/site-${i}.example.com.json5`,
      `// Site ${i}
{
  active: true,
  secret: ["@../secrets/site-${i}", "its second secret, of ${i}"],
  networks: ["10.${i % 256}.0.0/16", "192.0.2.0/24"],
  clients: {
    networks: ["0.0.0.0/0", "::/0"],
    ranges: ["mon-fri 08:00-19:00", "sat 10:00-12:00"],
    credentials: ["jane:password ${i}"],
  },
}
`,
    );
  }
  return scratch.write('server.json5', '{ listen: "127.0.0.1:8443", admin: { listen: "127.0.0.1:9090" } }\n');
}

/** Each domain with two routes. */
function agentFile(): string {
  const scratch = new Scratch('cli-start');
  for (let i = 0; i < DOMAINS; i += 1) {
    scratch.write(
      `domains/site-${i}.example.com.json5`,
      `{
  active: true,
  secret: "the secret of site ${i}",
  remote: "vps.example.com",
  targets: [
    { method: "^(GET|HEAD)$", path: "^/api/(.*)$", rewrite: "/v1/$1", target: "http://127.0.0.1:4000" },
    { target: "http://127.0.0.1:${3_000 + i}" },
  ],
}
`,
    );
  }
  return scratch.write('agent.json5', '{ api: { listen: "127.0.0.1:9091" } }\n');
}
