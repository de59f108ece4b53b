// The merge rules, each as one sentence.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBook, newestFirst, tally } from './attendances.js';

const EMAIL = 'sari@example.com';

function record(overrides = {}) {
  return {
    id: 7,
    user_id: 2,
    user: { id: 2, name: 'Sari' },
    node_id: 1,
    date: '2026-11-23',
    check_in: '2026-11-23T01:00:00.000000Z',
    check_out: null,
    status: 'present',
    notes: null,
    version: 1,
    ...overrides,
  };
}

const full = (overrides = {}) => record({ user: { id: 2, name: 'Sari', email: EMAIL }, notes: 'Dentist', ...overrides });
const event = (eventId, attendance) => ({ event_id: eventId, version: attendance.version, attendance });

test('a first event creates the row', () => {
  const book = createBook();
  assert.equal(book.apply(event('a', record())), 'created');
  assert.equal(book.rows.get(7).version, 1);
});

test('a repeated event changes nothing, even after its row is gone', () => {
  const book = createBook();
  book.apply(event('a', record()));
  assert.equal(book.apply(event('a', record())), 'repeat');
  book.replace([], book.mark());
  assert.equal(book.apply(event('a', record())), 'repeat');
  assert.equal(book.rows.size, 0);
});

test('a lower version that arrives late is dropped', () => {
  const book = createBook();
  assert.equal(book.apply(event('b', record({ version: 2, check_out: '2026-11-23T09:00:00.000000Z' }))), 'updated');
  assert.equal(book.apply(event('a', record())), 'stale');
  assert.equal(book.rows.get(7).version, 2);
  assert.ok(book.rows.get(7).check_out);
});

test('the private copy of the same event fills in email and notes', () => {
  const book = createBook();
  book.apply(event('a', record()));
  assert.equal(book.apply(event('a', full())), 'filled');
  assert.equal(book.rows.get(7).user.email, EMAIL);
  assert.equal(book.rows.get(7).notes, 'Dentist');
});

test('a public copy after the private one takes nothing away', () => {
  const book = createBook();
  book.apply(event('a', full()));
  assert.equal(book.apply(event('a', record())), 'repeat');
  assert.equal(book.rows.get(7).notes, 'Dentist');
});

test('a newer public copy keeps the email and notes already known', () => {
  const book = createBook();
  book.apply(event('a', full()));
  assert.equal(book.apply(event('b', record({ version: 2, check_out: '2026-11-23T09:00:00.000000Z' }))), 'updated');
  const row = book.rows.get(7);
  assert.equal(row.version, 2);
  assert.equal(row.user.email, EMAIL);
  assert.equal(row.notes, 'Dentist');
});

test('an event whose record a fetch already brought is known, not new', () => {
  const book = createBook();
  book.replace([full()], book.mark());
  assert.equal(book.apply(event('a', record())), 'known');
  assert.equal(book.rows.get(7).user.email, EMAIL);
});

test('a fetched list drops rows the database no longer has', () => {
  const book = createBook();
  book.replace([full(), full({ id: 8 })], book.mark());
  book.replace([full({ id: 8 })], book.mark());
  assert.deepEqual([...book.rows.keys()], [8]);
});

test('a fetch that began before an event does not undo it', () => {
  const book = createBook();
  book.replace([full()], book.mark());
  const mark = book.mark();
  book.apply(event('b', record({ version: 2, check_out: '2026-11-23T09:00:00.000000Z' })));
  book.apply(event('c', record({ id: 9 })));
  book.replace([full()], mark);
  assert.equal(book.rows.get(7).version, 2);
  assert.ok(book.rows.has(9));
});

test('a fetch that began after an event has the last word', () => {
  const book = createBook();
  book.apply(event('b', record({ version: 2 })));
  book.replace([full({ version: 3 })], book.mark());
  assert.equal(book.rows.get(7).version, 3);
  book.replace([], book.mark());
  assert.equal(book.rows.size, 0);
});

test('an answer to a check-in merges, and an older answer does not', () => {
  const book = createBook();
  book.merge(full({ version: 2 }));
  book.merge(full({ version: 1 }));
  assert.equal(book.rows.get(7).version, 2);
});

