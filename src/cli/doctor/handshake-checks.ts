import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { authorizationOf } from '../../agent/authorization.ts';
import type { ClientProof } from '../../agent/resolve-options.ts';
import { asBackdialError, type BackdialError } from '../../core/errors.ts';
import { VERSION } from '../../core/version.ts';
import { requestUpgrade, type UpgradeAnswer } from '../../tunnel/agent-handshake.ts';
import { probeTunnel } from '../../tunnel/agent-probe.ts';
import { reportClock } from './clock-check.ts';
import { type Findings, STEP_TIMEOUT_MS } from './findings.ts';
import { type Claim, ownNameAdvice, type ServerSubject } from './subject.ts';

/** A connection to a server, and whether it has proved who it is. */
export interface Way {
  readonly trusted: boolean;
  /** `proof`: the certificate that is shown; null: none. */
  connect(proof: ClientProof | null): Promise<TLSSocket>;
}

/** How a handshake went. */
interface Attempt {
  /** Where the server answered 101: the connection, which is the caller's now. */
  readonly accepted: { readonly socket: TLSSocket; readonly answer: UpgradeAnswer } | null;
  readonly error: BackdialError | null;
  /** Of the answer that was no 101. */
  readonly refusal: { readonly status: number; readonly headers: IncomingHttpHeaders } | null;
}

/**
 * The upgrade, the clock, and for each domain its secret and HTTP/2 behind it. The first handshake shows neither
 * secret nor certificate: what it gets tells who answers there, and it may go to a server that is not trusted.
 */
export async function checkHandshakes(findings: Findings, server: ServerSubject, way: Way): Promise<void> {
  const [first] = server.claims;
  if (first === undefined) return;
  const bare = await attempt(server, { ...first, secret: null, proof: null }, way);
  reportClock(findings, bare.refusal?.headers.date);
  bare.accepted?.socket.destroy();
  let upgradeReported = false;
  for (const claim of server.claims) {
    const hasProof = claim.secret !== null || claim.proof !== null;
    const shown = way.trusted && hasProof ? await attempt(server, claim, way) : null;
    if (!upgradeReported) reportUpgrade(findings, shown ?? bare, server);
    upgradeReported = true;
    if (shown === null) {
      const reason = way.trusted ? 'give --domain and --secret-file' : 'it is not sent to a server that is not trusted';
      findings.skip('secret', `not tried: ${reason}`);
    } else {
      await reportSecret(findings, { ...claim, service: server.service }, shown);
    }
  }
}

async function attempt(server: ServerSubject, claim: Claim, way: Way): Promise<Attempt> {
  let refusal: Attempt['refusal'] = null;
  const onRefusal = ({ statusCode = 0, headers }: IncomingMessage) => {
    refusal = { status: statusCode, headers };
  };
  const request = {
    host: server.remote.label.replace(/:443$/, ''),
    service: server.service,
    authorization: authorizationOf(claim),
    domain: claim.domain,
    instance: claim.instance,
    slot: claim.slot,
    streamPerVisitor: false,
    version: VERSION,
  };
  try {
    const socket = await way.connect(claim.proof);
    const answer = await requestUpgrade(socket, request, { timeoutMs: STEP_TIMEOUT_MS, onRefusal });
    return { accepted: { socket, answer }, error: null, refusal: null };
  } catch (error) {
    return { accepted: null, error: asBackdialError(error, 'server-unreachable'), refusal };
  }
}

function reportUpgrade(findings: Findings, { accepted, error, refusal }: Attempt, server: ServerSubject): void {
  if (accepted !== null) {
    findings.ok('upgrade', `101: the server${nodeOf(accepted.answer)} turned the connection around`);
  } else if (refusal === null) {
    const advice = 'something in between passes TLS but not this request, or no Backdial server answers at this port';
    findings.fail('upgrade', `the handshake got no answer: ${error?.message ?? 'the connection ended'}`, advice);
  } else {
    const { message, advice } = judge(refusal.status, refusal.headers);
    if (advice === null) findings.ok('upgrade', message);
    else findings.fail('upgrade', message, `${advice}${ownNameAdvice(server)}`);
  }
}

