// Fills in what public events leave out (email, notes): asks the API for the records that events brought, gathered
// for a moment, so that a rush of check-ins costs one call and not one each. Two lists that ask share the answer.

const GATHER_MS = 1000;
/** Up to this many are asked for one by one; of more, the newest come as one page. */
const ONE_BY_ONE = 5;

/**
 * @param {(id: number) => Promise<object>} fetchOne
 * @param {() => Promise<object[]>} fetchNewest
 * @returns {(id: number) => Promise<object|null>} null when it could not be had: the next fetch of the list will tell
 */
export function createDetails(fetchOne, fetchNewest, gatherMs = GATHER_MS) {
  /** @type {Map<number, {promise: Promise<object|null>, resolve: (record: object|null) => void}>} */
  let waiting = new Map();
  let running = false;

  async function answer(batch) {
    const newest = batch.size > ONE_BY_ONE ? await fetchNewest().catch(() => []) : [];
    const found = new Map(newest.map((record) => [record.id, record]));
    for (const [id, { resolve }] of batch) {
      resolve(found.get(id) ?? await fetchOne(id).catch(() => null));
    }
  }

  /** One batch after the other: what is asked for meanwhile waits for the next. */
  async function run() {
    running = true;
    while (waiting.size) {
      await new Promise((resolve) => { setTimeout(resolve, gatherMs); });
      const batch = waiting;
      waiting = new Map();
      await answer(batch);
    }
    running = false;
  }

  return function details(id) {
    let entry = waiting.get(id);
    if (!entry) {
      entry = {};
      entry.promise = new Promise((resolve) => { entry.resolve = resolve; });
      waiting.set(id, entry);
      if (!running) run();
    }
    return entry.promise;
  };
}
