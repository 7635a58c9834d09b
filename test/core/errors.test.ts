import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asBackdialError, BackdialError, ERRORS, isErrorCode } from '../../src/core/errors.ts';

/** RFC 9209, section 2.3. */
const PROXY_ERRORS = new Set([
  'dns_timeout',
  'dns_error',
  'destination_not_found',
  'destination_unavailable',
  'destination_ip_prohibited',
  'destination_ip_unroutable',
  'connection_refused',
  'connection_terminated',
  'connection_timeout',
  'connection_read_timeout',
  'connection_write_timeout',
  'connection_limit_reached',
  'tls_protocol_error',
  'tls_certificate_error',
  'tls_alert_received',
  'http_request_error',
  'http_request_denied',
  'http_response_incomplete',
  'http_response_header_section_size',
  'http_response_header_size',
  'http_response_body_size',
  'http_response_trailer_section_size',
  'http_response_trailer_size',
  'http_response_transfer_coding',
  'http_response_content_coding',
  'http_response_timeout',
  'http_upgrade_failed',
  'http_protocol_error',
  'proxy_internal_response',
  'proxy_internal_error',
  'proxy_configuration_error',
  'proxy_loop_detected',
]);

describe('the catalogue of errors', () => {
  const entries = Object.entries(ERRORS);

  it('has words for codes, and for each all that is decided by it', () => {
    assert.ok(entries.length > 40);
    for (const [code, entry] of entries) {
      assert.match(code, /^[a-z]+(-[a-z]+)*$/);
      assert.ok(entry.message.length > 5 && !/[.!]$/.test(entry.message), code);
      assert.ok(entry.status >= 400 && entry.status <= 599, code);
      assert.ok(PROXY_ERRORS.has(entry.proxyError), `${code}: ${entry.proxyError}`);
      assert.ok([1, 2, 3, 4, 70].includes(entry.exitCode), code);
    }
  });

  it('gives the program the exit codes of its manual', () => {
    assert.equal(ERRORS['config-invalid'].exitCode, 1);
    assert.equal(ERRORS['name-invalid'].exitCode, 1);
    assert.equal(ERRORS.usage.exitCode, 2);
    assert.equal(ERRORS['listen-failed'].exitCode, 3);
    assert.equal(ERRORS['handshake-refused'].exitCode, 4);
    assert.equal(ERRORS.internal.exitCode, 70);
  });

  it('is asked by code, and only for codes that it has', () => {
    assert.ok(isErrorCode('agent-lost'));
    for (const other of ['toString', '__proto__', 'constructor', '', 'AGENT-LOST']) assert.ok(!isErrorCode(other));
  });
});

describe('an error', () => {
  it('says what happened and on what, and keeps its cause', () => {
    const cause = new Error('ECONNREFUSED');
    const error = new BackdialError('target-refused', '127.0.0.1:3000', { cause });
    assert.equal(error.message, 'the target refused the connection: 127.0.0.1:3000');
    assert.equal(error.cause, cause);
    assert.equal(error.entry, ERRORS['target-refused']);
    assert.equal(new BackdialError('agent-lost').message, ERRORS['agent-lost'].message);
  });

  it('is wrapped once', () => {
    const first = asBackdialError('text', 'internal');
    assert.equal(first.message, 'an internal error: text');
    assert.equal(asBackdialError(first, 'agent-lost'), first);
    assert.equal(asBackdialError(new Error('x'), 'agent-lost').code, 'agent-lost');
  });
});
