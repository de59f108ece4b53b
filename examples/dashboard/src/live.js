// A live list for one page: the book of store/attendances.js, fed by channels and by fetches.
// An event goes straight into the book and so to the page; what it leaves out is filled in later (details.js).
import { computed, onBeforeUnmount, ref, shallowReactive, shallowRef, watch } from 'vue';
import { api } from './api.js';
import { createDetails } from './details.js';
import { createFetcher } from './fetcher.js';
import { connectionState, lostAt, subscribe } from './realtime.js';
import { createBook, newestFirst } from './store/attendances.js';

const NEWS = new Set(['created', 'updated', 'known', 'left', 'foreign', 'unclear']);
/** Pause before a fetch that only settles what an event left open. */
const SETTLE_MS = 500;
/** Records of a page of the API: as many as a person looks at, and the most there are. */
const PAGE = 30;
const PAGE_MOST = 200;

const details = createDetails(api.attendance, async () => (await api.attendances({ limit: PAGE_MOST })).data);

/** Whether a list may have missed events: from the loss of the connection until a fetch that began after every
    channel stood again. */
function useGap(channels) {
  const behind = ref(false);
  const missing = new Set(channels);
  watch(lostAt, (moment) => {
    if (!moment) return;
    behind.value = true;
    channels.forEach((name) => missing.add(name));
  }, { immediate: true });
  return { behind, missing };
}

/**
 * @param {object} options
 * @param {string[]} options.channels wire names; the list is fetched again whenever one is (re)subscribed
 * @param {(held: number) => Promise<object[]>} options.fetchRecords what the database holds for this page,
 *   given how many records the page holds already
 * @param {(record: object, held: boolean) => boolean|undefined} [options.accepts] see createBook
 * @param {(event: object) => void} [options.onNews] once per event that is neither repeated nor late
 */
export function useLiveList({ channels, fetchRecords, accepts, onNews = () => {} }) {
  const book = createBook(shallowReactive(new Map()), accepts);
  /** id to the version an event last brought: these rows are marked as just heard */
  const heard = shallowReactive(new Map());
  const phase = ref('loading');
  /** the answer of a server that refuses to give this list (a filter it does not take) */
  const refusal = shallowRef(null);
  const { behind, missing } = useGap(channels);
  /** counts the lists: the answer to a fetch for an earlier one is dropped */
  let epoch = 0;

  async function fetchOnce() {
    const [mark, began, whole] = [book.mark(), epoch, missing.size === 0];
    try {
      const records = await fetchRecords(book.rows.size);
      if (began !== epoch) return true;
      book.replace(records, mark);
      phase.value = 'ready';
      refusal.value = null;
      if (whole && missing.size === 0) behind.value = false;
      return true;
    } catch (error) {
      // A refusal stays one, however often one asks.
      const refused = error.status >= 400 && error.status < 500 && error.status !== 429;
      phase.value = 'failed';
      refusal.value = refused ? error : null;
      return refused;
    }
  }

  const { refresh, later, stop } = createFetcher(fetchOnce);

  function complete(id) {
    if (!book.rows.has(id) || book.isComplete(id)) return;
    details(id).then((record) => record && book.rows.has(id) && book.merge(record));
  }

  function hear(event) {
    const outcome = book.apply(event);
    if (!NEWS.has(outcome)) return;
    const { id, version } = event.attendance;
    heard.set(id, version);
    if (outcome === 'unclear') later(SETTLE_MS);
    else complete(id);
    onNews(event);
  }

  /** Another list in the same place; the old one stays until the new one is here. */
  function restart() {
    epoch += 1;
    refresh();
  }

  function subscribed(name) {
    missing.delete(name);
    refresh();
  }

  const listeners = { '.attendance.created': hear, '.attendance.updated': hear };
  const stops = channels.map((name) => subscribe(name, listeners, () => subscribed(name)));
  onBeforeUnmount(() => [...stops, stop].forEach((end) => end()));
  refresh();

  const records = computed(() => [...book.rows.values()].sort(newestFirst));
  /** live; down: no connection; catching-up: connected, and what was missed is on its way */
  const sync = computed(() => {
    if (!behind.value) return 'live';
    return connectionState.value === 'connected' ? 'catching-up' : 'down';
  });
  return { records, rows: book.rows, heard, phase, refusal, sync, refresh, restart, merge: book.merge };
}

/**
 * A live list that is fetched page by page.
 * @param {object} options as of useLiveList, and:
 * @param {() => object} options.query parameters of the API
 * @param {() => Promise<object[]>} [options.besides] records that are wanted whatever their page
 */
export function usePagedList({ query, besides = async () => [], accepts = () => true, ...options }) {
  /** `before` of the next page; null on the last */
  const next = ref(null);
  const busyOlder = ref(false);

  async function fetchHeld(held) {
    const data = [];
    let before;
    do {
      const limit = Math.min(PAGE_MOST, Math.max(PAGE, held - data.length));
      const page = await api.attendances({ ...query(), limit, before });
      data.push(...page.data);
      before = page.next ?? undefined;
    } while (before && data.length < held);
    return { data, before };
  }

  async function fetchRecords(held) {
    const [pages, more] = await Promise.all([fetchHeld(held), besides()]);
    next.value = pages.before ?? null;
    return [...pages.data, ...more];
  }

  /** A record of a page that is not here yet stays there. */
  const inSight = (record, held) => held || next.value === null || record.id >= next.value;
  const list = useLiveList({
    ...options, fetchRecords, accepts: (record, held) => (inSight(record, held) ? accepts(record) : false),
  });

  async function older() {
    busyOlder.value = true;
    try {
      const asked = query();
      const page = await api.attendances({ ...asked, limit: PAGE, before: next.value });
      if (JSON.stringify(asked) !== JSON.stringify(query())) return;
      next.value = page.next;
      page.data.forEach(list.merge);
    } catch {
      list.phase.value = 'failed';
    } finally {
      busyOlder.value = false;
    }
  }

  return { ...list, next, busyOlder, older };
}
