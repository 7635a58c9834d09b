import type { Socket } from 'node:net';
import type { Listener } from './listen.ts';
import { ListenerGroup } from './listener-group.ts';

/** Listeners of one way in, each with the sockets that it accepted: one can be opened or closed while the others stay. */
export class ListenerSet {
  readonly #groups: { readonly key: string; readonly group: ListenerGroup }[] = [];
  /** Groups whose listener was closed while their sockets live on. */
  readonly #parting = new Set<ListenerGroup>();

  /** Sockets that are open. */
  get size(): number {
    return this.#all().reduce((sum, group) => sum + group.size, 0);
  }

  /** Opens a listener, to be known as `key`, by a function that is given the group for its sockets. Fails as that does. */
  async open(key: string, listen: (group: ListenerGroup) => Promise<Listener>): Promise<Listener> {
    const group = new ListenerGroup();
    this.#groups.push({ key, group });
    try {
      const listener = await listen(group);
      group.addListener(listener);
      return listener;
    } catch (error) {
      this.remove(key);
      throw error;
    }
  }

  /** Closes the listener that is known as `key`. Its sockets are ended by `end`; without it they live on. */
  remove(key: string, end?: (socket: Socket) => void): void {
    const index = this.#groups.findIndex((each) => each.key === key);
    const [removed] = index === -1 ? [] : this.#groups.splice(index, 1);
    if (removed === undefined) return;
    const { group } = removed;
    this.#parting.add(group);
    const closed = end === undefined ? group.drained() : group.close(end);
    void closed.then(() => this.#parting.delete(group));
  }

  /** Stops accepting at once. Idempotent. */
  stop(): void {
    for (const group of this.#all()) group.stop();
  }

  /** {@link stop}, then resolves when every socket has closed; closes none. */
  async drained(): Promise<void> {
    await Promise.all(this.#all().map((group) => group.drained()));
  }

  /** {@link stop}, ends every socket by `end`, resolves when all have closed. Idempotent. */
  async close(end: (socket: Socket) => void): Promise<void> {
    await Promise.all(this.#all().map((group) => group.close(end)));
  }

  #all(): ListenerGroup[] {
    return [...this.#groups.map(({ group }) => group), ...this.#parting];
  }
}
