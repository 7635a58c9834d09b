import { open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BackdialError } from '../core/errors.ts';
import { makeFolder } from '../core/make-folder.ts';
import type { SavedExposure } from '../index.ts';
import { exposureForm, readExposure } from './exposure-form.ts';

const FILE_NAME = 'exposures.json';

/** What an agent exposes, kept in its `state` folder. Each write is whole or not at all. */
export class ExposureFile {
  readonly path: string;
  #writing: Promise<void> = Promise.resolve();

  constructor(stateFolder: string) {
    this.path = join(stateFolder, FILE_NAME);
  }

  /**
   * What was saved; nothing where there is no file. Fails with `config-invalid` where it is damaged: it is not overwritten
   * then, for somebody may want to mend it.
   */
  async load(): Promise<SavedExposure[]> {
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw new BackdialError('config-invalid', `${this.path}: ${(error as Error).message}`, { cause: error });
    }
    try {
      const saved: unknown = JSON.parse(text);
      if (!Array.isArray(saved)) throw new Error('it holds no list');
      return saved.map(readSaved);
    } catch (error) {
      const detail = `${this.path}: ${(error as Error).message}; mend it, or remove it to begin with no exposures`;
      throw new BackdialError('config-invalid', detail, { cause: error });
    }
  }

  /** Writes beside the file, then takes its place; one write after the other. Fails with `internal`. */
  save(exposures: readonly SavedExposure[]): Promise<void> {
    const text = `${JSON.stringify(
      exposures.map((each) => ({ id: each.id, ...exposureForm(each) })),
      null,
      2,
    )}\n`;
    const written = this.#writing.then(() => this.#write(text));
    this.#writing = written.catch(() => {});
    return written;
  }

  async #write(text: string): Promise<void> {
    const draft = `${this.path}.new`;
    try {
      await makeFolder(dirname(this.path), 0o750);
      const file = await open(draft, 'w', 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, this.path);
    } catch (error) {
      throw new BackdialError('state-unwritable', `${this.path}: ${(error as Error).message}`, { cause: error });
    }
  }
}

function readSaved(entry: unknown): SavedExposure {
  const { id, ...rest } = (entry ?? {}) as Record<string, unknown>;
  const read = readExposure(rest);
  if (typeof id !== 'string' || id === '') throw new Error('an exposure has no id');
  if (!Array.isArray(read)) return { id, ...read };
  throw new Error(`exposure ${id}: ${read.map(({ field, message }) => `${field}: ${message}`).join('; ')}`);
}
