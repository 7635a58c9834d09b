import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { neverHolds, parseTimeRange, timeRangeFault } from '../../src/core/time-range.ts';

/** Asserts at which of these moments (UTC) an entry holds: `+` before those at which it does, `-` before the others. */
function expectAt(entry: string, moments: readonly string[]): void {
  const holds = parseTimeRange(entry);
  for (const moment of moments) {
    const [sign, time] = [moment[0], moment.slice(1)];
    assert.ok(sign === '+' || sign === '-', moment);
    assert.equal(holds(Date.parse(`${time}Z`)), sign === '+', `${entry} at ${time}`);
  }
}

describe('a range of days', () => {
  it('is one day from its first to its last millisecond', () => {
    expectAt('2019-10-01', [
      '-2019-09-30T23:59:59.999',
      '+2019-10-01T00:00:00.000',
      '+2019-10-01T23:59:59.999',
      '-2019-10-02T00:00:00.000',
      '-2020-10-01T12:00:00',
    ]);
  });

  it('goes from a day to a day, both included', () => {
    expectAt('2019-10-01-2019-10-31', [
      '-2019-09-30T23:59:59.999',
      '+2019-10-01T00:00:00',
      '+2019-10-31T23:59:59.999',
      '-2019-11-01T00:00:00',
    ]);
  });

  it('may be open at its end, or at its beginning', () => {
    expectAt('2019-10-01-', ['-2019-09-30T23:59:59', '+2019-10-01T00:00:00', '+2999-01-01T00:00:00']);
    expectAt('-2019-10-31', ['+1970-01-01T00:00:00', '+2019-10-31T23:59:59.999', '-2019-11-01T00:00:00']);
    expectAt('2019-10-01- -2019-10-31', ['-2019-09-30T12:00:00', '+2019-10-15T12:00:00', '-2019-11-01T12:00:00']);
  });

  it('knows the ends of months and leap days', () => {
    expectAt('2020-02-28-2020-02-29', ['-2020-02-27T23:59:59', '+2020-02-29T23:59:59', '-2020-03-01T00:00:00']);
    expectAt('2020-02-29', [
      '-2019-03-01T12:00:00',
      '-2020-02-28T23:59:59',
      '+2020-02-29T00:00:00',
      '-2020-03-01T00:00:00',
    ]);
    expectAt('2021-02-28-2021-03-01', [
      '-2021-02-27T23:59:59',
      '+2021-02-28T12:00:00',
      '+2021-03-01T23:59:59',
      '-2021-03-02T00:00:00',
    ]);
    expectAt('2019-12-31', ['-2019-12-30T23:59:59', '+2019-12-31T23:59:59.999', '-2020-01-01T00:00:00']);
  });
});

