/** The library's face: what is not exported here is not public. */
export { type Agent, type AgentState, createAgent } from './agent/agent.ts';
export type { Exposure, ExposureRequest, Exposures, SavedExposure } from './agent/exposures.ts';
export type { FetchHandler } from './agent/fetch-handler.ts';
export type { AgentHandler, RequestHandler } from './agent/handler.ts';
export type {
  AgentDomainOptions,
  AgentOptions,
  RouteOptions,
  TargetAddress,
  WeightedTarget,
} from './agent/options.ts';
export type { ListenAddress, Network, SocketAddress, SocketOwner } from './core/address.ts';
export type { AppliedChange, ApplyResult } from './core/apply-result.ts';
export type { CloseOptions } from './core/close-options.ts';
export type { PortRange } from './core/connect-grant.ts';
export type { DialOptions } from './core/dial.ts';
export type { DomainState, InstanceState } from './core/domain-state.ts';
export { BackdialError, ERRORS, type ErrorCode, type ErrorEntry } from './core/errors.ts';
export type {
  AccessRecord,
  BackdialEvent,
  ListenPurpose,
  Observer,
  StreamEnd,
  TunnelEnd,
  TunnelInfo,
  Way,
} from './core/events.ts';
export { Secret } from './core/secret.ts';
export type { LiveTunnel, MemoryStats, TunnelStats } from './core/tunnel-stats.ts';
export type { ServerAddresses } from './server/addresses.ts';
export type { ClientPoolOptions, LibraryDispatcher, ServerDialOptions } from './server/library.ts';
export type {
  Balance,
  CertificateOptions,
  ClientOptions,
  ConnectGrant,
  CredentialOptions,
  DestinationGrant,
  DomainOptions,
  FrontDoorListener,
  GrantOptions,
  IdentityOptions,
  ProxyOptions,
  ServerOptions,
  SniOptions,
  TlsPolicy,
} from './server/options.ts';
export { createServer, type Server } from './server/server.ts';
