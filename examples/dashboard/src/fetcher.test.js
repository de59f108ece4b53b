// When lists are fetched again, by a clock of the test.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFetcher } from './fetcher.js';

const settle = () => new Promise((resolve) => { setImmediate(resolve); });

test('a fetch that is asked for while one runs comes after it, once', async () => {
  const ends = [];
  const { refresh } = createFetcher(() => new Promise((resolve) => { ends.push(resolve); }));
  refresh();
  refresh();
  refresh();
  assert.equal(ends.length, 1);
  ends[0](true);
  await settle();
  assert.equal(ends.length, 2);
  ends[1](true);
  await settle();
  assert.equal(ends.length, 2);
});

test('a failed fetch is tried again, after longer and longer pauses, until one succeeds', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let tries = 0;
  let fine = false;
  const { refresh } = createFetcher(async () => {
    tries += 1;
    return fine;
  });
  await refresh();
  for (const pause of [1000, 2000, 4000, 8000, 16000, 30000, 30000]) {
    const before = tries;
    t.mock.timers.tick(pause - 1);
    await settle();
    assert.equal(tries, before, `not before ${pause} ms`);
    t.mock.timers.tick(1);
    await settle();
    assert.equal(tries, before + 1);
  }
  fine = true;
  t.mock.timers.tick(30000);
  await settle();
  const done = tries;
  t.mock.timers.tick(60000);
  await settle();
  assert.equal(tries, done);
});

test('a page that is left asks no more', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let tries = 0;
  const { refresh, later, stop } = createFetcher(async () => {
    tries += 1;
    return false;
  });
  await refresh();
  stop();
  later(1);
  t.mock.timers.tick(60000);
  await settle();
  assert.equal(tries, 1);
});
