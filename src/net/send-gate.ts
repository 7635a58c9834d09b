/**
 * What the streams of one tunnel are given together before any of it is sent, bytes. HTTP/2 sends what all of them have in one piece:
 * it is copied to make one of it and enciphered to another, and both TLS and the allocator keep as much for ever. Of a thousand
 * sources that bring a read each that is 64 MB, and three times as much is resident; by this piece nothing gets slower.
 */
const MOST_BYTES = 2 * 1024 * 1024;
/** After so long without anything sent those that wait have their turn: all that was given is for streams without credit. */
const PATIENCE_MS = 50;

/** Who has something for a stream of the tunnel. */
export interface GateUser {
  /** It is its turn: to be answered with {@link SendGate.pass}. */
  gateOnOpen(): void;
}

/** Where what is for the streams of one tunnel waits while enough of it is under way. First come, first served. */
export class SendGate {
  #bytes = 0;
  #waiting: GateUser[] = [];
  #isOpening = false;
  #patience: NodeJS.Timeout | null = null;

  get isClosed(): boolean {
    return this.#bytes >= MOST_BYTES;
  }

  /** So much is given to a stream. {@link sent} is to be called once that was sent, or will not be any more. */
  pass(bytes: number): void {
    this.#bytes += bytes;
  }

  wait(user: GateUser): void {
    this.#waiting.push(user);
    this.#patience ??= setTimeout(this.#open, PATIENCE_MS).unref();
  }

  /** What is sent together says so one after the other: who waits comes after all of it. */
  sent(): void {
    if (this.#waiting.length === 0) {
      this.#bytes = 0;
    } else if (!this.#isOpening) {
      this.#isOpening = true;
      setImmediate(this.#open);
    }
  }

  readonly #open = (): void => {
    this.#isOpening = false;
    if (this.#patience !== null) clearTimeout(this.#patience);
    this.#patience = null;
    this.#bytes = 0;
    const waiting = this.#waiting;
    let served = 0;
    for (; served < waiting.length && !this.isClosed; served += 1) waiting[served]?.gateOnOpen();
    waiting.splice(0, served);
    if (waiting.length > 0) this.#patience = setTimeout(this.#open, PATIENCE_MS).unref();
  };
}
