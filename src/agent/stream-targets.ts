import { parseHostPort } from '../core/address.ts';
import { visitorHeader } from '../net/proxy-protocol.ts';
import type { StreamHead } from '../tunnel/types.ts';
import type { DomainTargets } from './domain-targets.ts';
import { TargetConnections } from './target-connections.ts';
import type { GroupMember } from './target-group.ts';

/**
 * The connections that one stream may use: those of all, and, to targets that are told the visitor's address, its own. The
 * server shares such a stream with no other visitor (`Backdial-Stream: visitor`).
 */
export class StreamTargets {
  readonly #shared: DomainTargets;
  readonly #head: StreamHead;
  readonly #own = new Map<GroupMember, TargetConnections>();

  constructor(shared: DomainTargets, head: StreamHead) {
    this.#shared = shared;
    this.#head = head;
  }

  connectionsTo(member: GroupMember, proxyProtocol: 1 | 2 | null): TargetConnections {
    if (proxyProtocol === null) return this.#shared.connectionsTo(member);
    const known = this.#own.get(member);
    if (known !== undefined) return known;
    const connections = new TargetConnections(member.target, headerOf(this.#head, proxyProtocol));
    this.#own.set(member, connections);
    return connections;
  }

  /** The stream is over. */
  close(): void {
    for (const connections of this.#own.values()) connections.close();
  }
}

/** Of where the visitor came to only the port is known here, and that where it was asked for. */
function headerOf({ client, authority }: StreamHead, version: 1 | 2): Buffer {
  return visitorHeader(version, { visitor: client, arrivedAt: null, port: parseHostPort(authority)?.port });
}
