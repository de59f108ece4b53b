// A live list for one page: the book of store/attendances.js, fed by channels and by fetches.
// An event goes straight into the book and so to the page; nothing is fetched for it.
import { computed, onBeforeUnmount, ref, shallowReactive } from 'vue';
import { subscribe } from './realtime.js';
import { createBook, newestFirst } from './store/attendances.js';

const NEWS = new Set(['created', 'updated', 'known']);

/**
 * @param {object} options
 * @param {string[]} options.channels wire names; the list is fetched again whenever one is (re)subscribed
 * @param {(held: number) => Promise<object[]>} options.fetchRecords what the database holds for this page,
 *   given how many records the page holds already
 * @param {(record: object) => boolean} [options.accepts] events about other records are left out
 * @param {(event: object) => void} [options.onNews] once per event that is neither repeated nor late
 */
export function useLiveList({ channels, fetchRecords, accepts = () => true, onNews = () => {} }) {
  const book = createBook(shallowReactive(new Map()));
  /** id to the version an event last brought: these rows are marked as just heard */
  const heard = shallowReactive(new Map());
  const phase = ref('loading');
  let fetching = false;
  let again = false;

  async function fetchOnce() {
    const mark = book.mark();
    try {
      book.replace(await fetchRecords(book.rows.size), mark);
      phase.value = 'ready';
    } catch {
      phase.value = 'failed';
    }
  }

  /** A request for a fetch while one runs means: the running one may already be too old. */
  async function refresh() {
    again = true;
    if (fetching) return;
    fetching = true;
    while (again) {
      again = false;
      await fetchOnce();
    }
    fetching = false;
  }

  function hear(event) {
    if (!accepts(event.attendance)) return;
    const outcome = book.apply(event);
    if (!NEWS.has(outcome)) return;
    heard.set(event.attendance.id, event.attendance.version);
    onNews(event);
  }

  const listeners = { '.attendance.created': hear, '.attendance.updated': hear };
  const stops = channels.map((name) => subscribe(name, listeners, refresh));
  onBeforeUnmount(() => stops.forEach((stop) => stop()));
  refresh();

  const records = computed(() => [...book.rows.values()].sort(newestFirst));
  return { records, heard, phase, refresh, merge: book.merge };
}
