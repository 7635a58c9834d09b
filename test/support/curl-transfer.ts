import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { testAuthority } from './certificates.ts';
import { Inbox } from './inbox.ts';
import { findTool } from './tools.ts';

/** What curl calls an end that is no error. */
export const CURL_DONE = 0;

/** A transfer that curl makes in the background: what it received so far, and its exit code, which is its verdict. */
export class CurlTransfer extends Inbox {
  readonly child: ChildProcess;
  readonly #talk: Inbox;
  /** curl's exit code: {@link CURL_DONE} only when it believes that it has all. */
  readonly code: Promise<number | null>;

  constructor(domain: string, port: number, path: string, flags: readonly string[] = []) {
    const base = ['--silent', '--verbose', '--no-buffer', '--noproxy', '*', '--cacert', testAuthority().certFile];
    const resolve = ['--resolve', `${domain}:${port}:127.0.0.1`];
    const child = spawn(findTool('curl'), [...base, ...resolve, ...flags, `https://${domain}:${port}${path}`], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    super(child.stdout);
    this.child = child;
    this.#talk = new Inbox(child.stderr);
    this.code = once(child, 'close').then(([code]) => code as number | null);
  }

  /** Resolves when the response head has come. curl keeps what `--include` prints in a buffer, so it is asked to talk. */
  async head(): Promise<void> {
    await this.#talk.receivedText('\n< \r\n');
  }

  close(): void {
    this.child.kill('SIGKILL');
  }
}
