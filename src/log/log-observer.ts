import type { Logger } from 'pino';
import { ERRORS, type ErrorCode } from '../core/errors.ts';
import type { BackdialEvent, Observer, TunnelEnd } from '../core/events.ts';
import { durationText } from './access-line.ts';
import type { AccessLog } from './access-log.ts';
import { dialHint } from './dial-hint.ts';
import { LiveTunnels } from './live-tunnels.ts';
import { endLevel, refusalLevel } from './severity.ts';

/** Where an observer writes to. */
export interface LogObserverOptions {
  readonly system: Logger;
  /** Null: requests and byte streams are not logged. */
  readonly access: AccessLog | null;
}

/** What each end of a tunnel means, as a reader of the log needs it. */
const ENDS: Readonly<Record<TunnelEnd, string>> = {
  replaced: 'a newer tunnel of the same instance and slot took over',
  drained: 'this side asked it to leave',
  'peer-drained': 'the other side asked it to leave',
  lost: 'the connection broke',
  silent: 'the other side stopped answering',
  'protocol-error': 'the other side broke HTTP/2',
  removed: 'the configuration does not let it in any more',
  shutdown: 'this process is stopping',
};

const PURPOSES = {
  'front-door': 'front door',
  tcp: 'TCP',
  claim: 'claimed TCP port',
  redirect: 'redirect to https',
  proxy: 'proxy',
  api: 'API',
} as const;

/** Turns events into log lines. The level follows the impact: see {@link endLevel}. */
export function createLogObserver({ system, access }: LogObserverOptions): Observer {
  const live = new LiveTunnels();
  return (event) => {
    if (event.type === 'access') {
      access?.write(event.record);
      return;
    }
    // For metrics: what became of it is in the access log.
    if (event.type === 'dialled') return;
    logEvent(system, live, event);
  };
}

function logEvent(log: Logger, live: LiveTunnels, event: Exclude<BackdialEvent, { type: 'access' | 'dialled' }>): void {
  switch (event.type) {
    case 'listening': {
      const domain = event.domain === undefined ? '' : ` of ${event.domain}`;
      log.info(
        { event: event.type, purpose: event.purpose, address: event.address, domain: event.domain },
        `listening on ${event.address} (${PURPOSES[event.purpose]}${domain})`,
      );
      return;
    }
    case 'tunnel-opened': {
      const { tunnel, peerVersion } = event;
      const count = live.opened(tunnel);
      log.info(
        { event: event.type, tunnel, peerVersion, live: count },
        `tunnel of ${tunnel.domain} opened: instance ${tunnel.instance}, slot ${tunnel.slot}, ${tunnel.remote}; ${live.text(tunnel.domain)}`,
      );
      return;
    }
    case 'tunnel-draining': {
      const { tunnel, reason } = event;
      live.left(tunnel);
      log.info(
        { event: event.type, tunnel, reason },
        `tunnel of ${tunnel.domain} is leaving: instance ${tunnel.instance}, slot ${tunnel.slot}; ${ENDS[reason]}`,
      );
      return;
    }
    case 'tunnel-closed': {
      const { tunnel, reason, detail, lifetimeMs } = event;
      const left = live.left(tunnel);
      log[endLevel(reason, left)](
        { event: event.type, tunnel, reason, detail, lifetimeMs, live: left },
        `tunnel of ${tunnel.domain} ended after ${durationText(lifetimeMs)}: instance ${tunnel.instance}, slot ${tunnel.slot}; ` +
          `${ENDS[reason]}${detail === null ? '' : ` (${detail})`}; ${live.text(tunnel.domain)}`,
      );
      return;
    }
    case 'handshake-refused': {
      const { remote, domain, instance, reason, detail } = event;
      log[refusalLevel(reason)](
        { event: event.type, remote, domain, instance, reason },
        `agent at ${remote} refused${domain === null ? '' : ` for ${domain}`}: ${why(reason, detail)}`,
      );
      return;
    }
    case 'dial-failed': {
      const { server, address, domain, instance, slot, reason, detail, attempt, retryInMs } = event;
      log.warn(
        { event: event.type, server, address, domain, instance, slot, reason, attempt, retryInMs },
        `no tunnel of ${domain} (slot ${slot}) to ${server}${address === null || address === server ? '' : ` at ${address}`}: ` +
          `${why(reason, detail)}${dialHint(reason, attempt)}; attempt ${attempt}, the next in ${durationText(retryInMs)}; ${live.text(domain)}`,
      );
      return;
    }
    case 'connection-refused': {
      const { remote, reason, detail, name } = event;
      log[refusalLevel(reason)](
        { event: event.type, remote, reason, name },
        `connection from ${remote} refused: ${why(reason, detail)}`,
      );
      return;
    }
    case 'port-opened': {
      const { domain, instance, port, peer } = event;
      log.info(
        { event: event.type, domain, instance, port, peer },
        `port ${port} is open for ${domain} (instance ${instance}; ${peer})`,
      );
      return;
    }
    case 'port-refused': {
      const { domain, instance, port, peer, reason, detail } = event;
      log.warn(
        { event: event.type, domain, instance, port, peer, reason },
        `port ${port} is not open for ${domain} (instance ${instance}; ${peer}): ${why(reason, detail)}`,
      );
      return;
    }
    case 'target-back': {
      const { domain, route, target, awayMs } = event;
      log.info(
        { event: event.type, domain, route, target, awayMs },
        `${domain}: target ${route}: ${target} is back after ${durationText(awayMs)}`,
      );
      return;
    }
    case 'warning':
      log.warn({ event: event.type, code: event.code }, event.message);
      return;
  }
}

/** The catalogue's words and what is known beyond them, none of it twice: some details begin with those words. */
function why(reason: ErrorCode, detail: string): string {
  const { message } = ERRORS[reason];
  return detail === '' || detail.startsWith(message) ? detail || message : `${message}: ${detail}`;
}
