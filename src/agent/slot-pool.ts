/**
 * Slot numbers of one domain's tunnels, lowest free first. They are unique over all its servers and addresses: a server
 * that is reached by two addresses (A and AAAA) would otherwise take each tunnel for the successor of another.
 */
export class SlotPool {
  readonly #taken = new Set<number>();

  take(): number {
    let slot = 0;
    while (this.#taken.has(slot)) slot += 1;
    this.#taken.add(slot);
    return slot;
  }

  release(slot: number): void {
    this.#taken.delete(slot);
  }
}
