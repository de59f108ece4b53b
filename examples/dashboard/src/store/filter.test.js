// The filter: there and back through an address, and what it lets through.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromQuery, isEmpty, matches, toQuery } from './filter.js';

const record = {
  id: 7, user_id: 2, user: { id: 2, name: 'Sari Dewi' }, node_id: 3, date: '2026-11-23', status: 'late', check_out: null,
};
const full = { q: 'dewi & co', from: '2026-11-01', to: '2026-11-30', user_id: 2, node_id: 3, status: 'late' };

test('a filter survives the way through an address', () => {
  assert.deepEqual(fromQuery(toQuery(full)), full);
  const open = { ...fromQuery({}), status: 'open' };
  assert.deepEqual(toQuery(open), { open: 'true' });
  assert.deepEqual(fromQuery(toQuery(open)), open);
  const through = Object.fromEntries(new URLSearchParams(new URLSearchParams(toQuery(full)).toString()));
  assert.deepEqual(fromQuery(through), full);
});

test('nothing set is an empty filter, and an empty address is one', () => {
  assert.ok(isEmpty(fromQuery({})));
  assert.deepEqual(toQuery(fromQuery({})), {});
  assert.ok(!isEmpty({ ...fromQuery({}), node_id: 0 }));
});

test('what makes no sense in an address is left out', () => {
  const odd = {
    q: ['a', 'b'], from: '2026-13-40', to: 'today', user_id: '-1', node_id: '1e3', status: 'gone', open: '1', x: 'y',
  };
  assert.ok(isEmpty(fromQuery(odd)));
  assert.equal(fromQuery({ q: 'x'.repeat(5000) }).q.length, 100);
});

test('each part of a filter decides by itself', () => {
  const none = fromQuery({});
  assert.equal(matches(record, none), true);
  assert.equal(matches(record, { ...full, q: 'DEWI' }), true);
  const wrong = { from: '2026-11-24', to: '2026-11-22', user_id: 3, node_id: 1, status: 'present' };
  for (const [name, value] of Object.entries(wrong)) {
    assert.equal(matches(record, { ...none, [name]: value }), false, name);
  }
  assert.equal(matches(record, { ...none, from: '2026-11-23', to: '2026-11-23' }), true, 'both days are included');
  assert.equal(matches(record, { ...none, status: 'open' }), true);
  assert.equal(matches({ ...record, check_out: '2026-11-23T09:00:00.000000Z' }, { ...none, status: 'open' }), false);
});

test('a search that the name does not answer is left to the database', () => {
  assert.equal(matches(record, { ...fromQuery({}), q: 'dentist' }), undefined);
  assert.equal(matches(record, { ...fromQuery({}), q: 'dentist', node_id: 1 }), false);
});
