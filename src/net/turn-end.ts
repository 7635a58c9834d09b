import type { Writable } from 'node:stream';

/**
 * One read of a tunnel brings bytes for many peers, and many DATA frames (of at most 16 kB) for one. What they lead to is
 * sent when all of it was handled: then frames become one system call (a third of bulk throughput), and the peers of one
 * turn are woken one after the other instead of in between (a quarter of the CPU of a small HTTP exchange).
 */
let actors: TurnActor[] = [];
let corked: Writable[] = [];

/** Who does something at the end of a turn. An object, for a function of its own would have to be made for each response. */
export interface TurnActor {
  turnOnEnd(): void;
}

/** Calls `turnOnEnd` at the end of this turn of the event loop, before what is corked until then is sent. */
export function atTurnEnd(actor: TurnActor): void {
  if (actors.length === 0 && corked.length === 0) setImmediate(endTurn);
  actors.push(actor);
}

/** Holds what is written from here to the end of this turn of the event loop, and sends it in one system call then. */
export function corkUntilTurnEnd(writable: Writable): void {
  if (writable.writableCorked > 0) return;
  if (actors.length === 0 && corked.length === 0) setImmediate(endTurn);
  writable.cork();
  corked.push(writable);
}

function endTurn(): void {
  const [run, uncork] = [actors, corked];
  actors = [];
  corked = [];
  for (const actor of run) actor.turnOnEnd();
  for (const writable of uncork) writable.uncork();
}
