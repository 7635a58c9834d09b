import { isIP } from 'node:net';
import { lookupAddresses } from '../../agent/resolver.ts';
import { formatAddress } from '../../core/address.ts';
import { asBackdialError } from '../../core/errors.ts';
import { type HttpProxy, proxyFor } from '../../net/http-proxy.ts';
import { checkAddress } from './address-checks.ts';
import { type Finding, Findings } from './findings.ts';
import type { ServerSubject } from './subject.ts';

/** Errors that say that this machine has no way to an address, which other addresses make up for. */
const NO_ROUTE = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT']);

/** Looks at a server as an agent would dial it: every address of its name, each as far as it goes. */
export async function checkServer(server: ServerSubject, env: NodeJS.ProcessEnv): Promise<Finding[]> {
  const findings = new Findings(server.remote.label);
  const { host, port } = server.remote;
  let proxy: HttpProxy | null;
  try {
    proxy = proxyFor(env, host, port);
  } catch (error) {
    const advice = 'mend or unset the variable: with this value no agent starts here';
    findings.fail('proxy', asBackdialError(error, 'config-invalid').detail, advice);
    return findings.list;
  }
  reportProxy(findings, proxy, env);
  if (proxy !== null) {
    findings.skip('name', 'the proxy resolves it');
    return [...findings.list, ...(await checkAddress(server, { address: null, proxy })).findings];
  }
  const addresses = await addressesOf(findings, host);
  const outcomes = await Promise.all(addresses.map((address) => checkAddress(server, { address, proxy })));
  const reached = outcomes.some(({ tcpError }) => tcpError === null);
  const found = outcomes.flatMap(({ findings: own, tcpError }) => {
    if (!reached || tcpError === null || !NO_ROUTE.has(tcpError)) return own;
    const advice = 'agents use the other addresses; nothing is to be done unless this one should work from here';
    return own.map((finding): Finding => ({ ...finding, result: 'warning', advice }));
  });
  return [...findings.list, ...found];
}

function reportProxy(findings: Findings, proxy: HttpProxy | null, env: NodeJS.ProcessEnv): void {
  if (proxy !== null) {
    const login = proxy.credentials === null ? 'without a login' : 'with a login';
    findings.ok('proxy', `HTTPS_PROXY: by way of ${formatAddress(proxy)}, ${login}`);
  } else if (env.https_proxy || env.HTTPS_PROXY) {
    findings.ok('proxy', 'none: NO_PROXY covers this server');
  } else if (env.http_proxy || env.HTTP_PROXY || env.all_proxy || env.ALL_PROXY) {
    const advice = 'if this network needs its proxy, set HTTPS_PROXY, too';
    findings.warn('proxy', 'none: HTTP_PROXY or ALL_PROXY is set, which agents do not use', advice);
  } else {
    findings.ok('proxy', 'none: HTTPS_PROXY is not set');
  }
}

async function addressesOf(findings: Findings, host: string): Promise<readonly string[]> {
  if (isIP(host) !== 0) {
    findings.ok('name', 'an IP address: nothing to resolve');
    return [host];
  }
  try {
    const addresses = [...new Set(await lookupAddresses(host))];
    findings.ok('name', addresses.join(', '));
    return addresses;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const advice =
      code === 'EAI_AGAIN'
        ? 'the resolver of this machine did not answer: look at /etc/resolv.conf and at the way to the resolver'
        : 'check the spelling, and that the name has an A or AAAA record (dig it, or ask the operator of the server)';
    findings.fail('name', `${host} cannot be resolved (${code})`, advice);
    return [];
  }
}
