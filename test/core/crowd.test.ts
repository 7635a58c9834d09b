import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Crowd, type Place } from '../../src/core/crowd.ts';

test('a crowd has who entered and did not leave, whatever the order', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), (moves) => {
      const crowd = new Crowd<number>();
      const inside = new Map<number, Place<number>>();
      for (const who of moves) {
        const place = inside.get(who);
        if (place === undefined) inside.set(who, crowd.enter(who));
        else {
          crowd.leave(place);
          inside.delete(who);
        }
        assert.equal(crowd.size, inside.size);
        assert.deepEqual([...crowd].sort(), [...inside.keys()].sort());
      }
    }),
  );
});

test('members that leave while they are looked at keep nobody from being seen', () => {
  const crowd = new Crowd<{ name: string; leave(): void }>();
  for (const name of ['a', 'b', 'c']) {
    const place = crowd.enter({ name, leave: () => crowd.leave(place) });
  }
  const seen: string[] = [];
  for (const { name, leave } of crowd) {
    seen.push(name);
    leave();
  }
  assert.deepEqual(seen, ['c', 'b', 'a']);
  assert.equal(crowd.size, 0);
});
