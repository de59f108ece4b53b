// Details are asked for in batches, once each, and a failure harms nobody.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDetails } from './details.js';

function desk(newest = []) {
  const asked = [];
  const one = async (id) => {
    asked.push(id);
    if (id < 0) throw new Error('gone');
    return { id };
  };
  const page = async () => {
    asked.push('page');
    return newest.map((id) => ({ id, paged: true }));
  };
  return { asked, details: createDetails(one, page, 1) };
}

test('a few are asked for one by one, each once, whoever asks', async () => {
  const { asked, details } = desk();
  const answers = await Promise.all([details(1), details(2), details(1)]);
  assert.deepEqual(answers.map(({ id }) => id), [1, 2, 1]);
  assert.deepEqual(asked, [1, 2]);
});

test('of many the newest come as one page, and only the rest one by one', async () => {
  const { asked, details } = desk([9, 8, 7, 6, 5]);
  const answers = await Promise.all([9, 8, 7, 6, 5, 1].map(details));
  assert.deepEqual(answers.map(({ id }) => id), [9, 8, 7, 6, 5, 1]);
  assert.deepEqual(asked, ['page', 1]);
});

test('what is asked for while its answer is on the way is asked for again: it may have changed', async () => {
  const { asked, details } = desk();
  const first = details(1);
  await new Promise((resolve) => { setTimeout(resolve, 5); });
  await Promise.all([first, details(1)]);
  assert.deepEqual(asked, [1, 1]);
});

test('a failure is no answer, and the next one still comes', async () => {
  const { details } = desk();
  assert.deepEqual(await Promise.all([details(-1), details(2)]), [null, { id: 2 }]);
});
