import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { asRoot } from '../support/root-system.ts';
import { findTool } from '../support/tools.ts';
import { ROOT } from './executable.ts';

/** What became of a Dockerfile: a root file system, and how a container of it is started. */
export interface Image {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly health: readonly string[];
  readonly stopSignal: string;
}

interface Stage {
  readonly folder: string;
  readonly env: Record<string, string>;
  workdir: string;
  user: string;
  entrypoint: string[];
  command: string[];
  health: string[];
  stopSignal: string;
}

/** Files of this machine that a step which downloads needs in its root: who answers for names, and whom TLS believes. */
const NETWORK_FILES = ['/etc/resolv.conf', '/etc/ssl/certs/ca-certificates.crt'];

/**
 * Runs the steps of the repository's Dockerfile without a container engine: each stage in a copy of a clean root file system,
 * its RUN lines by chroot. Stands in for the base image with the pinned Node, this machine's npm, and a user `node`.
 */
export function buildImage(base: string, work: string): Image {
  mkdirSync(work, { recursive: true });
  const stages = new Map<string, Stage>();
  let stage: Stage | null = null;
  for (const { word, rest } of instructions(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'))) {
    if (word === 'FROM') {
      const [, image = '', , name = 'last'] = /^(\S+)(?:\s+(AS)\s+(\S+))?$/i.exec(rest) ?? [];
      if (image !== `node:${pinnedNode()}-slim`) throw new Error(`FROM ${image}: not the pinned runtime`);
      stage = newStage(base, join(work, name));
      stages.set(name, stage);
    } else if (stage === null) throw new Error(`${word} before FROM`);
    else apply(stage, word, rest, stages);
  }
  if (stage === null) throw new Error('the Dockerfile has no stage');
  return stage;
}

function newStage(base: string, folder: string): Stage {
  root('cp', '-a', '--reflink=auto', base, folder);
  const npm = dirname(dirname(realpathSync(findTool('npm'))));
  root('mkdir', '-p', join(folder, 'usr/local/lib/node_modules'), join(folder, 'etc/ssl/certs'));
  root('cp', process.execPath, join(folder, 'usr/local/bin/node'));
  root('cp', '-rL', npm, join(folder, 'usr/local/lib/node_modules/npm'));
  root('ln', '-s', '../lib/node_modules/npm/bin/npm-cli.js', join(folder, 'usr/local/bin/npm'));
  for (const file of NETWORK_FILES) if (existsSync(file)) root('cp', '-L', file, join(folder, file));
  root('chroot', folder, 'useradd', '--uid', '1000', '--create-home', 'node');
  return {
    folder,
    env: {},
    workdir: '/',
    user: 'root',
    entrypoint: [],
    command: [],
    health: [],
    stopSignal: 'SIGTERM',
  };
}

function apply(stage: Stage, word: string, rest: string, stages: ReadonlyMap<string, Stage>): void {
  switch (word) {
    case 'WORKDIR':
      stage.workdir = rest;
      root('mkdir', '-p', join(stage.folder, rest));
      return;
    case 'ENV':
      for (const [, name = '', value = ''] of rest.matchAll(/(\w+)=(\S+)/g)) stage.env[name] = value;
      return;
    case 'USER':
      stage.user = rest;
      return;
    case 'STOPSIGNAL':
      stage.stopSignal = rest;
      return;
    case 'COPY':
      copy(stage, rest, stages);
      return;
    case 'RUN':
      runStep(stage, rest);
      return;
    case 'ENTRYPOINT':
      stage.entrypoint = JSON.parse(rest) as string[];
      return;
    case 'CMD':
      stage.command = JSON.parse(rest) as string[];
      return;
    case 'HEALTHCHECK':
      stage.health = JSON.parse(rest.slice(rest.indexOf('['))) as string[];
      return;
    default:
      throw new Error(`no step of ours: ${word}`);
  }
}

function copy(stage: Stage, rest: string, stages: ReadonlyMap<string, Stage>): void {
  const [, from, list = ''] = /^(?:--from=(\S+)\s+)?(.*)$/.exec(rest) ?? [];
  const paths = list.split(/\s+/);
  const to = join(stage.folder, resolveIn(stage, paths.pop() ?? ''));
  for (const path of paths) {
    const source = from === undefined ? contextPath(path) : join(stages.get(from)?.folder ?? `no stage ${from}`, path);
    const intoFolder = paths.length > 1 || list.endsWith('/');
    root('mkdir', '-p', intoFolder ? to : dirname(to));
    root('cp', '-a', source, intoFolder ? join(to, basename(path)) : to);
  }
}

/** A path of the repository, if `.dockerignore` lets it through: everything is left out but what it names. */
function contextPath(path: string): string {
  const lines = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
  if (lines[0] !== '*' || !lines.includes(`!${path.split('/')[0]}`))
    throw new Error(`.dockerignore leaves ${path} out`);
  return join(ROOT, path);
}

function resolveIn({ workdir }: Stage, path: string): string {
  return path.startsWith('/') ? path : join(workdir, path);
}

/**
 * As in a container, a step has a /proc: the compiler looks for itself there. What npm fetched before is taken from its cache,
 * and held against the lock file as what it fetches.
 */
const IN_STAGE =
  'mount -t proc proc "$0/proc"; cache=$1; shift; ' +
  'if [ -n "$cache" ]; then mkdir -p "$0/root/.npm" && mount --bind "$cache" "$0/root/.npm"; fi; exec chroot "$0" "$@"';

/** Root's own; in another's it would leave files that are not theirs. */
function npmCache(): string {
  const folder = execFileSync('npm', ['config', 'get', 'cache'], { encoding: 'utf8' }).trim();
  return process.getuid?.() === 0 && existsSync(folder) ? folder : '';
}

function runStep(stage: Stage, command: string): void {
  const [, ca] = NETWORK_FILES;
  const variables = { PATH: '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', ...stage.env };
  const network = {
    NODE_EXTRA_CA_CERTS: ca,
    npm_config_cafile: ca,
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_prefer_offline: 'true',
  };
  const assignments = Object.entries({ ...network, ...variables }).map(([name, value]) => `${name}=${value}`);
  root(
    'unshare',
    '--mount',
    '--pid',
    '--fork',
    'sh',
    '-ec',
    IN_STAGE,
    stage.folder,
    npmCache(),
    'env',
    '-i',
    ...assignments,
    'sh',
    '-ec',
    `cd ${stage.workdir}\n${command}`,
  );
}

function* instructions(text: string): Generator<{ word: string; rest: string }> {
  const joined = text.replace(/^#.*\n/gm, '').replace(/\\\n/g, ' ');
  for (const line of joined.split('\n')) {
    const [, word = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ?? [];
    if (word !== '') yield { word, rest: rest.trim() };
    else if (line.trim() !== '') throw new Error(`no instruction: ${line}`);
  }
}

function root(...command: readonly [string, ...string[]]): void {
  const [program, ...args] = asRoot(...command);
  execFileSync(program, args, { stdio: 'pipe' });
}

function pinnedNode(): string {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  return devDependencies.node ?? '';
}
