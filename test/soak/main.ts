import { parseArgs } from 'node:util';
import { abortStormSoak } from './abort-storm.ts';
import { blackHoleSoak } from './black-hole.ts';
import { dialSwapSoak } from './dial-swap.ts';
import { discoverySoak } from './discovery.ts';
import { killSoak } from './kill.ts';
import { saturateSoak } from './saturate.ts';
import { silentSoak } from './silent.ts';
import { matchingCases, type Soak } from './soak.ts';

const SOAKS: readonly Soak[] = [
  saturateSoak,
  abortStormSoak,
  dialSwapSoak,
  discoverySoak,
  silentSoak,
  blackHoleSoak,
  killSoak,
];

// `npm run soak`, or a part of it: `npm run soak -- kill --scale 0.1 --only "server middle" --only link`.
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { scale: { type: 'string' }, only: { type: 'string', multiple: true } },
});
const scale = Number(values.scale ?? 1);
const unknown = positionals.filter((name) => !SOAKS.some((soak) => soak.name === name));
if (unknown.length > 0 || !(scale > 0)) {
  refuse(
    `usage: npm run soak -- [${SOAKS.map(({ name }) => name).join(' | ')}]... [--scale NUMBER] [--only "WORD..."]...`,
  );
}
const named = positionals.length === 0 ? SOAKS : SOAKS.filter(({ name }) => positionals.includes(name));
const only = values.only?.flatMap((filter) => casesOf(named, filter));

let failed = 0;
for (const soak of named) {
  const cases = (soak.cases ?? []).filter((name) => only?.includes(name) ?? true);
  if (only !== undefined && cases.length === 0) continue;
  console.log(`${soak.name}: ${soak.about}`);
  const begun = performance.now();
  try {
    const seen = await soak.run({ scale, cases });
    console.log(`  passed after ${seconds(begun)} s: ${seen}`);
  } catch (error) {
    failed += 1;
    console.log(`  FAILED after ${seconds(begun)} s`, error);
  }
}
process.exit(failed === 0 ? 0 : 1);

function casesOf(soaks: readonly Soak[], filter: string): readonly string[] {
  const all = soaks.flatMap(({ cases }) => cases ?? []);
  const chosen = matchingCases(all, filter);
  if (chosen.length === 0) refuse(`no case is called "${filter}"; there are: ${all.join(', ') || 'none'}`);
  return chosen;
}

function refuse(text: string): never {
  console.error(text);
  process.exit(2);
}

function seconds(begun: number): string {
  return ((performance.now() - begun) / 1_000).toFixed(1);
}
