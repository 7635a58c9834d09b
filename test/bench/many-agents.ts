import { createAgent, Secret } from '../../src/index.ts';
import type { AgentsOrder } from './idle-tunnels.ts';

// A program full of agents: each serves a domain of its own at the server that its parent names.
process.once('message', ({ port, pin, names, secret, connections }: AgentsOrder) => {
  let opened = 0;
  for (const name of names) {
    const agent = createAgent({
      domains: [
        {
          name,
          secret: new Secret(secret),
          remote: [`127.0.0.1:${port}`],
          pin,
          instance: 'bench',
          connections,
          target: { kind: 'tcp', host: '127.0.0.1', port: 1 },
        },
      ],
      observer: (event) => {
        if (event.type !== 'tunnel-opened') return;
        opened += 1;
        if (opened === connections * names.length) process.send?.('all are open');
      },
    });
    agent.start();
  }
});
process.on('disconnect', () => process.exit());
