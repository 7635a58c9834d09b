import type { JsonShape } from './shapes.ts';

/** A key of an example, and the comment above it. */
export interface KeyComment {
  readonly path: readonly string[];
  readonly text: string;
}

/** The comment just above each key of a file of `conf/`. Reads those files' layout (two blanks a level), not any JSON5. */
export function keyComments(example: string): readonly KeyComment[] {
  const comments: KeyComment[] = [];
  const open: { readonly indent: number; readonly key: string }[] = [];
  let above: string[] = [];
  for (const line of example.split('\n')) {
    const comment = /^\s*\/\/ ?(.*)$/.exec(line)?.[1];
    if (comment !== undefined) {
      above.push(comment.trim());
      continue;
    }
    const [, blanks = '', key] = /^(\s*)([$\w]+):/.exec(line) ?? [];
    if (key !== undefined) {
      while ((open.at(-1)?.indent ?? -1) >= blanks.length) open.pop();
      open.push({ indent: blanks.length, key });
      if (above.length > 0) comments.push({ path: open.map((each) => each.key), text: above.join(' ') });
    }
    above = [];
  }
  return comments;
}

/** The schema with each comment as the `description` of its key; a comment of a key that it has not is left out. */
export function describeKeys(schema: JsonShape, comments: readonly KeyComment[]): JsonShape {
  const own = new Map(comments.flatMap(({ path, text }) => (path.length === 1 ? [[path[0] ?? '', text]] : [])));
  const described = Object.entries(schema).map(([word, value]) => {
    if (word === 'anyOf') return [word, (value as JsonShape[]).map((shape) => describeKeys(shape, comments))];
    if (word === 'items') return [word, describeKeys(value as JsonShape, comments)];
    if (word !== 'properties') return [word, value];
    const properties = Object.entries(value as Record<string, JsonShape>).map(([key, shape]) => {
      const below = comments.flatMap(({ path, text }) =>
        path.length > 1 && path[0] === key ? [{ path: path.slice(1), text }] : [],
      );
      const description = own.get(key);
      return [key, { ...(description === undefined ? {} : { description }), ...describeKeys(shape, below) }];
    });
    return [word, Object.fromEntries(properties)];
  });
  return Object.fromEntries(described);
}
