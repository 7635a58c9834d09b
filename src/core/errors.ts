/** What an entry of the catalogue decides; nothing decides from a message's text. */
export interface ErrorEntry {
  /** What happened, as a user reads it; the error's own message adds on what and within which budget. */
  readonly message: string;
  /** HTTP status of an answer that the system makes itself. */
  readonly status: number;
  /** Error type of RFC 9209, section 2.3, for `Proxy-Status`. */
  readonly proxyError: string;
  /** Exit code of the program when this error ends it. */
  readonly exitCode: number;
  /** True when the same attempt may succeed on another stream, tunnel or later. */
  readonly retryable: boolean;
}

const entry = (
  message: string,
  status: number,
  proxyError: string,
  more: { exitCode?: number; retryable?: boolean } = {},
): ErrorEntry => ({
  message,
  status,
  proxyError,
  exitCode: more.exitCode ?? 70,
  retryable: more.retryable ?? false,
});

/** Every error that Backdial makes, by code. README explains each; a test holds the two together. */
export const ERRORS = {
  // What a visitor sent.
  'request-invalid': entry('the request breaks a rule of HTTP or of the front door', 400, 'http_request_error'),
  'method-refused': entry('the method is not allowed here', 405, 'http_request_error'),
  'request-timeout': entry('the request head did not arrive in time', 408, 'http_request_error'),
  'body-too-slow': entry('the request body arrived too slowly', 408, 'http_request_error'),
  'body-too-large': entry('the request body is larger than allowed', 413, 'http_request_error'),
  'headers-too-large': entry('the request head is larger than allowed', 431, 'http_request_error'),
  misdirected: entry('this connection was opened for another host', 421, 'http_request_error'),
  'loop-detected': entry('the request went through this server already', 502, 'proxy_loop_detected'),
  'visitor-reset': entry('the visitor went away', 499, 'http_request_error'),
  'visitor-stalled': entry('the visitor stopped reading', 499, 'http_request_error'),
  'hello-invalid': entry('not a TLS ClientHello', 400, 'tls_protocol_error'),
  'hello-timeout': entry('the TLS handshake did not finish in time', 408, 'tls_protocol_error'),
  'visitor-tls': entry('the TLS handshake with the visitor failed', 400, 'tls_protocol_error'),
  'certificate-missing': entry('no certificate covers the name', 421, 'tls_certificate_error'),
  'name-invalid': entry('not a valid host name', 400, 'destination_not_found', { exitCode: 1 }),
  'time-refused': entry('the domain takes no visitors at this time', 403, 'http_request_denied'),
  'certificate-refused': entry(
    'the visitor proved no certificate of the required authorities',
    403,
    'http_request_denied',
  ),
  'credentials-missing': entry('a login is required', 401, 'http_request_denied'),
  'credentials-wrong': entry('the login or its password is wrong', 401, 'http_request_denied'),
  'credentials-limit': entry('too many wrong logins came from this address', 429, 'http_request_denied'),
  'proxy-untrusted': entry(
    'a proxy that is not trusted came to a listener with proxyProtocol',
    403,
    'http_request_denied',
  ),
  'proxy-header-invalid': entry('the PROXY protocol header is missing or malformed', 400, 'http_request_error'),
  'proxy-header-timeout': entry('the PROXY protocol header did not come in time', 408, 'http_request_error'),
  'connection-limit': entry('too many connections', 503, 'connection_limit_reached', { retryable: true }),
  // Which domain.
  'domain-unknown': entry('no such domain', 404, 'destination_not_found'),
  'domain-inactive': entry('the domain is not active', 404, 'destination_not_found'),
  'domain-unserved': entry('no agent serves the domain now', 404, 'destination_unavailable', { retryable: true }),
  'stream-limit': entry('too many streams are open for the domain', 429, 'connection_limit_reached', {
    retryable: true,
  }),
  // The tunnel and the agent.
  'agent-lost': entry('the tunnel to the agent broke', 502, 'connection_terminated', { retryable: true }),
  'agent-silent': entry('the agent stopped answering', 504, 'connection_timeout', { retryable: true }),
  'tunnel-draining': entry('the tunnel is being closed', 503, 'connection_terminated', { retryable: true }),
  'dial-timeout': entry('the agent did not open the stream in time', 504, 'connection_timeout', { retryable: true }),
  'dial-aborted': entry('the dial was aborted by its caller', 499, 'connection_terminated'),
  // The target.
  'target-refused': entry('the target refused the connection', 502, 'connection_refused', { retryable: true }),
  'target-unreachable': entry('the target cannot be reached', 502, 'destination_ip_unroutable', { retryable: true }),
  'target-unresolved': entry("the target's name cannot be resolved", 502, 'dns_error', { retryable: true }),
  'target-timeout': entry('the target did not accept the connection in time', 504, 'connection_timeout', {
    retryable: true,
  }),
  'target-tls': entry('the TLS handshake with the target failed', 502, 'tls_protocol_error'),
  'target-certificate': entry("the target's certificate is not trusted", 502, 'tls_certificate_error'),
  'target-lost': entry(
    'the target closed the connection before its answer was complete',
    502,
    'connection_terminated',
    {
      retryable: true,
    },
  ),
  'target-silent': entry('the target did not answer in time', 504, 'http_response_timeout'),
  'target-stalled': entry('the target stopped reading the request', 504, 'connection_write_timeout'),
  'target-invalid': entry('the target did not answer with valid HTTP', 502, 'http_protocol_error'),
  'target-headers': entry("the target's response head is too large", 502, 'http_response_header_section_size'),
  'upgrade-failed': entry('the target answered the upgrade wrongly', 502, 'http_upgrade_failed'),
  'handler-failed': entry("the domain's handler failed", 500, 'proxy_internal_error'),
  'port-unknown': entry('the agent does not serve this port', 502, 'destination_not_found'),
  'no-route': entry('no route of the agent matches', 404, 'destination_not_found'),
  // The handshake between agent and server.
  'handshake-invalid': entry('the handshake is malformed', 400, 'http_request_error'),
  'handshake-timeout': entry('the handshake did not finish in time', 408, 'http_request_error', { retryable: true }),
  'handshake-refused': entry('the server did not accept this agent', 404, 'http_upgrade_failed', {
    exitCode: 4,
    retryable: true,
  }),
  'secret-missing': entry('the agent showed no secret', 401, 'http_request_denied'),
  'agent-certificate': entry("the agent's certificate does not let it in", 403, 'http_request_denied'),
  'secret-wrong': entry('the secret is not one of the domain', 403, 'http_request_denied'),
  'network-refused': entry('the address is not in the allowed networks', 403, 'http_request_denied'),
  'connect-refused': entry('the server did not open the connection that it was asked for', 502, 'http_request_denied', {
    exitCode: 4,
  }),
  'port-refused': entry('no grant lets this agent open the port', 403, 'http_request_denied'),
  'port-taken': entry('the port is taken', 409, 'http_request_denied', { retryable: true }),
  'grant-missing': entry('no grant allows it', 403, 'http_request_denied'),
  'proxy-local': entry('a proxy without credentials is for its own machine only', 403, 'http_request_denied'),
  'login-impossible': entry('the domain asks what a byte stream cannot show', 403, 'http_request_denied'),
  'claim-refused': entry('no grant lets this agent claim the name', 403, 'http_request_denied'),
  'server-unresolved': entry("the server's name cannot be resolved", 502, 'dns_error', {
    exitCode: 4,
    retryable: true,
  }),
  'server-unreachable': entry('the server cannot be reached', 502, 'connection_refused', {
    exitCode: 4,
    retryable: true,
  }),
  'server-certificate': entry("the server's certificate is not trusted", 502, 'tls_certificate_error', {
    exitCode: 4,
    retryable: true,
  }),
  'server-tls': entry('the TLS handshake with the server failed', 502, 'tls_protocol_error', {
    exitCode: 4,
    retryable: true,
  }),
  'proxy-refused': entry('the HTTPS_PROXY did not open a connection to the server', 502, 'http_upgrade_failed', {
    exitCode: 4,
    retryable: true,
  }),
  // The API of a server (`admin`) or an agent (`api`).
  'api-token': entry("the API's token is missing or wrong", 401, 'http_request_denied', { exitCode: 1 }),
  'api-foreign': entry('the API does not answer who asks like this', 403, 'http_request_denied', { exitCode: 1 }),
  'api-not-found': entry('the API has no such thing', 404, 'destination_not_found', { exitCode: 1 }),
  'api-unreachable': entry('the API cannot be asked', 502, 'connection_refused', { exitCode: 1 }),
  'api-unhealthy': entry('the program does not serve', 503, 'destination_unavailable', { exitCode: 1 }),
  'api-value': entry('a value is not allowed', 422, 'http_request_error', { exitCode: 1 }),
  // The program.
  'config-invalid': entry('the configuration is invalid', 500, 'proxy_configuration_error', { exitCode: 1 }),
  'input-invalid': entry('the input is invalid', 400, 'http_request_error', { exitCode: 1 }),
  usage: entry('wrong usage', 400, 'http_request_error', { exitCode: 2 }),
  'listen-failed': entry('cannot listen', 500, 'proxy_configuration_error', { exitCode: 3 }),
  'state-unwritable': entry('what must outlive a restart could not be written', 500, 'proxy_internal_error'),
  internal: entry('an internal error', 500, 'proxy_internal_error', { exitCode: 70 }),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/**
 * The one error class of Backdial. `code` names an entry of {@link ERRORS}; everything that is decided, is decided by it.
 * `message` says what failed, on what, within which budget; it never holds a credential.
 */
export class BackdialError extends Error {
  readonly code: ErrorCode;
  /** What the message says beyond the catalogue; empty where it says no more. */
  readonly detail: string;

  constructor(code: ErrorCode, detail?: string, options?: { cause?: unknown }) {
    super(detail === undefined ? ERRORS[code].message : `${ERRORS[code].message}: ${detail}`, options);
    this.name = 'BackdialError';
    this.code = code;
    this.detail = detail ?? '';
  }

  get entry(): ErrorEntry {
    return ERRORS[this.code];
  }
}

/** True for a code of the catalogue: what a peer names in `backdial-error` is checked with this before it is believed. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

/** The error as a BackdialError: itself, or wrapped under `code`, its own message as detail. */
export function asBackdialError(error: unknown, code: ErrorCode): BackdialError {
  if (error instanceof BackdialError) return error;
  return new BackdialError(code, error instanceof Error ? error.message : String(error), { cause: error });
}
