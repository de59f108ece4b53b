// The texts: every language complete, no key without a text, no text that nobody shows, and errors that say something.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { errorText, language, LANGUAGES, serverText, t } from './i18n.js';

const keys = Object.keys(LANGUAGES.en.texts);
const sources = readdirSync(new URL('.', import.meta.url), { recursive: true })
  .filter((name) => /\.(vue|js)$/.test(name) && !/^texts|\.test\./.test(name))
  .map((name) => readFileSync(new URL(name, import.meta.url), 'utf8'))
  .join('\n');

/** Keys that are put together at run time. */
const COMPOSED = /^(connection|status|theme|role)\.|Text$/;

afterEach(() => { language.value = 'en'; });

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

test('each language has every text, with the same values in it', () => {
  const values = (text) => [...new Set(text.split('|').at(-1).match(/\{\w+\}/g))].sort();
  for (const { name, texts } of Object.values(LANGUAGES)) {
    assert.deepEqual(Object.keys(texts), keys, name);
    for (const key of keys) {
      assert.ok(texts[key].trim(), `${name}: ${key} is empty`);
      assert.deepEqual(values(texts[key]), values(LANGUAGES.en.texts[key]), `${name}: ${key}`);
    }
  }
});

test('values are filled in, and a missing one leaves no brace', () => {
  assert.equal(t('toast.created', { name: 'Sari' }), 'Sari checked in');
  assert.equal(t('toast.created'), ' checked in');
  language.value = 'id';
  assert.equal(t('toast.created', { name: 'Sari' }), 'Sari hadir');
});

test('one is said in the singular, where a language has one', () => {
  assert.equal(t('records.count', { count: 1 }), '1 entry');
  assert.equal(t('records.count', { count: 0 }), '0 entries');
  language.value = 'id';
  assert.equal(t('records.count', { count: 1 }), '1 catatan');
});

test('an error speaks the words of the server where it has some', () => {
  assert.equal(errorText({ status: 422, errors: { email: ['Taken.'] }, message: 'Invalid.' }), 'Taken.');
  assert.equal(errorText({ status: 409, errors: {}, message: 'Already open.' }), 'Already open.');
  assert.match(errorText({ status: 429, retryAfter: 42, message: 'Too Many Attempts.' }), /42 seconds/);
  assert.match(errorText({ status: 502, message: '' }), /502/);
  assert.match(errorText({ status: 0 }), /did not answer/);
});

test("the server's sentences are translated, and what is unknown is passed on", () => {
  const error = { status: 422, errors: { check_out: ['The check out field must be a date after or equal to check in.'] } };
  assert.equal(errorText(error), error.errors.check_out[0]);
  language.value = 'id';
  assert.equal(errorText(error), 'Jam pulang tidak boleh lebih awal dari Jam masuk.');
  assert.equal(serverText('The password field must be at least 8 characters.'), 'Kata sandi minimal 8 karakter.');
  assert.equal(serverText('Something else.'), 'Something else.');
});
