export const POLL_MS = 1_000;
export const TOKEN_KEY = 'backdial-token';

/** All that was told so far; a poll brings only what changed since. */
export const known = { cursor: '', domains: new Map(), refusals: [], summary: null };

export async function ask(path, signal) {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const headers = token === null ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(path, { headers, signal, cache: 'no-store' }).catch(() => {
    throw new Error('the server cannot be reached');
  });
  if (response.status === 401) throw Object.assign(new Error('token'), { token: true });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response.json();
}

/** Takes what changed; says whether names came or went, so that the list has to be sorted anew. */
export function take({ cursor, full, summary, domains, gone, refusals }) {
  if (full) known.domains.clear();
  let moved = full || gone.length > 0;
  for (const domain of domains) {
    moved ||= !known.domains.has(domain.name);
    known.domains.set(domain.name, domain);
  }
  for (const name of gone) known.domains.delete(name);
  known.refusals = (full ? refusals : [...refusals, ...known.refusals]).slice(0, 100);
  known.summary = summary;
  known.cursor = cursor;
  return moved;
}
