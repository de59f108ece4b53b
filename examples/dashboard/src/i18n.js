// The languages of the pages: which one is spoken, and its words. The texts are in texts/, one file per language.
import { computed, shallowRef } from 'vue';
import en from './texts/en.js';
import id from './texts/id.js';
import { FIELDS, SENTENCES } from './texts/server-id.js';

/** `tag` decides how times and numbers are written; `server` are the server's sentences, which are English. */
export const LANGUAGES = {
  en: { name: 'English', tag: 'en-GB', texts: en, server: [] },
  id: { name: 'Bahasa Indonesia', tag: 'id-ID', texts: id, server: SENTENCES },
};

/** @type {import('vue').ShallowRef<keyof LANGUAGES>} */
export const language = shallowRef('en');
export const localeTag = computed(() => LANGUAGES[language.value].tag);

/**
 * The text of a key, with `{name}` filled in from `values`. Where a language has a singular, it stands before a `|`
 * and is taken for a `count` of one.
 * @param {string} key
 * @param {Record<string, string|number>} [values]
 */
export function t(key, values = {}) {
  const forms = (LANGUAGES[language.value].texts[key] ?? key).split('|');
  const text = values.count === 1 ? forms[0] : forms.at(-1);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
}

/** A sentence of the server in the language of the page, if that is known. */
export function serverText(sentence) {
  for (const [pattern, text] of LANGUAGES[language.value].server) {
    const found = pattern.exec(sentence);
    if (found) return text.replace(/\$(\d)/g, (_, group) => FIELDS[found[group]] ?? found[group]);
  }
  return sentence;
}

/** What a failed call says to a person: the server's own words where it has some. */
export function errorText(error) {
  if (error.status === 0) return t('error.network');
  if (error.status === 429) return t('error.throttled', { seconds: error.retryAfter || 60 });
  const first = Object.values(error.errors ?? {})[0]?.[0];
  return serverText(first || error.message) || t('error.unknown', { status: error.status ?? '?' });
}
