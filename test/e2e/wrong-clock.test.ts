import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testAuthority } from '../support/certificates.ts';
import { type RunningCli, startCli } from '../support/run-cli.ts';
import { missingTools } from '../support/tools.ts';
import { withFolder } from '../support/with-folder.ts';
import { withServer } from '../support/with-server.ts';

const { certFile: ca } = testAuthority();
const SECRET = 'the-secret-of-these-tests';

/** Runs `backdial` on a machine whose clock is so far off. Without the program `faketime`, which passes no signal on. */
function startAt(by: string, args: readonly string[]): RunningCli {
  return startCli(args, { env: { LD_PRELOAD: '/usr/$LIB/faketime/libfaketime.so.1', FAKETIME: by } });
}

function yearsFromNow(by: number): string {
  const year = new Date().getUTCFullYear() + by;
  // A year of libfaketime has 365 days.
  return `(${year - 1}|${year}|${year + 1})`;
}

describe("a wrong clock at the agent's machine", { skip: missingTools('faketime') }, () => {
  it('that is behind is told by `agent` and by `doctor`, with the time that it shows and what to do about it', () =>
    withServer({}, ({ port }) => {
      const domain = `{ active: true, secret: "${SECRET}", remote: "localhost:${port}", ca: "${ca}", targets: { target: "http://127.0.0.1:9" } }`;
      const files = { 'agent.json5': '{}', 'domains/www.example.com.json5': domain };
      return withFolder(files, async (folder) => {
        const agent = startAt('-3y', ['agent', '-c', `${folder}/agent.json5`]);
        const doctor = startAt('-3y', ['doctor', '-c', `${folder}/agent.json5`]);
        try {
          const [line] = await agent.see(/.*dial-failed.*/);
          const told = `CERT_NOT_YET_VALID; by the clock of this machine it is ${yearsFromNow(-3)}-`;
          assert.match(line, new RegExp(told));
          assert.match(line, /is the clock of this machine right\? `backdial doctor` finds out more/);
          const { code, stdout } = await doctor.end();
          assert.equal(code, 1);
          assert.match(stdout, new RegExp(told));
          assert.match(
            stdout,
            /FAIL {2}clock .* days behind the server's\n +-> set the one that is wrong \(timedatectl; NTP\)/,
          );
        } finally {
          for (const { child } of [agent, doctor]) child.kill('SIGKILL');
        }
      });
    }));

  it('that is ahead is one of the causes that a quick agent names as it gives up', () =>
    withServer({}, ({ port }) =>
      withFolder({ secret: SECRET }, async (folder) => {
        const flags = ['--server', `localhost:${port}`, '--domain', 'www.example.com', '--ca', ca];
        const quick = startAt('+3y', ['http', '9', ...flags, '--secret-file', `${folder}/secret`]);
        try {
          const { code, stderr } = await quick.end();
          assert.equal(code, 4);
          const told = `CERT_HAS_EXPIRED; by the clock of this machine it is ${yearsFromNow(3)}-`;
          assert.match(stderr, new RegExp(told));
          assert.match(stderr, /- the clock of this machine is wrong.*set it \(timedatectl; NTP\)/);
        } finally {
          quick.child.kill('SIGKILL');
        }
      }),
    ));
});
