import { parseArgs } from 'node:util';
import { abortStormSoak } from './abort-storm.ts';
import { blackHoleSoak } from './black-hole.ts';
import { killSoak } from './kill.ts';
import { saturateSoak } from './saturate.ts';
import type { Soak } from './soak.ts';

const SOAKS: readonly Soak[] = [saturateSoak, abortStormSoak, blackHoleSoak, killSoak];

// `npm run soak`, or `npm run soak -- kill --scale 0.1` for a part of it.
const { positionals, values } = parseArgs({ allowPositionals: true, options: { scale: { type: 'string' } } });
const scale = Number(values.scale ?? 1);
const unknown = positionals.filter((name) => !SOAKS.some((soak) => soak.name === name));
if (unknown.length > 0 || !(scale > 0)) {
  console.error(`usage: npm run soak -- [${SOAKS.map(({ name }) => name).join(' | ')}]... [--scale NUMBER]`);
  process.exit(2);
}

let failed = 0;
for (const soak of SOAKS) {
  if (positionals.length > 0 && !positionals.includes(soak.name)) continue;
  console.log(`${soak.name}: ${soak.about}`);
  const begun = performance.now();
  try {
    const seen = await soak.run(scale);
    console.log(`  passed after ${seconds(begun)} s: ${seen}`);
  } catch (error) {
    failed += 1;
    console.log(`  FAILED after ${seconds(begun)} s`, error);
  }
}
process.exit(failed === 0 ? 0 : 1);

function seconds(begun: number): string {
  return ((performance.now() - begun) / 1_000).toFixed(1);
}
