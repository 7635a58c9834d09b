import { type Agent, createAgent } from '../../src/agent/agent.ts';
import type { AgentInternals } from '../../src/agent/internals.ts';
import type { AgentDomainOptions, AgentOptions } from '../../src/agent/options.ts';
import { Secret } from '../../src/core/secret.ts';
import { testAuthority } from './certificates.ts';
import { EventLog } from './event-log.ts';

/** A domain that needs nothing but a server: one tunnel, a target where nobody listens. */
export function testDomain(given: Partial<AgentDomainOptions> = {}): AgentDomainOptions {
  return {
    name: 'www.test',
    secret: new Secret('a secret of enough bytes'),
    ca: testAuthority().cert,
    instance: 'one',
    connections: 1,
    target: { kind: 'tcp', host: '127.0.0.1', port: 1 },
    ...given,
  };
}

/** Back-off that is quick and without chance: 0, 20, 40, ... at most 200 ms, also of claims. */
export const QUICK: Partial<AgentInternals> = {
  backoff: { baseMs: 20, capMs: 200, refusedCapMs: 400, random: () => 0.999 },
  claimBackoff: { baseMs: 20, capMs: 200, random: () => 0.999 },
};

/** Runs an agent while `body` does, and closes it at once afterwards. */
export async function withAgent(
  options: Omit<AgentOptions, 'observer'>,
  internals: Partial<AgentInternals>,
  body: (agent: Agent, events: EventLog) => Promise<void>,
): Promise<void> {
  const events = new EventLog();
  const agent = createAgent({ ...options, observer: events.observer }, { ...QUICK, ...internals });
  try {
    agent.start();
    await body(agent, events);
  } finally {
    await agent.close({ drainMs: 0 });
  }
}

/** An agent that tries once: before it does so again, every test is over. */
export function createPatientAgent(options: AgentOptions): Agent {
  return createAgent(options, { backoff: { baseMs: 60_000, capMs: 60_000, random: () => 0.999 } });
}
