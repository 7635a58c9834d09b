/**
 * A request target with parameters set, or removed (null). Each that is named, however it is encoded, is taken out, and what
 * is set is put at the end; all other bytes stay as they are.
 */
export function withQuery(target: string, query: Readonly<Record<string, string | null>>): string {
  const changes = Object.entries(query);
  // `*` (of OPTIONS) has no query.
  if (changes.length === 0 || target === '*') return target;
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const parts = mark === -1 ? [] : target.slice(mark + 1).split('&');
  const named = new Set(changes.map(([name]) => bytesOf(encodeURIComponent(name))));
  const kept = parts.filter((part) => !named.has(bytesOf(part.split('=', 1)[0] ?? '')));
  const set = changes.flatMap(([name, value]) =>
    value === null ? [] : [`${encodeURIComponent(name)}=${encodeURIComponent(value)}`],
  );
  const wasEmpty = kept.length === 1 && kept[0] === '';
  const all = wasEmpty ? set : [...kept, ...set];
  // A lone question mark that was there stays, unless something takes its place.
  return all.length === 0 && !wasEmpty ? path : `${path}?${all.join('&')}`;
}

/** The bytes that an encoded name stands for, as latin1; what is no valid escape stands for itself. */
function bytesOf(name: string): string {
  return name
    .replaceAll('+', ' ')
    .replace(/%([\da-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
