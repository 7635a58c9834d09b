import assert from 'node:assert/strict';
import { appendFile, chmod, cp, link, mkdir, open, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigFiles } from '../../src/config/config-files.ts';
import type { ServerConfig } from '../../src/config/load-server.ts';
import { loadServer } from '../../src/config/load-server.ts';
import type { Loaded } from '../../src/config/loaded.ts';
import { ConfigWatch } from '../../src/config/watch.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually, within } from '../support/within.ts';

const MAIN = '{ listen: "127.0.0.1:1" }';
/** What the files are given time for that must not be seen. */
const NOTHING_MS = 700;

interface Follower {
  readonly folder: string;
  /** The configuration as it was read last. */
  readonly loaded: () => Loaded<ServerConfig>;
  /** How often something was to be looked at. */
  readonly looks: () => number;
  /** Waits until the domain `a.test` has this concurrency (its way to say what was read). */
  sees(concurrency: number | undefined): Promise<void>;
}

function domain(concurrency: number): string {
  return `{ active: true, secret: "a secret of enough bytes", concurrency: ${concurrency} }`;
}

/** Runs `body` while a configuration is followed as the program does it: read again after each change. */
async function following(
  files: Readonly<Record<string, string>>,
  body: (follower: Follower) => Promise<void>,
  { main = 'server.json5', prepare = async (_folder: string) => {}, mounts = (_folder: string): string[] => [] } = {},
): Promise<void> {
  await withFolder(files, async (folder) => {
    await prepare(folder);
    const memory = new ConfigFiles();
    const read = () => loadServer(join(folder, main), { files: memory });
    let loaded = await read();
    let looks = 0;
    let running = Promise.resolve();
    const look = async () => {
      loaded = await read();
      await watch.follow(loaded.sources);
    };
    const watch = new ConfigWatch({
      onChange: () => {
        looks += 1;
        running = running.then(look);
      },
      onError: (error) => assert.fail(error),
      mounts: () => new Set(mounts(folder)),
    });
    const concurrency = () =>
      loaded.ok ? loaded.config.options.domains.find(({ name }) => name === 'a.test')?.concurrency : null;
    try {
      await watch.follow(loaded.sources);
      // The look that makes up for the time before.
      await eventually('the first look', () => looks === 1);
      await running;
      looks = 0;
      await body({
        folder,
        loaded: () => loaded,
        looks: () => looks,
        sees: (wanted) => eventually(`concurrency ${wanted}`, () => concurrency() === wanted),
      });
    } finally {
      await watch.close();
      await running;
    }
  });
}

const SIMPLE = { 'server.json5': MAIN, 'domains/a.test.json5': domain(1) };

/** Replaces a link in one step, as `ln -sfn` does. */
async function relink(target: string, path: string): Promise<void> {
  await symlink(target, `${path}.new`);
  await rename(`${path}.new`, path);
}

