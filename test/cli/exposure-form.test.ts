import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exposureForm, readExposure } from '../../src/cli/exposure-form.ts';

const GOOD = {
  name: 'database',
  source_port: 9090,
  remote_connector_addr: 'VPS.example.com',
  destination_addr: 'db.lan:5432',
  type: 'local',
};

describe('the body of a request to expose', () => {
  test('is read; a server without a port has 443', () => {
    const read = readExposure(GOOD);
    assert.ok(!Array.isArray(read));
    assert.deepEqual(read, {
      name: 'database',
      sourcePort: 9090,
      remote: 'vps.example.com:443',
      destination: { host: 'db.lan', port: 5432 },
      type: 'local',
    });
    assert.deepEqual(readExposure(exposureForm(read)), read);
  });

  for (const [field, values] of Object.entries({
    name: ['', 7, null, undefined, 'x'.repeat(129)],
    source_port: [0, 65_536, 1.5, '9090', -1, null, undefined],
    remote_connector_addr: ['', 'a b:1', 'host:0', 'host:99999', 5, undefined, 'https://host'],
    destination_addr: ['host', ':80', 'host:0', 'http://host:80', 'a/b:80', '[::1', undefined, 'h:70000'],
    type: ['LOCAL', 'both', 1, undefined],
  })) {
    test(`is refused with the field where ${field} is wrong`, () => {
      for (const value of values) {
        const read = readExposure({ ...GOOD, [field]: value });
        assert.ok(Array.isArray(read), `${field}: ${JSON.stringify(value)}`);
        assert.deepEqual(
          read.map((problem) => problem.field),
          [field],
        );
        assert.match(read[0]?.message ?? '', /found .*; allowed: /);
      }
    });
  }

  test('is refused where it has a field that is not known, or is no object', () => {
    const read = readExposure({ ...GOOD, host: 'x' });
    assert.ok(Array.isArray(read) && read[0]?.field === 'host');
    for (const body of [null, [], 'x', 5]) assert.ok(Array.isArray(readExposure(body)));
  });

  test('names every problem at once', () => {
    const read = readExposure({});
    assert.ok(Array.isArray(read));
    assert.equal(read.length, 5);
  });
});
