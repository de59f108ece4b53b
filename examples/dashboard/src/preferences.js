// What a person chose for these pages on this device: language and theme. Without a choice the browser's own count.
import { ref, watchEffect } from 'vue';
import { LANGUAGES, language, localeTag } from './i18n.js';

/** `system` follows the device. */
export const THEMES = ['system', 'light', 'dark'];
/** @type {import('vue').Ref<'system'|'light'|'dark'>} */
export const theme = ref('system');

/** Storage may be forbidden; then a choice lasts as long as the page. */
function stored(name) {
  try {
    return localStorage.getItem(`gema.${name}`);
  } catch {
    return null;
  }
}

function store(name, value) {
  try {
    localStorage.setItem(`gema.${name}`, value);
  } catch {
    // See above.
  }
}

/** The first language of a list of tags that the pages speak. */
export function spoken(tags) {
  const known = tags.map((tag) => tag?.toLowerCase().split('-')[0]);
  // Java's old name for Indonesian is still sent by some devices.
  return known.map((tag) => (tag === 'in' ? 'id' : tag)).find((tag) => tag in LANGUAGES) ?? 'en';
}

export function chooseLanguage(value) {
  language.value = value;
  store('language', value);
}

export function chooseTheme(value) {
  theme.value = value;
  store('theme', value);
}

/** The bar of a phone's browser takes the colour of the page. */
function paintBrowser() {
  const colour = getComputedStyle(document.documentElement).backgroundColor;
  document.querySelector('meta[name="theme-color"]').content = colour;
}

export function applyPreferences() {
  language.value = spoken([stored('language'), ...navigator.languages]);
  const saved = stored('theme');
  theme.value = THEMES.includes(saved) ? saved : 'system';
  watchEffect(() => { document.documentElement.lang = localeTag.value; });
  watchEffect(() => {
    document.documentElement.dataset.theme = theme.value;
    paintBrowser();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paintBrowser);
}
