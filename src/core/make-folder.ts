import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a folder, and those above it, where they are missing. Fails as `mkdir` does, also on a disk that is mounted read-only, which
 * Node tells of as ENOENT where it may make several levels.
 */
export async function makeFolder(folder: string, mode: number): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    let highest = folder;
    while (!existsSync(dirname(highest))) highest = dirname(highest);
    await mkdir(highest, { mode });
    await mkdir(folder, { recursive: true, mode });
  }
}
