// The picture of a day, in numbers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rangeOf, slotsOf, stepsOf } from './day.js';

test('the usual working day is shown, and whatever lies outside of it', () => {
  assert.deepEqual(rangeOf([], 12 * 60), { from: 360, to: 1080 });
  assert.deepEqual(rangeOf([5 * 60 + 59], 12 * 60), { from: 300, to: 1080 });
  assert.deepEqual(rangeOf([0], 1439), { from: 0, to: 1440 });
  assert.deepEqual(rangeOf([18 * 60], 0), { from: 0, to: 1140 });
});

test('check-ins are counted by half hour and node', () => {
  const at = (minute, node, late = false) => ({ minute, node, late });
  assert.deepEqual(slotsOf([at(481, 2), at(480, 1), at(509, 2, true), at(510, 1, true)]), [
    { minute: 480, count: 3, late: 1, nodes: [{ node: 1, count: 1 }, { node: 2, count: 2 }] },
    { minute: 510, count: 1, late: 1, nodes: [{ node: 1, count: 1 }] },
  ]);
  assert.deepEqual(slotsOf([]), []);
});

test('the axis has few steps, in round numbers, and covers the highest column', () => {
  assert.deepEqual(stepsOf(0), [1]);
  assert.deepEqual(stepsOf(1), [1]);
  assert.deepEqual(stepsOf(7), [2, 4, 6, 8]);
  for (let most = 1; most < 3000; most += 1) {
    const steps = stepsOf(most);
    assert.ok(steps.length <= 5 && steps.at(-1) >= most && steps.every(Number.isInteger), `${most}: ${steps}`);
  }
});
