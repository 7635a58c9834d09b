import type { BackdialEvent, Observer } from '../../src/core/events.ts';
import { eventually } from './within.ts';

type EventOf<Type extends BackdialEvent['type']> = Extract<BackdialEvent, { type: Type }>;

/** Keeps every event of a server or an agent, for tests to look at and to wait for. */
export class EventLog {
  readonly all: BackdialEvent[] = [];
  readonly observer: Observer = (event) => {
    this.all.push(event);
  };

  of<Type extends BackdialEvent['type']>(type: Type): Array<EventOf<Type>> {
    return this.all.filter((event): event is EventOf<Type> => event.type === type);
  }

  /** Waits until `count` events of a type have come; all of that type. */
  async until<Type extends BackdialEvent['type']>(type: Type, count = 1): Promise<Array<EventOf<Type>>> {
    await eventually(`${count} x ${type}`, () => this.of(type).length >= count);
    return this.of(type);
  }
}
