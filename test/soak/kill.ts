import { Deployment } from '../support/deployment.ts';
import { killRound, STOPS, VICTIMS } from '../support/kill-round.ts';
import { type Soak, scaled } from './soak.ts';

const ROUNDS = 200;

export const killSoak: Soak = {
  name: 'kill',
  about: `${ROUNDS} times each: kill -9 of target, agent and server, and cutting the tunnel, at the head, in mid-body, at the end`,
  async run(scale) {
    const rounds = scaled(ROUNDS, scale);
    const seen = { cut: 0, complete: 0 };
    for (const victim of VICTIMS) {
      for (const stop of STOPS) {
        // Fresh processes for each: their logs, and the agent's back-off, would only grow.
        const deployment = await Deployment.start();
        const here = { cut: 0, complete: 0 };
        try {
          for (let round = 0; round < rounds; round += 1) {
            const { cut, complete } = await killRound(deployment, victim, stop);
            here.cut += cut;
            here.complete += complete;
          }
        } catch (error) {
          console.log(deployment.output());
          throw error;
        } finally {
          await deployment.close();
        }
        console.log(`  ${victim}, ${stop}: ${rounds} rounds, ${here.cut} transfers cut, ${here.complete} complete`);
        seen.cut += here.cut;
        seen.complete += here.complete;
      }
    }
    return `${seen.cut} transfers were cut, each visibly; ${seen.complete} were complete, each of them whole`;
  },
};
