import assert from 'node:assert/strict';
import { abortStorm } from '../support/abort-storm.ts';
import { Deployment } from '../support/deployment.ts';
import { connectPeer, startRawTarget } from '../support/raw-target.ts';
import { type Soak, scaled } from './soak.ts';

const PER_SECOND = 5_000;
const SECONDS = 20;
const BANNER = 'banner';

export const abortStormSoak: Soak = {
  name: 'storm',
  about: `${PER_SECOND} visitors a second who reset, for ${SECONDS} s: the tunnel and its other streams stay`,
  async run({ scale }) {
    const target = await startRawTarget({ onPeer: (peer) => void peer.stream.write(BANNER) });
    const deployment = await Deployment.start({ targetPort: target.port });
    try {
      const visitor = await connectPeer(deployment.tcp);
      const far = await target.next();
      await visitor.received(BANNER.length);
      const visitors = scaled(PER_SECOND * SECONDS, scale);
      const { resets, refused, durationMs } = await abortStorm({
        port: deployment.tcp,
        visitors,
        perSecond: PER_SECOND,
      });
      assert.deepEqual([resets, refused], [visitors, 0]);
      await visitor.send('ping');
      await far.received(4);
      await far.send('pong');
      await visitor.received(BANNER.length + 4);
      assert.doesNotMatch(deployment.output(), /tunnel-closed|tunnel-draining/);
      visitor.close();
      const rate = Math.round(resets / (durationMs / 1_000));
      return `${resets} resets, ${rate} a second (as fast as this machine makes visitors); no tunnel was lost`;
    } finally {
      await deployment.close();
      await target.close();
    }
  },
};
