// Wall clocks there and back, in zones with and without summer time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromWall, toWall } from './zone.js';

test('a moment is shown as the clocks of the installation show it', () => {
  assert.equal(toWall('2026-11-23T01:05:59.123456Z', 'Asia/Jakarta'), '2026-11-23T08:05');
  assert.equal(toWall('2026-11-23T17:00:00.000000Z', 'Asia/Jakarta'), '2026-11-24T00:00');
  assert.equal(toWall('2026-07-01T12:00:00Z', 'America/St_Johns'), '2026-07-01T09:30');
  assert.equal(toWall(null, 'Asia/Jakarta'), '');
});

test('what the clocks show is a moment again', () => {
  assert.equal(fromWall('2026-11-23T08:05', 'Asia/Jakarta'), '2026-11-23T01:05:00.000Z');
  assert.equal(fromWall('', 'Asia/Jakarta'), null);
  assert.equal(fromWall('soon', 'Asia/Jakarta'), null);
});

test('there and back is the same minute, through a whole year of summer and winter', () => {
  for (const zone of ['Asia/Jakarta', 'Europe/Berlin', 'America/St_Johns', 'Australia/Lord_Howe', 'Pacific/Kiritimati', 'UTC']) {
    for (let hour = 0; hour < 366 * 24; hour += 7) {
      const wall = toWall(Date.UTC(2026, 0, 1, hour), zone);
      assert.equal(toWall(fromWall(wall, zone), zone), wall, zone);
    }
  }
});

test('an hour that the clocks skip is still a moment nearby', () => {
  const moment = Date.parse(fromWall('2026-03-29T02:30', 'Europe/Berlin'));
  assert.ok(Math.abs(moment - Date.parse('2026-03-29T01:00:00Z')) <= 3600000);
});
