import type { BackdialEvent, Observer } from '../../src/core/events.ts';
import { eventually } from './within.ts';

type EventOf<Type extends BackdialEvent['type']> = Extract<BackdialEvent, { type: Type }>;

/** What a part under test told its observer. */
export class Observed {
  readonly events: BackdialEvent[] = [];
  readonly observer: Observer = (event) => {
    this.events.push(event);
  };

  of<Type extends BackdialEvent['type']>(type: Type): EventOf<Type>[] {
    return this.events.filter((event): event is EventOf<Type> => event.type === type);
  }

  /** The first event of a type, once it is there. */
  async first<Type extends BackdialEvent['type']>(type: Type): Promise<EventOf<Type>> {
    await eventually(`the event ${type}`, () => this.of(type).length > 0);
    return this.of(type)[0] as EventOf<Type>;
  }
}
