import { z } from 'zod';
import { AGENT_DOMAIN_KEYS, AGENT_KEYS, TARGET_KEYS, TLS_KEYS, weightedKeys } from './agent-keys.ts';
import { apiKeys } from './api-settings.ts';
import { SNI_KEYS } from './backends.ts';
import { CLIENTS_KEYS } from './clients.ts';
import { FIELD_SHAPES, type JsonShape, oneOrMany, TEXT, TEXT_OR_PORT } from './fields.ts';
import { listenerKeys } from './listeners.ts';
import { LOG_FILE_KEYS, syslogKeys } from './log-destinations.ts';
import { AGENT_LOG_KEYS, SERVER_LOG_KEYS } from './log-settings.ts';
import type { Keys } from './section.ts';
import { CERTIFICATE_KEYS, SERVER_DOMAIN_KEYS, serverKeys } from './server-keys.ts';

/** A JSON Schema (2020-12) of one of the files, and the file of `conf/` that shows each of its keys. */
export interface FileSchema {
  /** File name without extension. */
  readonly name: string;
  readonly example: string;
  readonly schema: JsonShape;
}

const NOTHING: JsonShape = { type: 'null' };
const anyOf = (...shapes: readonly JsonShape[]): JsonShape => ({ anyOf: shapes });
const TEXTS = orNothing(oneOrMany(TEXT));

function orNothing(shape: JsonShape): JsonShape {
  return anyOf(shape, NOTHING);
}

/**
 * What editors check and complete. The keys come from the schemas that files are read with; `parts` says what stands in those
 * keys that are read on their own. Nothing that is read without a problem is refused; not all that is refused is found.
 */
export function fileSchemas(): readonly FileSchema[] {
  const certificates = orNothing(oneOrMany(objectOf(CERTIFICATE_KEYS)));
  const clients = orNothing(objectOf(CLIENTS_KEYS, { networks: TEXTS, ranges: TEXTS, credentials: TEXTS }));
  const sni = orNothing(objectOf(SNI_KEYS));
  const listen = orNothing(
    oneOrMany(anyOf(TEXT_OR_PORT, objectOf(listenerKeys('/'), { certificates, proxyProtocol: TEXTS }))),
  );
  const target = objectOf(TARGET_KEYS, {
    target: anyOf(TEXT_OR_PORT, { type: 'array', items: anyOf(TEXT_OR_PORT, objectOf(weightedKeys('/'))) }),
    tls: orNothing(objectOf(TLS_KEYS)),
  });
  const api = orNothing(objectOf(apiKeys('/'), { token: orNothing(TEXT) }));
  const ports = orNothing({ type: 'object', additionalProperties: TEXT_OR_PORT });
  return [
    file(
      'server',
      'server.json5',
      objectOf(serverKeys('/'), { listen, certificates, admin: api, sni, log: log(SERVER_LOG_KEYS) }),
    ),
    file(
      'server-domain',
      'domains/www.example.com.json5',
      objectOf(SERVER_DOMAIN_KEYS, {
        secret: TEXTS,
        networks: TEXTS,
        target: orNothing(TEXT_OR_PORT),
        forward: TEXTS,
        clients,
      }),
    ),
    file('agent', 'agent/agent.json5', objectOf(AGENT_KEYS, { api, log: log(AGENT_LOG_KEYS) })),
    file(
      'agent-domain',
      'agent/domains/www.example.com.json5',
      objectOf(AGENT_DOMAIN_KEYS, { secret: orNothing(TEXT), targets: orNothing(oneOrMany(target)), ports }),
    ),
  ];
}

function file(name: string, example: string, schema: JsonShape): FileSchema {
  const $schema = 'https://json-schema.org/draft/2020-12/schema';
  return { name, example, schema: { $schema, title: `Backdial: ${name}`, ...schema } };
}

function log(keys: Keys<z.ZodObject>): JsonShape {
  const destination = anyOf({ const: 'console' }, objectOf(LOG_FILE_KEYS), objectOf(syslogKeys('/')));
  const destinations = orNothing(oneOrMany(destination));
  return orNothing(objectOf(keys, { system: destinations, access: destinations }));
}

function objectOf({ schema, required = [] }: Keys<z.ZodObject>, parts: Readonly<Record<string, JsonShape>> = {}) {
  const made = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      const shape = FIELD_SHAPES.get(zodSchema);
      if (shape === undefined) return;
      for (const key of Object.keys(jsonSchema)) delete jsonSchema[key];
      Object.assign(jsonSchema, shape);
    },
  });
  // Whether a key may be left out is `Keys`' to say: a field that is preprocessed seems needed.
  const { $schema: _version, required: _required, properties = {}, ...rest } = made;
  const known = Object.entries(parts).filter(([key]) => key in properties);
  return {
    ...rest,
    properties: { ...properties, ...Object.fromEntries(known) },
    ...(required.length === 0 ? {} : { required: [...required] }),
  };
}
