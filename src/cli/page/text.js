// What figures look like.

export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

export function rate(value) {
  return value === 0 ? '0' : value < 10 ? value.toFixed(1) : String(Math.round(value));
}

/** A kB has 1,024 bytes, as in configuration files. */
export function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let power = 0;
  while (value >= 999.5 && power < units.length - 1) {
    value /= 1_024;
    power += 1;
  }
  return `${power > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}
