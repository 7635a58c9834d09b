import type { Socket } from 'node:net';
import type { SocketAddress } from '../core/address.ts';
import { asBackdialError, type BackdialError } from '../core/errors.ts';
import type { Listener } from './listen.ts';
import { ListenerGroup } from './listener-group.ts';

/** A listener that is to be open. */
export interface WantedListener {
  /** What tells it from the others of its set. */
  readonly key: string;
  /** Opens it; `group` is for the sockets that it accepts. Fails with `listen-failed`. */
  readonly listen: (group: ListenerGroup) => Promise<Listener>;
}

/** A listener that is open, or on its way. */
interface Entry {
  readonly key: string;
  readonly group: ListenerGroup;
  address: SocketAddress | null;
}

/** Listeners of one way in, each with the sockets that it accepted: one can be opened or closed while the others stay. */
export class ListenerSet {
  readonly #groups: Entry[] = [];
  /** Groups whose listener was closed while their sockets live on. */
  readonly #parting = new Set<ListenerGroup>();
  #stopped = false;

  /** Sockets that are open. */
  get size(): number {
    return this.#all().reduce((sum, group) => sum + group.size, 0);
  }

  /** Where it listens now. */
  get addresses(): SocketAddress[] {
    return this.#groups.flatMap(({ address }) => (address === null ? [] : [address]));
  }

  /** Opens listeners one after the other, until one fails or {@link stop} is called; gives where they listen. */
  async open(wanted: readonly WantedListener[]): Promise<SocketAddress[]> {
    const addresses: SocketAddress[] = [];
    for (const each of wanted) if (!this.#stopped) addresses.push(await this.#open(each));
    return addresses;
  }

  async #open({ key, listen }: WantedListener): Promise<SocketAddress> {
    const group = new ListenerGroup();
    const entry: Entry = { key, group, address: null };
    this.#groups.push(entry);
    try {
      const listener = await listen(group);
      group.addListener(listener);
      // It may have been given up meanwhile.
      if (this.#stopped || !this.#groups.includes(entry)) listener.stop();
      else entry.address = listener.address;
      return listener.address;
    } catch (error) {
      const index = this.#groups.indexOf(entry);
      if (index !== -1) this.#groups.splice(index, 1);
      throw error;
    }
  }

  /**
   * Closes what is not wanted, then opens what is missing: what is given up may be in the way of what is wanted. Sockets of
   * closed listeners are ended by `end`; without it they live on. Gives what could not be opened (`listen-failed`), which
   * the next call tries again.
   */
  async follow(wanted: readonly WantedListener[], end?: (socket: Socket) => void): Promise<BackdialError[]> {
    const has = new Set(this.#groups.map(({ key }) => key));
    const keys = new Set(wanted.map(({ key }) => key));
    for (const key of has) if (!keys.has(key)) this.remove(key, end);
    const failures: BackdialError[] = [];
    for (const each of wanted) {
      if (has.has(each.key) || this.#stopped) continue;
      await this.#open(each).catch((error: unknown) => {
        failures.push(asBackdialError(error, 'listen-failed'));
      });
    }
    return failures;
  }

  /** Closes one; its sockets are ended by `end`, without it they live on. */
  remove(key: string, end?: (socket: Socket) => void): void {
    const index = this.#groups.findIndex((each) => each.key === key);
    const [removed] = index === -1 ? [] : this.#groups.splice(index, 1);
    if (removed === undefined) return;
    const { group } = removed;
    this.#parting.add(group);
    const closed = end === undefined ? group.drained() : group.close(end);
    void closed.then(() => this.#parting.delete(group));
  }

  /** Stops accepting at once, for good. Idempotent. */
  stop(): void {
    this.#stopped = true;
    for (const group of this.#all()) group.stop();
  }

  /** {@link stop}, then resolves when every socket has closed; closes none. */
  async drained(): Promise<void> {
    this.stop();
    await Promise.all(this.#all().map((group) => group.drained()));
  }

  /** {@link stop}, ends every socket by `end`, resolves when all have closed. Idempotent. */
  async close(end: (socket: Socket) => void): Promise<void> {
    this.stop();
    await Promise.all(this.#all().map((group) => group.close(end)));
  }

  #all(): ListenerGroup[] {
    return [...this.#groups.map(({ group }) => group), ...this.#parting];
  }
}
