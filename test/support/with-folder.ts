import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Files by path relative to the folder; only their owner may read them, unless a mode is given. */
export type FolderFiles = Readonly<Record<string, string | { readonly text: string; readonly mode: number }>>;

/** Runs `action` in a temporary folder with these files, and removes it. */
export async function withFolder<T>(files: FolderFiles, action: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'backdial-test-'));
  try {
    for (const [path, content] of Object.entries(files)) {
      const { text, mode } = typeof content === 'string' ? { text: content, mode: 0o600 } : content;
      const file = join(folder, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
      await chmod(file, mode);
    }
    return await action(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