async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.tmp`, text, { mode: 0o600 });
  await rename(`${file}.tmp`, file);
}

describe('a change of a file is seen', { concurrency: true }, () => {
  test('that is written over', () =>
    following(SIMPLE, async ({ folder, sees }) => {
      await writeFile(join(folder, 'domains/a.test.json5'), domain(2));
      await sees(2);
    }));

  test('that an editor replaces by another one', () =>
    following(SIMPLE, async ({ folder, sees }) => {
      await replace(join(folder, 'domains/a.test.json5'), domain(2));
      await sees(2);
      await replace(join(folder, 'domains/a.test.json5'), domain(3));
      await sees(3);
    }));

  test('that an editor moves away before it writes the new one', () =>
    following(SIMPLE, async ({ folder, sees }) => {
      const file = join(folder, 'domains/a.test.json5');
      await rename(file, `${file}~`);
      await writeFile(file, domain(2));
      await sees(2);
    }));

  test('that comes, goes, and is put back', () =>
    following(SIMPLE, async ({ folder, sees }) => {
      const file = join(folder, 'domains/a.test.json5');
      await rename(file, join(folder, 'aside'));
      await sees(undefined);
      await rename(join(folder, 'aside'), file);
      await sees(1);
      await rm(file);
      await sees(undefined);
      await writeFile(file, domain(2));
      await sees(2);
    }));

  test('that becomes readable', { skip: process.getuid?.() === 0 && 'root may read everything' }, () =>
    following(SIMPLE, async ({ folder, sees, loaded }) => {
      const file = join(folder, 'domains/a.test.json5');
      await chmod(file, 0o000);
      await eventually('a problem', () => !loaded().ok);
      await chmod(file, 0o600);
      await sees(1);
    }),
  );

  test('that a secret comes from', () =>
    following(
      { ...SIMPLE, 'domains/a.test.json5': '{ active: true, secret: "@../secrets/a" }', 'secrets/a': 'one' },
      async ({ folder, loaded }) => {
        await replace(join(folder, 'secrets/a'), 'two');
        await eventually('the secret', () => {
          const now = loaded();
          return now.ok && now.config.options.domains[0]?.secrets[0]?.reveal() === 'two';
        });
      },
    ));

  test('that was missing, in a folder that was missing', () =>
    following(SIMPLE, async ({ folder, sees, loaded }) => {
      await writeFile(join(folder, 'domains/a.test.json5'), '{ active: true, secret: "@../x/y/a", concurrency: 2 }');
      await eventually('a problem', () => !loaded().ok);
      await mkdir(join(folder, 'x/y'), { recursive: true });
      await writeFile(join(folder, 'x/y/a'), 'a secret of enough bytes', { mode: 0o600 });
      await sees(2);
    }));

  test('of the main file, and of the folder of domains that it names then', () =>
    following({ ...SIMPLE, 'others/a.test.json5': domain(2) }, async ({ folder, sees }) => {
      await writeFile(join(folder, 'server.json5'), '{ listen: "127.0.0.1:1", domains: "others" }');
      await sees(2);
      await writeFile(join(folder, 'others/a.test.json5'), domain(3));
      await sees(3);
    }));
});

describe('a change of what leads to a file is seen', { concurrency: true }, () => {
  test("certbot's links", () =>
    following(
      { ...SIMPLE, 'archive/a1.json5': domain(1), 'archive/a2.json5': domain(2) },
      async ({ folder, sees }) => {
        const link = join(folder, 'domains/a.test.json5');
        await unlink(link);
        await symlink('../archive/a2.json5', link);
        await sees(2);
        // What the link leads to is watched as well, the new one, not the old one.
        await writeFile(join(folder, 'archive/a2.json5'), domain(3));
        await sees(3);
      },
      {
        prepare: async (folder) => {
          await unlink(join(folder, 'domains/a.test.json5'));
          await symlink('../archive/a1.json5', join(folder, 'domains/a.test.json5'));
        },
      },
    ));

  test('`ln -sfn` of the folder that everything is in', () => {
    const release = (n: number) => ({
      [`releases/${n}/server.json5`]: MAIN,
      [`releases/${n}/domains/a.test.json5`]: domain(n),
    });
    return following(
      { ...release(1), ...release(2) },
      async ({ folder, sees }) => {
        await relink('releases/2', join(folder, 'current'));
        await sees(2);
        await relink('releases/1', join(folder, 'current'));
        await sees(1);
      },
      { main: 'current/server.json5', prepare: (folder) => symlink('releases/1', join(folder, 'current')) },
    );
  });

  test('`..data` of a Kubernetes volume', () =>
    following(
      { 'server.json5': MAIN, 'domains/..1/a.test.json5': domain(1) },
      async ({ folder, sees }) => {
        for (const n of [2, 3]) {
          await mkdir(join(folder, `domains/..${n}`));
          await writeFile(join(folder, `domains/..${n}/a.test.json5`), domain(n));
          await relink(`..${n}`, join(folder, 'domains/..data'));
          await rm(join(folder, `domains/..${n - 1}`), { recursive: true });
          await sees(n);
        }
      },
      {
        prepare: async (folder) => {
          await symlink('..1', join(folder, 'domains/..data'));
          await symlink('..data/a.test.json5', join(folder, 'domains/a.test.json5'));
        },
      },
    ));

  test('a folder that goes and comes back', () =>
    following(SIMPLE, async ({ folder, sees, loaded }) => {
      await rm(join(folder, 'domains'), { recursive: true });
      await eventually('a problem', () => !loaded().ok);
      await mkdir(join(folder, 'domains'));
      await writeFile(join(folder, 'domains/a.test.json5'), domain(2));
      await sees(2);
      await writeFile(join(folder, 'domains/a.test.json5'), domain(3));
      await sees(3);
    }));

  test('a file that is mounted, which is changed by its other name', () =>
    following(
      { ...SIMPLE, 'host/a.json5': domain(2) },
      async ({ folder, sees }) => {
        // For who watches the folder a second link is as a mount is: it is told nothing.
        await writeFile(join(folder, 'host/a.json5'), domain(3));
        await sees(3);
        await writeFile(join(folder, 'host/a.json5'), domain(4));
        await sees(4);
      },
      {
        async prepare(folder) {
          await rm(join(folder, 'domains/a.test.json5'));
          await link(join(folder, 'host/a.json5'), join(folder, 'domains/a.test.json5'));
        },
        mounts: (folder) => [folder, join(folder, 'domains'), join(folder, 'domains/a.test.json5'), '/proc'],
      },
    ));

  test('a folder that another one takes the place of', () =>
    following({ ...SIMPLE, 'next/a.test.json5': domain(2) }, async ({ folder, sees }) => {
      await rename(join(folder, 'domains'), join(folder, 'before'));
      await rename(join(folder, 'next'), join(folder, 'domains'));
      await sees(2);
      await writeFile(join(folder, 'domains/a.test.json5'), domain(3));
      await sees(3);
    }));

  test('the same with the folder above', () =>
    following(
      { 'etc/server.json5': MAIN, 'etc/domains/a.test.json5': domain(1) },
      async ({ folder, sees }) => {
        await cp(join(folder, 'etc'), join(folder, 'new'), { recursive: true });
        await writeFile(join(folder, 'new/domains/a.test.json5'), domain(2));
        await rename(join(folder, 'etc'), join(folder, 'old'));
        await rename(join(folder, 'new'), join(folder, 'etc'));
        await sees(2);
        await writeFile(join(folder, 'etc/domains/a.test.json5'), domain(3));
        await sees(3);
      },
      { main: 'etc/server.json5' },
    ));
});

describe('nothing is done', { concurrency: true }, () => {
  test(
    'with half a file: one that is written byte by byte is read when it is whole, once',
    undisturbed(() =>
      following(SIMPLE, async ({ folder, sees, looks }) => {
        const file = await open(join(folder, 'domains/a.test.json5'), 'w');
        for (const byte of Buffer.from(domain(2))) {
          await file.write(Buffer.of(byte));
          await sleep(10);
        }
        await file.close();
        await sees(2);
        assert.equal(looks(), 1);
      }),
    ),
  );

  test('for files that are none of the configuration', () =>
    following({ ...SIMPLE, 'other.txt': '' }, async ({ folder, looks }) => {
      for (const name of [
        'server.log',
        'domains/.a.test.json5.swp',
        'domains/a.test.json5~',
        'domains/notes.txt',
        'other.txt',
      ]) {
        await appendFile(join(folder, name), 'x');
      }
      await mkdir(join(folder, 'domains/sub'));
      await sleep(NOTHING_MS);
      assert.equal(looks(), 0);
    }));

  test('after the end', async () => {
    let looks = 0;
    await withFolder(SIMPLE, async (folder) => {
      const { sources } = await loadServer(join(folder, 'server.json5'));
      const watch = new ConfigWatch({ onChange: () => (looks += 1), onError: () => {} });
      await watch.follow(sources);
      await watch.close();
      await writeFile(join(folder, 'domains/a.test.json5'), domain(2));
      await watch.follow(sources);
      await sleep(NOTHING_MS);
    });
    assert.equal(looks, 0);
  });
});

test('a file that never comes to rest is looked at after half a minute', async (t) => {
  await withFolder({ file: '1' }, async (folder) => {
    let clock = 0;
    t.mock.method(performance, 'now', () => clock);
    const looked = Promise.withResolvers<void>();
    const watch = new ConfigWatch({
      onChange: looked.resolve,
      onError: (error) => assert.fail(error),
      quietMs: 3_600_000,
      mounts: () => new Set(),
    });
    try {
      await watch.follow({ files: [join(folder, 'file')], folders: [] });
      clock = 30_000;
      await writeFile(join(folder, 'file'), '2');
      await within('the look', looked.promise);
    } finally {
      await watch.close();
    }
  });
});
