// The texts: no key without a text, no text that nobody shows, and errors that say something.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { errorText, keys, t } from './i18n.js';

const sources = readdirSync(new URL('.', import.meta.url), { recursive: true })
  .filter((name) => /\.(vue|js)$/.test(name) && !/i18n|\.test\./.test(name))
  .map((name) => readFileSync(new URL(name, import.meta.url), 'utf8'))
  .join('\n');

/** Keys that are put together at run time. */
const COMPOSED = /^(connection|status|error|duration|row)\.|Text$/;

test('every key that the pages name has a text', () => {
  const named = [...sources.matchAll(/'((?:[a-z]+[A-Z]?[a-z]*)\.[a-zA-Z0-9]+)'/g)].map(([, key]) => key);
  const groups = new Set(keys.map((key) => key.split('.')[0]));
  const missing = named.filter((key) => groups.has(key.split('.')[0]) && !keys.includes(key));
  assert.ok(named.length > 50);
  assert.deepEqual(missing, []);
});

test('every text is shown somewhere', () => {
  assert.deepEqual(keys.filter((key) => !COMPOSED.test(key) && !sources.includes(`'${key}'`)), []);
});

test('values are filled in, and a missing one leaves no brace', () => {
  assert.equal(t('toast.created', { name: 'Sari' }), 'Sari checked in');
  assert.equal(t('toast.created'), ' checked in');
});

test('an error speaks the words of the server where it has some', () => {
  assert.equal(errorText({ status: 422, errors: { email: ['Taken.'] }, message: 'Invalid.' }), 'Taken.');
  assert.equal(errorText({ status: 409, errors: {}, message: 'Already open.' }), 'Already open.');
  assert.match(errorText({ status: 429, retryAfter: 42, message: 'Too Many Attempts.' }), /42 seconds/);
  assert.match(errorText({ status: 502, message: '' }), /502/);
  assert.match(errorText({ status: 0 }), /did not answer/);
});
