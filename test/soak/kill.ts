import { Deployment } from '../support/deployment.ts';
import { KILL_CASES, type KillCase, killRound, type RoundResult } from '../support/kill-round.ts';
import { type Soak, scaled } from './soak.ts';

const ROUNDS = 200;

export const killSoak: Soak = {
  name: 'kill',
  about: `${ROUNDS} times each: kill -9 of target, agent and server, and cutting the tunnel, at the head, in mid-body, at the end`,
  cases: KILL_CASES.map(nameOf),
  async run({ scale, cases }) {
    const seen = { cut: 0, complete: 0 };
    for (const killCase of KILL_CASES.filter((one) => cases.includes(nameOf(one)))) {
      const rounds = scaled(ROUNDS, scale);
      const { cut, complete } = await killOften(killCase, rounds);
      console.log(`  ${nameOf(killCase)}: ${rounds} rounds, ${cut} transfers cut, ${complete} complete`);
      seen.cut += cut;
      seen.complete += complete;
    }
    return `${seen.cut} transfers were cut, each visibly; ${seen.complete} were complete, each of them whole`;
  },
};

function nameOf({ victim, stop }: KillCase): string {
  return `${victim} ${stop}`;
}

/** Fresh processes for each case: their logs, and the agent's back-off, would only grow. */
async function killOften({ victim, stop }: KillCase, rounds: number): Promise<RoundResult> {
  const deployment = await Deployment.start();
  const seen = { cut: 0, complete: 0 };
  try {
    for (let round = 0; round < rounds; round += 1) {
      const { cut, complete } = await killRound(deployment, victim, stop);
      seen.cut += cut;
      seen.complete += complete;
    }
    return seen;
  } catch (error) {
    console.log(deployment.output());
    throw error;
  } finally {
    await deployment.close();
  }
}
