import type { BackdialEvent, Observer } from '../../src/core/events.ts';
import { eventually, within } from './within.ts';

type EventOf<Type extends BackdialEvent['type']> = Extract<BackdialEvent, { type: Type }>;

/** Which events of a type are meant, and for how long to wait for them. */
export interface WaitOptions {
  /** Events before this index of `all` do not count. Default 0. */
  readonly from?: number;
  /** Default: that of {@link within}. */
  readonly deadlineMs?: number;
}

/** Keeps every event of a server or an agent, for tests to look at and to wait for. */
export class EventLog {
  readonly all: BackdialEvent[] = [];
  readonly #watchers = new Set<() => void>();

  readonly observer: Observer = (event) => {
    this.all.push(event);
    for (const watcher of this.#watchers) watcher();
  };

  of<Type extends BackdialEvent['type']>(type: Type): Array<EventOf<Type>> {
    return this.all.filter((event): event is EventOf<Type> => event.type === type);
  }

  /** Waits until `count` events of a type have come; all of that type. */
  async until<Type extends BackdialEvent['type']>(type: Type, count = 1): Promise<Array<EventOf<Type>>> {
    await eventually(`${count} x ${type}`, () => this.of(type).length >= count);
    return this.of(type);
  }

  /** Waits for the first event of a type that fits, past or to come. */
  wait<Type extends BackdialEvent['type']>(
    type: Type,
    fits: (event: EventOf<Type>) => boolean = () => true,
    { from = 0, deadlineMs }: WaitOptions = {},
  ): Promise<EventOf<Type>> {
    const isIt = (event: BackdialEvent): event is EventOf<Type> => event.type === type && fits(event as EventOf<Type>);
    return this.#when(`an event ${type}`, () => this.all.slice(from).find(isIt), deadlineMs);
  }

  #when<T>(what: string, look: () => T | undefined, deadlineMs?: number): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<T>();
    const watcher = () => {
      const found = look();
      if (found !== undefined) resolve(found);
    };
    this.#watchers.add(watcher);
    watcher();
    return within(what, promise, deadlineMs).finally(() => this.#watchers.delete(watcher));
  }
}
