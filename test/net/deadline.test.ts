import assert from 'node:assert/strict';
import test from 'node:test';
import { Deadline } from '../../src/net/deadline.ts';

/** A deadline on a clock of its own; `tick` moves it and gives how often the deadline has passed. */
function withClock(context: test.TestContext): { deadline: Deadline; tick(ms: number): number } {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  context.mock.method(performance, 'now', () => now);
  let passed = 0;
  const deadline = new Deadline(() => {
    passed += 1;
  });
  return {
    deadline,
    tick(ms) {
      for (let i = 0; i < ms; i += 1) {
        now += 1;
        context.mock.timers.tick(1);
      }
      return passed;
    },
  };
}

test('a deadline passes once, when it is due', (context) => {
  const { deadline, tick } = withClock(context);
  deadline.arm(100);
  assert.equal(deadline.armed, true);
  assert.equal(tick(98), 0);
  assert.equal(tick(3), 1);
  assert.equal(deadline.armed, false);
  assert.equal(tick(500), 1);
});

test('a deadline that is armed again counts from then, later or sooner', (context) => {
  const { deadline, tick } = withClock(context);
  deadline.arm(100);
  tick(60);
  deadline.arm(100);
  assert.equal(tick(90), 0);
  assert.equal(tick(15), 1);
  deadline.arm(100);
  deadline.arm(20);
  assert.equal(tick(25), 2);
});

test('a deadline that was disarmed does not pass, and can be armed while its timer still runs', (context) => {
  const { deadline, tick } = withClock(context);
  deadline.arm(100);
  deadline.disarm();
  assert.equal(tick(50), 0);
  deadline.arm(100);
  assert.equal(tick(95), 0);
  assert.equal(tick(10), 1);
  deadline.arm(50);
  deadline.close();
  assert.equal(tick(200), 1);
});

test('0 is no deadline', (context) => {
  const { deadline, tick } = withClock(context);
  deadline.arm(0);
  assert.equal(deadline.armed, false);
  assert.equal(tick(1_000), 0);
});