/** Fields that proxies, content networks and other web servers add, and that Backdial never makes itself. */
const FOREIGN = ['via', 'server', 'x-cache', 'cf-ray', 'x-served-by', 'x-amz-cf-id', 'x-powered-by'] as const;

/**
 * What an answer other than 101 shows of who gave it. A Backdial server that has seen `Upgrade` on its service path ends the
 * connection with its refusal; one to which the request came as a plain GET keeps it. So does a proxy that passes `Upgrade` on and
 * the refusal back: with one in between the two look alike.
 */
function judge(status: number, headers: IncomingHttpHeaders): { message: string; advice: string | null } {
  const foreign = FOREIGN.find((name) => headers[name] !== undefined);
  const ended = headers.connection?.toLowerCase() === 'close';
  if (ended && foreign === undefined) {
    return { message: `the request arrived as it was sent (answered ${status})`, advice: null };
  }
  const sign = foreign === undefined ? 'the connection was kept' : `\`${foreign}: ${String(headers[foreign])}\``;
  if (headers['x-transaction-id'] !== undefined) {
    return {
      message: `answered ${status} by a Backdial server behind something (${sign}) that strips \`Upgrade\`, or that brings a refusal`,
      advice:
        "look into the server's log: where it has a `handshake-refused` of this moment, the upgrade arrives, and what is wrong is the " +
        'secret, the domain or a grant. Else the CDN, load balancer or proxy in front has to pass `Connection: Upgrade` and ' +
        '`Upgrade: ptth` on, or TCP as it is; or dial the server at an address that leads past it',
    };
  }
  return {
    message: `answered ${status} by something else than a Backdial server (${sign})`,
    advice:
      'check the address, the port and `service`. A CDN, load balancer or proxy in front has to pass `Connection: Upgrade` and ' +
      '`Upgrade: ptth` on, or TCP as it is',
  };
}

async function reportSecret(findings: Findings, claim: ShownClaim, { accepted, refusal }: Attempt): Promise<void> {
  const { domain, service } = claim;
  if (accepted === null) {
    if (refusal === null || judge(refusal.status, refusal.headers).advice !== null) {
      findings.skip('secret', `${domain}: not known, for nothing shows that the handshake reached the server`);
      return;
    }
    findings.fail(
      'secret',
      `${domain}: refused (answered ${refusal.status})`,
      `the server tells the reason to its own log only. Either ${wrongOf(claim)}, or the server does not know ` +
        `${domain} (there: backdial domain add ${domain} -c FILE), or its file is not \`active\`, or its \`networks\` or grants ` +
        `do not allow this agent, or the server's \`service\` is not ${service}. ` +
        'After ten wrong secrets from here, those of an agent that runs included, it looks at one each 6 s: then try again',
    );
    return;
  }
  findings.ok('secret', `${domain}: accepted${claim.proof === null ? '' : ', with the certificate'}`);
  try {
    const rttMs = await probeTunnel(accepted.socket, STEP_TIMEOUT_MS);
    findings.ok('http2', `${domain}: a PING came back after ${rttMs.toFixed(1)} ms`);
  } catch (error) {
    const advice = 'something in between passes the upgrade but not what follows: let it pass the connection as TCP';
    // What the codes of tunnels say is said of agents; here the peer is the server.
    findings.fail('http2', `${domain}: ${asBackdialError(error, 'agent-lost').detail}`, advice);
  }
}

/** A claim as it was made: at which path. */
type ShownClaim = Claim & { readonly service: string };

/** What may be wrong with what was shown. */
function wrongOf({ domain, instance, secret, proof }: Claim): string {
  const wrongSecret = `the secret is none of ${domain}`;
  if (proof === null) return `${wrongSecret} (or it takes certificates alone)`;
  const wrong = `the certificate is not for ${domain} or ${instance}.${domain}, has ended, was revoked, or is of no authority in \`certificates\` there`;
  return secret === null ? wrong : `${wrong}, and ${wrongSecret}`;
}

function nodeOf({ node }: UpgradeAnswer): string {
  return node === null ? '' : ` (${node})`;
}
