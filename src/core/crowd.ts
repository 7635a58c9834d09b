/** Where a member of a {@link Crowd} stands: what it leaves by. */
export interface Place<T> {
  readonly member: T;
  at: number;
}

/**
 * Objects that come and go by the thousand, such as connections. A `Set` or a `Map` is not for them: every few changes its table is
 * made anew, and the old one leads to the new one. Once one of them is old, V8's young collections keep the whole chain and all
 * that its tables name: each short-lived object is copied twice, grows old, and has to be marked before it goes.
 */
export class Crowd<T> implements Iterable<T> {
  readonly #places: Place<T>[] = [];

  get size(): number {
    return this.#places.length;
  }

  enter(member: T): Place<T> {
    const place = { member, at: this.#places.length };
    this.#places.push(place);
    return place;
  }

  /** Once for each place: the last one moves to where it was. */
  leave(place: Place<T>): void {
    const last = this.#places.pop();
    if (last === undefined || last === place) return;
    this.#places[place.at] = last;
    last.at = place.at;
  }

  /** The latest first; members may leave meanwhile. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (let at = this.#places.length - 1; at >= 0; at -= 1) {
      const place = this.#places[at];
      if (place !== undefined) yield place.member;
    }
  }
}
