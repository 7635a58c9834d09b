/** The one of `candidates` that `text` was probably meant to be; null when none is near. */
export function nearest(text: string, candidates: readonly string[]): string | null {
  const folded = text.toLowerCase().slice(0, 64);
  let best: { name: string; distance: number } | null = null;
  for (const name of candidates) {
    const far = distance(folded, name.toLowerCase());
    if (far <= Math.max(1, Math.floor(name.length / 3)) && far < (best?.distance ?? Number.POSITIVE_INFINITY)) {
      best = { name, distance: far };
    }
  }
  return best?.name ?? null;
}

/** Insertions, removals, replacements and swaps of neighbours between two words. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number) => rows[row]?.[column] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const steps = [at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + same];
      row.push(Math.min(...steps, swapped ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY));
    }
  }
  return at(a.length, b.length);
}
