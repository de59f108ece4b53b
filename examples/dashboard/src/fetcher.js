// When a list is fetched: one fetch at a time, again while asked to, and later when one fails. Pure but for its timer.

/** Pause before a failed fetch is tried again: doubled each time, up to the longest. */
const RETRY_MS = 1000;
const RETRY_LONGEST_MS = 30000;

/**
 * @param {() => Promise<boolean>} fetchOnce whether it needs no repetition; it does not throw
 * @returns {{refresh: () => Promise<void>, later: (ms: number) => void, stop: () => void}}
 */
export function createFetcher(fetchOnce) {
  let timer;
  let again = false;
  let running = false;
  let stopped = false;
  let pause = RETRY_MS;

  function later(ms) {
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(refresh, ms);
  }

  /** A request for a fetch while one runs means: the running one may already be too old. */
  async function refresh() {
    clearTimeout(timer);
    again = true;
    if (running) return;
    running = true;
    let fine = true;
    while (again && !stopped) {
      again = false;
      fine = await fetchOnce();
    }
    running = false;
    if (!fine) later(pause);
    pause = fine ? RETRY_MS : Math.min(pause * 2, RETRY_LONGEST_MS);
  }

  function stop() {
    stopped = true;
    clearTimeout(timer);
  }

  return { refresh, later, stop };
}
