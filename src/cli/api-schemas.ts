const TEXT = { type: 'string' };
const COUNT = { type: 'integer', minimum: 0 };

/** JSON Schema of a live tunnel, as both APIs show it. */
export const TUNNEL_SCHEMA = {
  type: 'object',
  properties: {
    id: TEXT,
    domain: TEXT,
    instance: TEXT,
    slot: COUNT,
    remote: { ...TEXT, description: 'address of the other end' },
    node: TEXT,
    openedAt: { ...COUNT, description: 'ms since the epoch' },
    rttMs: { type: ['number', 'null'] },
    streams: COUNT,
    streamWindowBytes: COUNT,
    tunnelWindowBytes: COUNT,
    heldBytes: { ...COUNT, description: 'received, and not yet taken by a reader' },
    receivedBytes: COUNT,
    sentBytes: COUNT,
  },
};

/** JSON Schema of a server's domain. */
export const DOMAIN_SCHEMA = {
  type: 'object',
  properties: {
    name: TEXT,
    instances: {
      type: 'array',
      items: {
        type: 'object',
        properties: { name: TEXT, domain: { ...TEXT, description: 'as claimed' }, tunnels: COUNT, streams: COUNT },
      },
    },
    hasTarget: {
      type: 'boolean',
      description: 'a `target` beside the server takes what comes while no agent serves it',
    },
    active: { type: 'object', additionalProperties: COUNT, description: 'requests and byte streams, by way in' },
  },
};

/** JSON Schema of an agent's domain. */
export const AGENT_DOMAIN_SCHEMA = {
  type: 'object',
  properties: {
    name: TEXT,
    instance: TEXT,
    links: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          server: TEXT,
          address: { type: ['string', 'null'] },
          slot: COUNT,
          state: { enum: ['waiting', 'dialling', 'live', 'stopped'] },
          since: COUNT,
          node: { type: ['string', 'null'] },
          rttMs: { type: ['number', 'null'] },
          failure: { type: ['string', 'null'], description: 'code of the last error' },
        },
      },
    },
  },
};

/** JSON Schema of what `GET /status` tells. */
export const STATUS_SCHEMA = {
  type: 'object',
  properties: {
    kind: { enum: ['server', 'agent'] },
    version: TEXT,
    name: { ...TEXT, description: "of the node, or the agent's machine" },
    startedAt: { ...COUNT, description: 'ms since the epoch' },
    draining: { type: 'boolean' },
    domains: { ...COUNT, description: 'active ones' },
    inactive: { ...COUNT, description: 'domains that have a file without `active: true`' },
    served: { ...COUNT, description: 'domains that have a tunnel' },
    tunnels: COUNT,
    active: { ...COUNT, description: 'requests and byte streams of visitors; of an agent: open streams' },
    memory: { type: 'object', properties: { heldBytes: COUNT, budgetBytes: COUNT } },
    config: {
      type: 'object',
      properties: { generation: COUNT, appliedAt: COUNT, lastReloadOk: { type: 'boolean' } },
    },
    certificates: {
      type: 'array',
      items: { type: 'object', properties: { hosts: TEXT, notAfter: { type: 'integer' } } },
    },
  },
};

/** JSON Schema of the answer to `DELETE /tunnels/{id}`. */
export const DRAINED_SCHEMA = { type: 'object', properties: { id: TEXT, draining: { const: true } } };
