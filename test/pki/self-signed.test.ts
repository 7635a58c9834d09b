import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import tls from 'node:tls';
import { makeSelfSigned } from '../../src/pki/self-signed.ts';
import { listenOn } from '../support/listen-on.ts';
import { within } from '../support/within.ts';

const HOSTS = ['example.com', '*.example.com', '127.0.0.1', '::1'];

test('a self-signed certificate fits its key, names every host and is no CA', async () => {
  const { cert, key } = await makeSelfSigned({ hosts: HOSTS, days: 30 });
  const certificate = new X509Certificate(cert);
  assert.ok(certificate.checkPrivateKey(createPrivateKey(key)));
  assert.equal(certificate.ca, false);
  assert.equal(certificate.checkHost('example.com'), 'example.com');
  assert.equal(certificate.checkHost('www.example.com'), '*.example.com');
  assert.equal(certificate.checkHost('example.org'), undefined);
  assert.equal(certificate.checkIP('127.0.0.1'), '127.0.0.1');
  assert.equal(certificate.checkIP('::1'), '::1');
  assert.equal(certificate.publicKey.asymmetricKeyType, 'ec');
  assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
});

test('it is valid from before now until the days are over', async () => {
  const { cert } = await makeSelfSigned({ hosts: ['example.com'], days: 30 });
  const { validFromDate, validToDate } = new X509Certificate(cert);
  assert.ok(validFromDate.getTime() < Date.now() - 60_000);
  assert.ok(Math.abs(validToDate.getTime() - Date.now() - 30 * 86_400_000) < 60_000);
});

test('two certificates share neither key nor serial number', async () => {
  const first = await makeSelfSigned({ hosts: ['example.com'], days: 1 });
  const second = await makeSelfSigned({ hosts: ['example.com'], days: 1 });
  assert.notEqual(first.key, second.key);
  assert.notEqual(new X509Certificate(first.cert).serialNumber, new X509Certificate(second.cert).serialNumber);
});

test('OpenSSL and Node trust it when it is given to them as an authority, for its own names only', async (t) => {
  const { cert, key } = await makeSelfSigned({ hosts: HOSTS, days: 30 });
  const server = tls.createServer({ cert, key }, (socket) => socket.end());
  server.on('tlsClientError', () => {});
  t.after(() => server.close());
  const port = await listenOn(server);
  const connect = async (servername: string) => {
    const socket = tls.connect({ host: '127.0.0.1', port, servername, ca: cert });
    await within('a handshake', once(socket, 'secureConnect'));
    socket.destroy();
  };
  await connect('www.example.com');
  await assert.rejects(connect('example.org'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
});
