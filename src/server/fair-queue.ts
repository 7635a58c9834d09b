import ipaddr from 'ipaddr.js';

/**
 * What waits, by who sent it: given out in turns of the senders, each one's in the order in which it came. Where all of them
 * together have more than `max`, the newest of who has most must go, so that nobody can fill it for others.
 */
export class FairQueue<T> {
  readonly #max: number;
  /** The next in turn first. */
  readonly #bySender = new Map<string, T[]>();
  #size = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds an item. The one that has to go for it, which may be itself; null: there was room. */
  push(sender: string, item: T): T | null {
    const items = this.#bySender.get(sender) ?? [];
    if (this.#size < this.#max) {
      this.#bySender.set(sender, items);
      items.push(item);
      this.#size += 1;
      return null;
    }
    const longest = this.#longest();
    // Who has most keeps some all the same.
    if (longest.length <= items.length + 1) return item;
    const dropped = longest.pop() ?? null;
    this.#bySender.set(sender, items);
    items.push(item);
    return dropped;
  }

  /** Takes the next one out; undefined when nothing waits. */
  shift(): T | undefined {
    const [next] = this.#bySender;
    if (next === undefined) return undefined;
    const [sender, items] = next;
    this.#bySender.delete(sender);
    if (items.length > 1) this.#bySender.set(sender, items);
    this.#size -= 1;
    return items.shift();
  }

  #longest(): T[] {
    let longest: T[] = [];
    for (const items of this.#bySender.values()) if (items.length > longest.length) longest = items;
    return longest;
  }
}

/** Whose address it is, as far as that can be told: who has one of these mostly has all of them. IPv4 by /24, IPv6 by /48. */
export function neighbourhoodOf(address: string | null): string {
  if (address === null || !ipaddr.isValid(address)) return address ?? 'unix';
  const bytes = ipaddr.process(address).toByteArray();
  return bytes.slice(0, bytes.length === 4 ? 3 : 6).join('.');
}
