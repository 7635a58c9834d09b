import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { COMMANDS } from '../../src/cli/command-table.ts';
import { QUICK_FLAGS } from '../../src/cli/quick-flags.ts';
import { loadServer } from '../../src/config/load-server.ts';
import { parseDuration } from '../../src/config/units.ts';
import { testCertificate } from '../support/certificates.ts';
import { withFolder } from '../support/with-folder.ts';

const FOLDER = 'conf/compose';
const IMAGE = readFileSync('Dockerfile', 'utf8');
/** What the program reads, and what compose itself may be given in `.env`. */
const VARIABLES = [
  ...Object.values(QUICK_FLAGS).flatMap(({ describe: text }) => /\[env (\w+)\]/.exec(text)?.[1] ?? []),
  'BACKDIAL_LOG_LEVEL',
];

/** As much of the compose specification as the files use; a key that it does not have is a mistake. */
const VOLUME = z.string().regex(/^(?:\.\/)?[\w.-]+:\/[\w./-]+(?::ro)?$/);
const SERVICE = z.strictObject({
  image: z.string().regex(/^[\w./-]+(?::[\w.-]+)?$/),
  build: z.string().optional(),
  command: z.array(z.string()).min(1).optional(),
  ports: z.array(z.string().regex(/^\d+:\d+$/)).optional(),
  volumes: z.array(VOLUME).optional(),
  environment: z.record(z.string().regex(/^[A-Z_]+$/), z.string()).optional(),
  secrets: z.array(z.strictObject({ source: z.string() })).optional(),
  read_only: z.literal(true).optional(),
  cap_drop: z.tuple([z.literal('ALL')]).optional(),
  security_opt: z.tuple([z.literal('no-new-privileges:true')]).optional(),
  stop_grace_period: z.string().optional(),
  restart: z.literal('unless-stopped'),
  healthcheck: z.strictObject({ disable: z.literal(true) }).optional(),
  depends_on: z.array(z.string()).optional(),
});
const FILE = z.strictObject({
  services: z.record(z.string(), SERVICE),
  volumes: z.record(z.string(), z.null()).optional(),
  secrets: z.record(z.string(), z.strictObject({ file: z.string().startsWith('./') })).optional(),
});

type Service = z.infer<typeof SERVICE>;

const files = globSync(`${FOLDER}/*.yaml`).map((file) => {
  const document = parseDocument(readFileSync(file, 'utf8'), { version: '1.2', strict: true, uniqueKeys: true });
  assert.deepEqual([...document.errors, ...document.warnings], [], file);
  return { file, compose: FILE.parse(document.toJS()) };
});
const ours = files.flatMap(({ file, compose }) =>
  Object.values(compose.services).flatMap((service) => (service.image === 'backdial' ? [{ file, service }] : [])),
);

describe('the compose files', () => {
  it('are three, and what a service names is there', () => {
    assert.equal(files.length, 3);
    for (const { file, compose } of files) {
      const services = Object.values(compose.services);
      const named = services.flatMap(({ volumes = [] }) => volumes.flatMap((text) => text.match(/^[\w-]+(?=:)/) ?? []));
      assert.deepEqual(Object.keys(compose.volumes ?? {}), named, `${file}: volumes`);
      const secrets = services.flatMap((service) => service.secrets?.map(({ source }) => source) ?? []);
      assert.deepEqual(Object.keys(compose.secrets ?? {}), secrets, `${file}: secrets`);
      for (const { depends_on: needed = [] } of services)
        for (const name of needed) assert.ok(name in compose.services);
    }
  });

  it('build the image of the Dockerfile, and shut it in', () => {
    assert.equal(ours.length, 3);
    for (const { file, service } of ours) {
      assert.equal(resolve(FOLDER, service.build ?? ''), process.cwd(), file);
      assert.ok(existsSync(join(FOLDER, service.build ?? '', 'Dockerfile')));
      assert.ok(service.read_only && service.cap_drop && service.security_opt, file);
      // `drain` is 30 s; then it is killed.
      assert.ok((parseDuration(service.stop_grace_period) ?? 0) > 30_000, file);
    }
  });

  it('give commands that there are, with files that a volume holds and variables that are read', () => {
    for (const { file, service } of ours) {
      const [command, ...rest] = service.command ?? [];
      assert.ok(
        COMMANDS.some((known) => known.command.split(' ')[0] === command),
        `${file}: ${command}`,
      );
      const config = rest[0] === '-c' ? rest[1] : undefined;
      if (config !== undefined) assert.ok(mounts(service).has(dirname(config)), `${file}: ${config} is in no volume`);
      for (const [name, value] of Object.entries(service.environment ?? {})) {
        assert.ok(VARIABLES.includes(name), `${file}: nobody reads ${name}`);
        const [, asked] = /^\$\{(\w+):[-?][^}]*\}$/.exec(value) ?? [];
        if (asked !== undefined) assert.equal(asked, name, file);
        else assert.equal(value, `/run/secrets/${service.secrets?.[0]?.source}`, `${file}: ${name}`);
      }
    }
  });

  it('keep state in a volume where the image has it, and have a health check where there is an API to ask', () => {
    const state = /STATE_DIRECTORY=(\S+)/.exec(IMAGE)?.[1] ?? '';
    assert.match(IMAGE, /^HEALTHCHECK .*"status", "--health"\]$/m);
    for (const { file, service } of ours) {
      const hasFiles = service.command?.includes('-c') === true;
      assert.equal(mounts(service).has(state), hasFiles, file);
      assert.equal(service.healthcheck === undefined, hasFiles, file);
    }
  });

  it("publish the port of the server's file, which is valid beside a certificate and a domain", async () => {
    const { cert, key } = testCertificate();
    await withFolder({ 'chain.pem': cert, 'key.pem': key }, async (folder) => {
      const text = readFileSync(`${FOLDER}/server/server.json5`, 'utf8').replaceAll('/etc/backdial-certs', folder);
      await withFolder(
        {
          'server.json5': text,
          'domains/www.example.com.json5': '{ active: true, secret: "a secret of enough bytes" }',
        },
        async (config) => {
          const loaded = await loadServer(`${config}/server.json5`);
          assert.ok(loaded.ok, JSON.stringify(!loaded.ok && loaded.problems));
          const [listener] = loaded.config.options.listen;
          const [published] = ours.flatMap(({ service }) => service.ports ?? []);
          assert.deepEqual(listener, { host: '0.0.0.0', port: Number(published?.split(':')[1]) });
          assert.ok(loaded.config.admin !== null, 'the health check needs `admin`');
        },
      );
    });
    const volumes = [...mounts(ours.find(({ file }) => file.endsWith('/server.yaml'))?.service)];
    for (const folder of ['/etc/backdial', '/etc/backdial-certs']) assert.ok(volumes.includes(folder));
  });
});

/** Where a service's volumes are in its container. */
function mounts(service: Service | undefined): Set<string> {
  return new Set(service?.volumes?.map((text) => text.split(':')[1] ?? ''));
}
