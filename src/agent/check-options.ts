import * as shape from '../core/shape.ts';
import type { AgentDomainOptions, AgentOptions, RouteOptions, TargetAddress, WeightedTarget } from './options.ts';

const { anything, either, flag, func, list, number, object, oneOf, record, secret, text } = shape;

type TargetOf<K extends TargetAddress['kind']> = Extract<TargetAddress, { kind: K }>;

const texts = list(text);
const target = either(
  "{ kind: 'tcp', host, port, http }, { kind: 'unix', path } or { kind: 'https', host, port, verify, ca }",
  object<TargetOf<'tcp'>>({ kind: oneOf('tcp'), host: text, port: number, http: oneOf(true) }, [
    'kind',
    'host',
    'port',
  ]),
  object<TargetOf<'unix'>>({ kind: oneOf('unix'), path: text }, ['kind', 'path']),
  object<TargetOf<'https'>>({ kind: oneOf('https'), host: text, port: number, verify: flag, ca: text }, [
    'kind',
    'host',
    'port',
  ]),
);
const weighted = object<WeightedTarget>({ target, weight: number }, ['target']);

const route = object<RouteOptions>(
  {
    name: text,
    method: text,
    path: text,
    target: (value, path) => (Array.isArray(value) ? list(weighted) : target)(value, path),
    rewrite: text,
    query: record(either('a string or null', text, oneOf(null))),
    host: text,
    proxyProtocol: oneOf(1, 2),
  },
  ['target'],
);

const domain = object<AgentDomainOptions>(
  {
    name: text,
    secret,
    certificate: text,
    key: secret,
    identity: text,
    remote: texts,
    service: text,
    insecure: flag,
    ca: text,
    pin: text,
    instance: text,
    connections: number,
    concurrency: number,
    targets: list(route),
    target,
    claims: list(number),
    handler: anything,
    ports: record(target),
  },
  ['name'],
);

const agent = object<AgentOptions>(
  {
    domains: list(domain),
    handler: anything,
    connectTimeoutMs: number,
    readTimeoutMs: number,
    writeTimeoutMs: number,
    exchanges: flag,
    proxyEnvironment: anything,
    tunnelMemoryBytes: number,
    memoryBytes: number,
    drainMs: number,
    observer: func,
  },
  ['domains'],
);

/** What of agent options is not what the types say, each in one line: nobody has checked that for JavaScript. */
export function agentShapeProblems(given: unknown): readonly string[] {
  return agent(given, '');
}
