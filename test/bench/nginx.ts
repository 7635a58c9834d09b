import { truncateSync } from 'node:fs';
import { userInfo } from 'node:os';
import { testCertificate } from '../support/certificates.ts';
import { findTool } from '../support/tools.ts';
import { freePort, type Program, startProgram, untilAccepts } from './program.ts';
import { Scratch } from './scratch.ts';

/** Bytes of each answer of {@link startTarget}. */
export const ANSWER_BYTES = 1_024;

/** A listening nginx. */
export interface Nginx extends Program {
  readonly port: number;
}

export interface TargetOptions {
  /** What the kernel holds for each connection of what was answered. Default: the kernel's choice, up to some MB. */
  readonly sendBufferBytes?: number;
}

/**
 * The target: the cheapest HTTP server at hand, whose own CPU is never counted. `/` answers {@link ANSWER_BYTES},
 * `/bulk` answers `bulkBytes` zeros, `/upload` takes any body.
 */
export async function startTarget(bulkBytes = 0, { sendBufferBytes }: TargetOptions = {}): Promise<Nginx> {
  const buffer = sendBufferBytes === undefined ? '' : ` sndbuf=${sendBufferBytes}`;
  const scratch = new Scratch('bulk');
  // A hole from end to end: it takes no room on the disk.
  truncateSync(scratch.write('bulk', ''), bulkBytes);
  return start('target', (port) => [
    `server { listen 127.0.0.1:${port} backlog=4096${buffer}; location / { default_type text/plain;`,
    `return 200 "${'x'.repeat(ANSWER_BYTES)}"; }`,
    `location = /bulk { default_type application/octet-stream; alias ${scratch.folder}/bulk; }`,
    // Reads and drops the body before the next request of the connection is looked at.
    'location = /upload { client_max_body_size 0; lingering_time 600s; lingering_timeout 60s; return 200; } }',
  ]);
}

/** A target that ends TLS itself; `/` answers {@link ANSWER_BYTES}. */
export async function startTlsTarget(): Promise<Nginx> {
  const { certFile, keyFile } = testCertificate();
  return start('tls-target', (port) => [
    `server { listen 127.0.0.1:${port} ssl backlog=4096; ssl_certificate ${certFile}; ssl_certificate_key ${keyFile};`,
    `location / { default_type text/plain; return 200 "${'x'.repeat(ANSWER_BYTES)}"; } }`,
  ]);
}

/** The peer of the HTTPS way in: terminates TLS, HTTP/1.1 and HTTP/2, and proxies over kept-alive connections. */
export async function startTlsProxy(targetPort: number): Promise<Nginx> {
  const { certFile, keyFile } = testCertificate();
  return start('nginx', (port) => [
    'upstream target {',
    `server 127.0.0.1:${targetPort}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 600s; }`,
    `server { listen 127.0.0.1:${port} ssl http2 backlog=4096;`,
    `ssl_certificate ${certFile}; ssl_certificate_key ${keyFile}; ssl_protocols TLSv1.2 TLSv1.3;`,
    'location / { proxy_pass http://target; proxy_http_version 1.1; proxy_set_header Connection "";',
    // What a proxy that names its visitors sets, as Backdial does.
    'proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $host;',
    'proxy_set_header X-Forwarded-Proto https; proxy_set_header X-Transaction-Id $request_id;',
    'add_header X-Transaction-Id $request_id; } }',
  ]);
}

async function start(name: string, server: (port: number) => readonly string[]): Promise<Nginx> {
  const scratch = new Scratch(name);
  const port = await freePort();
  const folder = scratch.folder;
  const { uid, username } = userInfo();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  );
  const file = scratch.write(
    'nginx.conf',
    [
      // As who runs the benches: another user could not read the files of this run.
      ...(uid === 0 ? [`user ${username};`] : []),
      `daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;`,
      'events { worker_connections 8192; }',
      'http { access_log off; keepalive_timeout 600s; keepalive_requests 1000000000;',
      ...temporary,
      ...server(port),
      '}',
    ].join('\n'),
  );
  const args = ['-e', `${folder}/error.log`, '-p', folder, '-c', file];
  const program = startProgram(name, findTool('nginx'), args, { endedBy: 'SIGTERM' });
  await untilAccepts(program, port);
  return { ...program, port };
}
