import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Deployment } from '../support/deployment.ts';
import { KILL_CASES, killRound } from '../support/kill-round.ts';
import { missingTools } from '../support/tools.ts';

/** The long form, 200 rounds of each, is `npm run soak`. */
const ROUNDS = 2;

const skip = missingTools('curl');
let deployment: Deployment;
before(async () => {
  if (skip === false) deployment = await Deployment.start();
});
after(() => deployment?.close());

for (const { victim, stop } of KILL_CASES) {
  const when = stop === 'end' ? 'as they end' : `at the ${stop === 'head' ? 'head' : 'middle of the body'}`;
  test(`killing the ${victim} under transfers, ${when}, makes none look complete that is not`, { skip }, async () => {
    const seen = { cut: 0, complete: 0 };
    for (let round = 0; round < ROUNDS; round += 1) {
      const { cut, complete } = await killRound(deployment, victim, stop);
      seen.cut += cut;
      seen.complete += complete;
    }
    if (stop !== 'end') assert.equal(seen.complete, 0);
  });
}
