import { OPAQUE_IMPORT, type SourceFile } from './source-imports.ts';

/** Longest source file, lines. */
const MAX_LINES = 300;

/** Which rooms a room may import (design, section 5). `types` are files of which only types may be taken. */
const ARROWS: Readonly<
  Record<
    string,
    { rooms: readonly string[]; types?: readonly string[]; files?: readonly string[]; packages?: readonly string[] }
  >
> = {
  core: { rooms: [] },
  net: { rooms: ['core'], packages: ['ipaddr.js'] },
  tunnel: { rooms: ['core', 'net'] },
  registry: { rooms: ['core', 'net', 'tunnel'] },
  server: { rooms: ['core', 'net', 'tunnel', 'registry', 'pki'], packages: ['undici', 'ipaddr.js', 'sha512-crypt-ts'] },
  agent: { rooms: ['core', 'net', 'tunnel'], packages: ['http2-wrapper'] },
  pki: { rooms: ['core'], packages: ['@peculiar/x509', 'reflect-metadata'] },
  config: {
    rooms: ['core', 'pki'],
    types: ['src/server/options.ts', 'src/agent/options.ts'],
    packages: ['json5', '@humanwhocodes/momoa', 'zod', 'ipaddr.js', 'chokidar'],
  },
  log: { rooms: ['core'], packages: ['pino', 'pino-pretty'] },
  metrics: { rooms: ['core'], packages: ['prom-client'] },
  cli: {
    rooms: ['core', 'net', 'pki', 'config', 'log', 'metrics', 'index.ts'],
    types: ['src/server/options.ts', 'src/agent/options.ts'],
    // Server and agent are driven through src/index.ts; this is for \`backdial password\`, and for \`backdial doctor\`, which goes
    // the way of an agent step by step.
    files: [
      'src/server/sha512-crypt.ts',
      'src/agent/connect-through.ts',
      'src/agent/dial-server.ts',
      'src/agent/authorization.ts',
      'src/agent/resolve-options.ts',
      'src/agent/resolve-routes.ts',
      'src/agent/resolver.ts',
      'src/agent/targets.ts',
      'src/tunnel/agent-handshake.ts',
      'src/tunnel/agent-probe.ts',
    ],
    packages: ['yargs'],
  },
  'index.ts': { rooms: ['core', 'server', 'agent'] },
};

/** Only `cli` reads arguments and environment, takes signals, writes to the console, or ends the process. */
const PROCESS = /\bprocess\.(?:argv|env|exit|exitCode|on|once|stdin|stdout|stderr|kill|chdir)\b|\bconsole\.\w+\(/;

/** Every breach of the design's rules in these files, one sentence each. No files at all is a breach. */
export function breaches(files: readonly SourceFile[]): string[] {
  if (files.length === 0) return ['no source file was found'];
  return [...files.flatMap(fileBreaches), ...cycles(files)];
}

function fileBreaches(file: SourceFile): string[] {
  const found: string[] = [];
  const room = roomOf(file.path);
  const lines = file.text.split('\n').length - 1;
  if (lines > MAX_LINES) found.push(`${file.path}: ${lines} lines; at most ${MAX_LINES} are allowed`);
  if (/^\s*export\s+default\b/m.test(file.code)) found.push(`${file.path}: a default export`);
  if (room !== 'index.ts' && /^\s*export\s[^=;(]*\bfrom\s*['"]/m.test(file.code)) {
    found.push(`${file.path}: exports what another file defines; only src/index.ts may`);
  }
  if (room !== 'cli' && PROCESS.test(file.code)) found.push(`${file.path}: touches the process; only cli may`);
  if (OPAQUE_IMPORT.test(file.code)) found.push(`${file.path}: imports what only the run will tell`);
  const arrows = ARROWS[room];
  if (arrows === undefined) return [...found, `${file.path}: ${room} is no room of the design`];
  for (const { specifier, file: target, typeOnly } of file.imports) {
    if (target === null) {
      const known = specifier.startsWith('node:') || arrows.packages?.some((name) => specifier === name);
      if (known !== true) found.push(`${file.path}: ${room} may not import the package ${specifier}`);
    } else if (!target.startsWith('src/') || !target.endsWith('.ts')) {
      found.push(`${file.path}: imports ${target}, which is no source`);
    } else if (roomOf(target) !== room && !arrows.rooms.includes(roomOf(target))) {
      const allowed = arrows.files?.includes(target) || (typeOnly && arrows.types?.includes(target));
      if (allowed !== true) found.push(`${file.path}: ${room} may not import ${target}`);
    }
  }
  return found;
}

/** `src/net/splice.ts` is in `net`; `src/index.ts` is a room of its own. */
function roomOf(path: string): string {
  return path.split('/')[1] ?? '';
}

/** Circles of imports, type imports included: whoever reads one file of a circle has to read them all. */
function cycles(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start !== -1) found.push(`a circle: ${[...trail.slice(start), path].join(' -> ')}`);
    if (start !== -1 || done.has(path)) return;
    for (const { file } of byPath.get(path)?.imports ?? []) if (file !== null) visit(file, [...trail, path]);
    done.add(path);
  };
  for (const { path } of files) visit(path, []);
  return found;
}
