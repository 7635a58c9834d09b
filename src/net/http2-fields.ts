/** `[name, value, ...]` as node:http2 takes interim heads and trailers: by name, in lower case. */
export function fieldsByName(fields: readonly string[]): Record<string, string | string[]> {
  // No prototype: a field may be called `constructor`.
  const byName: Record<string, string | string[]> = Object.create(null);
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] ?? '').toLowerCase();
    const before = byName[name];
    const value = fields[i + 1] ?? '';
    byName[name] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  return byName;
}