describe('a range of weekdays', () => {
  // 2024-02-26 is a Monday; the Thursday of that week is a leap day.
  const week = (signs: string) =>
    Array.from(signs, (sign, day) => `${sign}${new Date(Date.UTC(2024, 1, 26 + day, 12)).toISOString().slice(0, 19)}`);

  it('is one day, or several, or goes on to Sunday, or wraps past it', () => {
    expectAt('tue', week('-+-----'));
    expectAt('tue-fri', week('-++++--'));
    expectAt('sat-', week('-----++'));
    expectAt('-tue', week('++-----'));
    expectAt('sat-tue', week('++---++'));
    expectAt('mon-sun', week('+++++++'));
    expectAt('TUE-Fri', week('-++++--'));
  });

  it('begins and ends at midnight', () => {
    expectAt('thu', [
      '-2024-02-28T23:59:59.999',
      '+2024-02-29T00:00:00',
      '+2024-02-29T23:59:59.999',
      '-2024-03-01T00:00:00',
    ]);
  });

  it('is right before 1970 and on the first of January of any year', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('0001-01-01'), max: new Date('9998-12-31'), noInvalidDate: true }),
        (date) => {
          const names = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
          for (const name of names) {
            assert.equal(parseTimeRange(name)(date.getTime()), name === names[date.getUTCDay()], `${name} ${date}`);
          }
          const day = date.toISOString().slice(0, 10);
          assert.ok(parseTimeRange(day)(date.getTime()), day);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('a range of times', () => {
  it('includes the second of its end, and nothing after it', () => {
    expectAt('08:00-19:00', [
      '-2019-10-01T07:59:59.999',
      '+2019-10-01T08:00:00.000',
      '+2019-10-01T19:00:00.000',
      '+2019-10-01T19:00:00.999',
      '-2019-10-01T19:00:01.000',
    ]);
    expectAt('08:00:30-08:00:30', ['-2019-10-01T08:00:29.999', '+2019-10-01T08:00:30.500', '-2019-10-01T08:00:31']);
  });

  it('may be open at its end, or at its beginning', () => {
    expectAt('13:00-', [
      '-2019-10-01T12:59:59.999',
      '+2019-10-01T13:00:00',
      '+2019-10-01T23:59:59.999',
      '-2019-10-02T00:00:00',
    ]);
    expectAt('-13:00', [
      '+2019-10-01T00:00:00',
      '+2019-10-01T13:00:00.999',
      '-2019-10-01T13:00:01',
      '-2019-10-01T23:59:59',
    ]);
  });

  it('wraps past midnight when its end is before its beginning', () => {
    expectAt('22:00-06:00', [
      '-2019-10-01T21:59:59.999',
      '+2019-10-01T22:00:00',
      '+2019-10-01T23:59:59.999',
      '+2019-10-02T00:00:00',
      '+2019-10-02T06:00:00.999',
      '-2019-10-02T06:00:01',
    ]);
  });

  it('that wraps belongs to the day on which it begins: weekday', () => {
    // 2019-10-04 is a Friday.
    expectAt('fri 22:00-06:00', [
      '-2019-10-04T03:00:00',
      '-2019-10-04T21:59:59',
      '+2019-10-04T22:00:00',
      '+2019-10-05T03:00:00',
      '+2019-10-05T06:00:00',
      '-2019-10-05T06:00:01',
      '-2019-10-05T22:00:00',
    ]);
    expectAt('sun-mon 23:00-01:00', [
      '-2019-10-06T00:30:00',
      '+2019-10-06T23:30:00',
      '+2019-10-08T00:30:00',
      '-2019-10-08T23:30:00',
    ]);
  });

  it('that wraps belongs to the day on which it begins: date', () => {
    expectAt('2020-02-28-2020-02-29 22:00-06:00', [
      '-2020-02-28T05:00:00',
      '+2020-02-28T22:00:00',
      '+2020-02-29T05:00:00',
      '+2020-03-01T05:00:00',
      '-2020-03-01T22:00:00',
    ]);
    expectAt('2020-01-01- 22:00-06:00', ['-2020-01-01T00:00:00', '+2020-01-01T22:00:00', '+2020-01-02T00:00:00']);
    expectAt('-2019-12-31 22:00-06:00', ['+2020-01-01T06:00:00', '-2020-01-01T22:00:00']);
  });
});

describe('an entry', () => {
  it('is in UTC, whatever the zone of the machine', () => {
    const { TZ } = process.env;
    try {
      for (const zone of ['America/Los_Angeles', 'Asia/Kathmandu']) {
        process.env.TZ = zone;
        assert.notEqual(new Date(0).getTimezoneOffset(), 0);
        expectAt('2020-02-29 sat 23:00-', ['-2020-02-29T22:59:59', '+2020-02-29T23:00:00', '-2020-03-01T00:00:00']);
      }
    } finally {
      if (TZ === undefined) delete process.env.TZ;
      else process.env.TZ = TZ;
    }
  });
});

describe('an entry of several tokens', () => {
  it('holds when all of them do', () => {
    expectAt('2019-10-01-2019-10-31 tue-fri 08:00-19:00', [
      '+2019-10-01T08:00:00', // a Tuesday
      '-2019-10-01T07:59:59',
      '-2019-10-05T12:00:00', // a Saturday
      '+2019-10-31T19:00:00', // a Thursday
      '-2019-11-01T12:00:00', // a Friday
    ]);
    expectAt('  tue\t08:00-09:00  08:30-10:00 ', [
      '-2019-10-01T08:15:00',
      '+2019-10-01T08:45:00',
      '-2019-10-01T09:30:00',
    ]);
  });

  it('with a date means that day only (known fault: a bare date was ignored)', () => {
    const entry = '2020-01-01 sat- 13:00-17:00';
    expectAt(entry, ['-2020-01-04T14:00:00', '-2020-01-05T14:00:00', '-2020-02-01T14:00:00']);
    expectAt('2020-01-04 sat- 13:00-17:00', ['+2020-01-04T14:00:00', '-2020-01-05T14:00:00', '-2020-01-11T14:00:00']);
    // 2020-01-01 is a Wednesday.
    assert.ok(neverHolds(entry));
  });

  it('is known to hold never, or at some moment', () => {
    for (const entry of [
      'mon wed',
      '2020-01-04- -2020-01-03',
      '2020-01-01-2020-01-03 sat-sun',
      '08:00-09:00 10:00-',
      '22:00-06:00 07:00-08:00',
    ]) {
      assert.ok(neverHolds(entry), entry);
    }
    for (const entry of [
      'mon',
      '2020-01-01-2020-01-04 sat-sun',
      '2020-01-01- sun',
      '22:00-06:00 05:00-08:00',
      '22:00-06:00 01:00-02:00',
      '-06:00 06:00-',
    ]) {
      assert.ok(!neverHolds(entry), entry);
    }
  });
});

describe('an entry that is not understood', () => {
  const bad = {
    'unknown token': [
      'tuesday',
      'montue',
      '-',
      '--',
      'tue--',
      '08:00',
      '8:00-9:00',
      '08:00-19',
      '2019-10-1',
      '20191001',
      '2019-10-01--',
      '2019-10-012019-10-02',
      '2019-10-01-2019-10-02-2019-10-03',
      '2019-10-01-08:00',
      'tue-08:00',
      '08:00-tue',
      '08:00:00:00-',
      'tue,fri',
      '*',
      'tue fri -x',
      '2019-10-01T08:00',
      '08:00-19:00Z',
      '８:00-',
      'ſat',
      '__proto__',
    ],
    'no such day': ['2019-02-30', '2019-02-29-', '-2100-02-29', '2019-13-01', '2019-00-01', '2019-10-00'],
    'no such time of day': ['24:00-', '08:60-', '-08:00:60', '23:59-24:00'],
    'the end is before the beginning': ['2019-10-31-2019-10-01'],
    'found no token': ['', ' ', '\t '],
  };

  it('is refused with the token named (known fault: it was ignored, and the entry always matched)', () => {
    for (const [fault, entries] of Object.entries(bad)) {
      for (const entry of entries) {
        const last = JSON.stringify(entry.split(' ').at(-1));
        const refused = ({ code, message }: { code: string; message: string }) =>
          code === 'input-invalid' && message.includes(fault) && (fault === 'found no token' || message.includes(last));
        assert.throws(() => parseTimeRange(entry), refused, entry);
        assert.throws(() => neverHolds(entry), refused, entry);
        assert.ok(timeRangeFault(entry)?.startsWith(fault), entry);
        if (fault !== 'found no token') assert.throws(() => parseTimeRange(`tue ${entry} 08:00-`), refused, entry);
      }
    }
  });

  it('cannot be a text that holds always, whatever the text', () => {
    assert.equal(timeRangeFault('tue-fri 08:00-19:00'), null);
    fc.assert(
      fc.property(fc.string(), (text) => {
        if (timeRangeFault(text) === null) assert.match(text, /mon|tue|wed|thu|fri|sat|sun|\d\d/i);
      }),
    );
  });
});
