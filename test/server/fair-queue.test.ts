import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FairQueue, neighbourhoodOf } from '../../src/server/fair-queue.ts';

describe('a fair queue', () => {
  it('gives its senders turns, and to each its own in order', () => {
    const queue = new FairQueue<string>(10);
    for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2']) assert.equal(queue.push(item.slice(0, 1), item), null);
    const order = Array.from({ length: 7 }, () => queue.shift());
    assert.deepEqual(order, ['a1', 'b1', 'c1', 'a2', 'b2', 'a3', undefined]);
    assert.equal(queue.size, 0);
  });

  it('that is full has the newest of who has most go, be it the one that comes', () => {
    const queue = new FairQueue<string>(3);
    for (const item of ['a1', 'a2', 'a3']) queue.push('a', item);
    assert.equal(queue.push('a', 'a4'), 'a4');
    assert.equal(queue.push('b', 'b1'), 'a3');
    assert.equal(queue.push('b', 'b2'), 'b2', 'they have as many now');
    assert.equal(queue.push('c', 'c1'), 'a2');
    assert.equal(queue.push('d', 'd1'), 'd1', 'each has one');
    assert.equal(queue.size, 3);
    assert.deepEqual([queue.shift(), queue.shift(), queue.shift()], ['a1', 'b1', 'c1']);
  });

  it('of no places takes nothing', () => {
    const queue = new FairQueue<string>(0);
    assert.equal(queue.push('a', 'a1'), 'a1');
    assert.equal(queue.shift(), undefined);
  });
});

describe('a neighbourhood', () => {
  it('is the /24 of an IPv4 address, also of a mapped one, and the /48 of an IPv6 address', () => {
    assert.equal(neighbourhoodOf('192.0.2.1'), neighbourhoodOf('192.0.2.200'));
    assert.equal(neighbourhoodOf('192.0.2.1'), neighbourhoodOf('::ffff:192.0.2.7'));
    assert.notEqual(neighbourhoodOf('192.0.2.1'), neighbourhoodOf('192.0.3.1'));
    assert.equal(neighbourhoodOf('2001:db8:1:1::1'), neighbourhoodOf('2001:db8:1:ffff::2'));
    assert.notEqual(neighbourhoodOf('2001:db8:1::1'), neighbourhoodOf('2001:db8:2::1'));
    assert.notEqual(neighbourhoodOf(null), neighbourhoodOf('192.0.2.1'));
  });
});