test('any order of the same events ends in the same row', () => {
  const events = [
    event('a', record()),
    event('a', full()),
    event('b', record({ version: 2 })),
    event('b', full({ version: 2, notes: 'Early bus' })),
    event('a', full()),
  ];
  const permute = (list) => (list.length < 2 ? [list] : list.flatMap((item, index) => (
    permute([...list.slice(0, index), ...list.slice(index + 1)]).map((rest) => [item, ...rest]))));
  for (const order of permute(events)) {
    const book = createBook();
    order.forEach((one) => book.apply(one));
    assert.deepEqual(book.rows.get(7), full({ version: 2, notes: 'Early bus' }));
  }
});

test('only the newest event ids are remembered, and versions still drop older ones', () => {
  const book = createBook();
  for (let id = 1; id <= 1500; id += 1) book.apply(event(`event-${id}`, record({ id })));
  assert.equal(book.apply(event('event-1', record({ id: 1 }))), 'known');
  assert.equal(book.rows.size, 1500);
});

test('newest check-in first, then the higher id', () => {
  const later = '2026-11-23T02:00:00.000000Z';
  const rows = [record({ id: 1 }), record({ id: 3 }), record({ id: 2, check_in: later })];
  assert.deepEqual(rows.sort(newestFirst).map(({ id }) => id), [2, 3, 1]);
});

test('the counters follow from the rows', () => {
  const rows = [record(), record({ status: 'late' }), record({ status: 'late', check_out: '2026-11-23T09:00:00.000000Z' })];
  assert.deepEqual(tally(rows), { present: 1, late: 2, checked_out: 1, open: 2, total: 3 });
});

const today = (one) => one.date === '2026-11-23';
const moved = (version) => record({ version, date: '2026-11-22', check_in: '2026-11-22T01:00:00.000000Z' });

test('a record that a correction moves to another day leaves the list, and comes back with the next', () => {
  const book = createBook(new Map(), today);
  book.replace([full()], book.mark());
  assert.equal(book.apply(event('b', moved(2))), 'left');
  assert.equal(book.rows.size, 0);
  assert.equal(book.apply(event('a', record())), 'stale', 'its earlier version stays away');
  assert.equal(book.apply(event('c', full({ version: 3 }))), 'updated');
  assert.equal(book.rows.get(7).version, 3);
});

test('a fetch that began before a record left does not bring it back', () => {
  const book = createBook(new Map(), today);
  book.replace([full()], book.mark());
  const mark = book.mark();
  book.apply(event('b', moved(2)));
  book.replace([full()], mark);
  assert.equal(book.rows.size, 0);
  assert.equal(book.apply(event('d', moved(3))), 'foreign');
  book.replace([full({ version: 2 })], mark);
  assert.equal(book.rows.size, 0);
  book.replace([full({ version: 4 })], book.mark());
  assert.equal(book.rows.get(7).version, 4);
});

test('an event about another list is told once, and changes nothing', () => {
  const book = createBook(new Map(), today);
  assert.equal(book.apply(event('a', moved(1))), 'foreign');
  assert.equal(book.apply(event('a', moved(1))), 'repeat');
  assert.equal(book.rows.size, 0);
});

test('what only the database can tell is left to it, and what is held stays', () => {
  const book = createBook(new Map(), () => undefined);
  assert.equal(book.apply(event('a', record())), 'unclear');
  assert.equal(book.rows.size, 0);
  book.replace([full()], book.mark());
  assert.equal(book.apply(event('b', record({ version: 2 }))), 'unclear');
  assert.equal(book.rows.get(7).version, 2);
});

test('the public copy of a correction is known to be incomplete until the record was asked for', () => {
  const book = createBook();
  book.replace([full()], book.mark());
  assert.ok(book.isComplete(7));
  book.apply(event('b', record({ version: 2 })));
  assert.ok(!book.isComplete(7));
  book.merge(full({ version: 2, notes: 'Train' }));
  assert.ok(book.isComplete(7));
  assert.equal(book.rows.get(7).notes, 'Train');
});
