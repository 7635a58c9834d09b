import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Reloader } from '../../src/cli/reload.ts';
import type { Loaded } from '../../src/config/loaded.ts';
import { BackdialError } from '../../src/core/errors.ts';
import { openKept } from '../support/log-options.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually } from '../support/within.ts';

interface Kit {
  readonly folder: string;
  /** What was made of the files, in order: the number that is in `main`, or `invalid`. */
  readonly seen: readonly string[];
  /** What went into force. */
  readonly applied: readonly string[];
  readonly shown: () => string;
  readonly reloader: Reloader<string>;
  write(name: string, content: string): void;
}

/** A configuration that is valid when `main` holds a number, or the name of a file that does. */
async function withReloader(body: (kit: Kit) => Promise<void>): Promise<void> {
  await withFolder({ main: '1' }, async (folder) => {
    const logs = openKept({});
    const seen: string[] = [];
    const applied: string[] = [];
    const load = (): Promise<Loaded<string>> => {
      const main = join(folder, 'main');
      const text = readFileSync(main, 'utf8');
      const other = join(folder, text);
      const isOther = /[a-z]/.test(text);
      const value = isOther && existsSync(other) ? readFileSync(other, 'utf8') : text;
      const ok = /^\d+$/.test(value);
      seen.push(ok ? value : 'invalid');
      const sources = { files: isOther ? [main, other] : [main], folders: [] };
      const problem = { file: main, line: 1, column: 1, key: '', message: 'is no number' };
      return Promise.resolve(
        ok ? { ok, config: value, warnings: [], sources } : { ok, problems: [problem], warnings: [], sources },
      );
    };
    const apply = (value: string) => {
      applied.push(value);
      return Promise.resolve({ changes: [], restartRequired: [], failures: [] });
    };
    const reloader = new Reloader({ logs, load, apply, keyOf: (option) => option });
    const write = (name: string, content: string) => writeFileSync(join(folder, name), content);
    try {
      await reloader.start(await load());
      // A new watcher has the files looked at once.
      await eventually('the first look', () => applied.length > 0);
      await body({ folder, seen, applied, shown: logs.shown, reloader, write });
    } finally {
      await reloader.close();
      await logs.close();
    }
  });
}

describe('a configuration that is followed', () => {
  it('may be wrong for a moment, as while somebody writes it: nothing is said', () =>
    withReloader(async ({ seen, applied, shown, write }) => {
      write('main', '#');
      await eventually('it is seen', () => seen.at(-1) === 'invalid');
      write('main', '2');
      await eventually('the new one is in force', () => applied.at(-1) === '2');
      assert.doesNotMatch(shown(), /problem/);
    }));

  it('is told to be wrong when it stays so, and told when it is right again; both once', () =>
    withReloader(async ({ seen, applied, shown, write }) => {
      const wrong = () => seen.filter((each) => each === 'invalid').length;
      write('main', '#');
      await eventually('it is said', () => /what was in force before stays/.test(shown()));
      const before = wrong();
      write('main', '##');
      await eventually('both looks at the next change', () => wrong() === before + 2);
      write('main', '2');
      await eventually('the new one is in force', () => applied.at(-1) === '2');
      write('main', '3');
      await eventually('the next one is in force', () => applied.at(-1) === '3');
      assert.equal(shown().match(/is no number/g)?.length, 1, shown());
      assert.equal(shown().match(/no problem any more/g)?.length, 1, shown());
    }));

  it('is told to be wrong each time that a signal asks', () =>
    withReloader(async ({ shown, reloader, write }) => {
      write('main', '#');
      await reloader.hangup();
      await reloader.hangup();
      assert.equal(shown().match(/is no number/g)?.length, 2, shown());
    }));

  it('is told not to have changed where a signal asks: who sent it waits for an answer', () =>
    withReloader(async ({ shown, reloader }) => {
      assert.equal(shown(), '');
      await reloader.hangup();
      await reloader.hangup();
      assert.equal(shown().match(/read again; nothing changed/g)?.length, 2, shown());
    }));

  it('is put right by a file that was not there before, in a folder that was not', () =>
    withReloader(async ({ folder, seen, applied, write }) => {
      write('main', 'sub/other');
      await eventually('it is missed', () => seen.filter((each) => each === 'invalid').length > 1);
      mkdirSync(join(folder, 'sub'));
      write('sub/other', '7');
      await eventually('it is in force', () => applied.at(-1) === '7');
    }));

  it('is not gone over to any more where its reading was under way at the end', async () => {
    const logs = openKept({});
    const [begun, read] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const loaded = { ok: true, config: '1', warnings: [], sources: { files: [], folders: [] } } as const;
    const load = async (): Promise<Loaded<string>> => {
      begun.resolve();
      await read.promise;
      return loaded;
    };
    const apply = async () => assert.fail('it was applied');
    const reloader = new Reloader({ logs, load, apply, keyOf: (option) => option });
    await reloader.start(loaded);
    void reloader.hangup();
    await begun.promise;
    const closed = reloader.close();
    read.resolve();
    await closed;
    assert.equal(logs.shown(), '');
    await logs.close();
  });

  it('is not told to be refused where what it was for closed while it went over', async () => {
    const logs = openKept({});
    const [begun, closing] = [Promise.withResolvers<void>(), Promise.withResolvers<never>()];
    const loaded = { ok: true, config: '1', warnings: [], sources: { files: [], folders: [] } } as const;
    const apply = () => {
      begun.resolve();
      return closing.promise;
    };
    const reloader = new Reloader({ logs, load: () => Promise.resolve(loaded), apply, keyOf: (option) => option });
    await reloader.start(loaded);
    void reloader.hangup();
    await begun.promise;
    const closed = reloader.close();
    closing.reject(new BackdialError('tunnel-draining', 'the server is closing'));
    await closed;
    assert.equal(logs.shown(), '');
    await logs.close();
  });
});
