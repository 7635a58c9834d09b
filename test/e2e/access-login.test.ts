import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AccessKit, withAccess } from '../support/access.ts';
import { runCli } from '../support/run-cli.ts';

const DOMAIN = 'login.example.com';

/** A server with `login.example.com`, one login of which is hashed by `backdial password`. */
async function withLogin(body: (kit: AccessKit) => Promise<void>): Promise<void> {
  const hash = (await runCli(['password', 'hashed: naïve', '--rounds', '1000'])).stdout.trim();
  assert.match(hash, /^\$6\$/);
  const credentials = JSON.stringify(['user1:password1', 'user2:with:colons', `user3:${hash}`, '@more']);
  const domains = {
    [DOMAIN]: `clients: { credentials: ${credentials}, banner: "The inner circle" }`,
    'open.example.com': '',
  };
  await withAccess({ domains, files: { 'domains/more': 'user4:from a file\n' } }, body);
}

const login = (kit: AccessKit, user: string, ...flags: string[]) => kit.curl(DOMAIN, '/', '--user', user, ...flags);

describe('a login', () => {
  it('is asked for with the banner, and any of the credentials will do, over HTTP/1.1 and HTTP/2', async () => {
    await withLogin(async (kit) => {
      for (const http of ['--http1.1', '--http2']) {
        const asked = await kit.curl(DOMAIN, '/', http);
        assert.equal(asked.status, 401);
        assert.match(asked.text, /^www-authenticate: Basic realm="The inner circle", charset="UTF-8"\r$/im);
        assert.match(
          asked.text,
          /^proxy-status: server\.test; error=http_request_denied; details="credentials-missing"\r$/im,
        );
        for (const user of ['user1:password1', 'user2:with:colons', 'user3:hashed: naïve', 'user4:from a file']) {
          const { status, text } = await login(kit, user, http);
          assert.deepEqual([status, text.endsWith('from the target')], [200, true], user);
        }
      }
      const wrong = await login(kit, 'user1:password2');
      assert.equal(wrong.status, 401);
      assert.match(wrong.text, /details="credentials-wrong"/);
      assert.match(wrong.text, /^www-authenticate: Basic/im);
    });
  });

  it('is the same answer for a wrong password and for a login that nobody has', async () => {
    await withLogin(async (kit) => {
      const masked = async (user: string) => {
        const { text } = await login(kit, user);
        return text.replace(/^date: .*\r$/im, '').replace(/[0-9a-f-]{36}/g, 'id');
      };
      assert.equal(await masked('user1:wrong'), await masked('nobody:wrong'));
      assert.equal(await masked('user3:wrong'), await masked('nobody:wrong'));
    });
  });

  it('that was used never reaches the target; that of a domain which asks for none does', async () => {
    await withLogin(async (kit) => {
      await login(kit, 'user1:password1', '--header', 'Accept: x');
      await login(kit, 'user1:password1', '--http2');
      await login(kit, 'user1:password1', '--data', 'a body');
      assert.equal(kit.seen.length, 3);
      for (const request of kit.seen) {
        assert.deepEqual(request.values('authorization'), []);
        assert.doesNotMatch(request.rawHeaders.join('\n'), /dXNlcjE6cGFzc3dvcmQx|password1/);
      }
      assert.deepEqual(kit.seen[0]?.values('accept'), ['x']);
      await kit.curl('open.example.com', '/', '--user', 'a:b');
      assert.deepEqual(kit.seen[3]?.values('authorization'), ['Basic YTpi']);
    });
  });

  it('guards every method, body, path and upgrade', async () => {
    await withLogin(async (kit) => {
      const flags = [
        ['--head'],
        ['--data', 'a body'],
        ['--request', 'DELETE'],
        ['--request', 'OPTIONS', '--request-target', '*'],
        ['--request', 'TRACE'],
        ['--http1.1', '--header', 'Connection: Upgrade', '--header', 'Upgrade: websocket'],
        ['--header', 'Expect: 100-continue', '--data', 'a body'],
        ['--data', 'a body', '--header', 'Transfer-Encoding: chunked', '--http1.1'],
      ];
      for (const each of flags) assert.equal((await kit.curl(DOMAIN, '/', ...each)).status, 401, each.join(' '));
      assert.equal((await kit.curl(DOMAIN, '/../%2e%2e//x?user1:password1@', '--path-as-is')).status, 401);
      assert.deepEqual(kit.seen, []);
    });
  });

  it('is limited after ten failures from one address, with Retry-After; others are not concerned', async () => {
    await withLogin(async (kit) => {
      let guesses = 0;
      let limited = await login(kit, 'user1:wrong');
      // On a busy machine ten take so long that one more is earned, which is the next one's, right or wrong.
      for (let rounds = 0; rounds < 5 && limited.status !== 429; rounds += 1) {
        while (guesses < 100 && (await login(kit, `user1:wrong ${guesses}`)).status === 401) guesses += 1;
        limited = await login(kit, 'user1:password1');
      }
      assert.ok(guesses >= 9, `${guesses + 1} guesses`);
      assert.equal(limited.status, 429);
      assert.match(limited.text, /^retry-after: [1-6]\r$/im);
      assert.match(limited.text, /details="credentials-limit"/);
      assert.doesNotMatch(limited.text, /WWW-Authenticate/i);
      assert.equal((await login(kit, 'user1:password1', '--interface', '127.0.0.2')).status, 200);
      assert.equal((await kit.curl('open.example.com', '/')).status, 200);
      const reasons = kit.events.of('access').map(({ record }) => `${record.status} ${record.reason}`);
      assert.ok(
        reasons.slice(0, 10).every((each) => each === '401 credentials-wrong'),
        `${reasons}`,
      );
      assert.ok(reasons.includes('429 credentials-limit'));
    });
  });
});
