import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { nearest } from '../core/nearest.ts';

/** A file or folder that cannot be used. */
export interface Unusable {
  /** The end of a sentence that begins with its path: `does not exist`. */
  readonly fault: string;
  /** Nothing is there. */
  readonly missing: boolean;
}

/** What is wrong with `path`, and where nothing is there what to do: the name that was probably meant, or else `otherwise`. */
export function withAdvice(path: string, { fault, missing }: Unusable, otherwise: string): string {
  return missing ? `${fault}; ${instead(path) ?? otherwise}` : fault;
}

function instead(path: string): string | null {
  const folder = dirname(path);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return `the folder ${folder} is not there either`;
  }
  const near = nearest(basename(path), names);
  return near === null ? null : `did you mean ${join(folder, near)}?`;
}
