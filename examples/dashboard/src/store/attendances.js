// The merge rules of the live list, pure: no Vue, no network, no clock.
// Events may repeat, arrive late, and come in two copies (public: no email, no notes; private: everything);
// fetched lists may overlap with events. Whatever the order, the book ends at the highest version.

/**
 * @typedef {object} Attendance one record, as REST and the events carry it
 * @property {number} id
 * @property {number} user_id
 * @property {{id: number, name: string, email?: string}} user
 * @property {number} node_id node of the check-in
 * @property {string} date working day, YYYY-MM-DD
 * @property {string} check_in ISO 8601 UTC
 * @property {string|null} check_out
 * @property {'present'|'late'} status
 * @property {string|null} notes
 * @property {number} version counts the changes from 1
 */

/** @typedef {'created'|'updated'|'filled'|'known'|'repeat'|'stale'|'left'|'foreign'|'unclear'} Outcome */

/** Remembered event ids; older ones are still recognised by their version. */
const REMEMBERED = 1000;

/** A public copy has no email: that is how the two copies are told apart. */
const isFull = (record) => Boolean(record.user?.email);

/** A public copy never erases what a fuller one told. */
function keepDetails(next, previous) {
  if (!previous || isFull(next) || !isFull(previous)) return next;
  return { ...next, user: { ...next.user, email: previous.user.email }, notes: next.notes ?? previous.notes };
}

/** Newest check-in first; the id decides between equal times. */
export function newestFirst(left, right) {
  if (left.check_in !== right.check_in) return left.check_in < right.check_in ? 1 : -1;
  return right.id - left.id;
}

/** The counters of a day, from its records. */
export function tally(records) {
  const counters = { present: 0, late: 0, checked_out: 0, open: 0, total: 0 };
  for (const { status, check_out: checkOut } of records) {
    counters[status === 'late' ? 'late' : 'present'] += 1;
    counters[checkOut ? 'checked_out' : 'open'] += 1;
    counters.total += 1;
  }
  return counters;
}

/**
 * A list that events and fetched pages are merged into.
 * @param {Map<number, Attendance>} rows where the records live; pass a reactive map to see changes
 * @param {(record: Attendance, held: boolean) => boolean|undefined} accepts which records belong to the list;
 *   undefined means that only the database can tell
 */
export function createBook(rows = new Map(), accepts = () => true) {
  const seen = new Set();
  /** @type {Map<number, number>} id to the moment an event last changed it */
  const touched = new Map();
  /** @type {Map<number, number>} id to the newest version held in full, not pieced together from a public copy */
  const fullAt = new Map();
  /** @type {Map<number, number>} id to the version with which a record did not belong here (any more) */
  const elsewhere = new Map();
  let moment = 0;

  function remember(eventId) {
    if (seen.has(eventId)) return true;
    seen.add(eventId);
    if (seen.size > REMEMBERED) seen.delete(seen.values().next().value);
    return false;
  }

  function hold(record) {
    if (isFull(record)) fullAt.set(record.id, record.version);
    elsewhere.delete(record.id);
    rows.set(record.id, keepDetails(record, rows.get(record.id)));
  }

  function forget(id) {
    for (const map of [rows, touched, fullAt]) map.delete(id);
  }

  /** A fetch under way may still bring what has just left: the version that left is remembered. */
  function sendAway({ id, version }) {
    forget(id);
    elsewhere.delete(id);
    elsewhere.set(id, version);
    if (elsewhere.size > REMEMBERED) elsewhere.delete(elsewhere.keys().next().value);
  }

  /** @returns {boolean|undefined} whether the record belongs here */
  function put(record) {
    const belongs = accepts(record, rows.has(record.id));
    if (belongs === false) sendAway(record);
    else if (belongs || rows.has(record.id)) {
      moment += 1;
      touched.set(record.id, moment);
      hold(record);
    }
    return belongs;
  }

  /** @returns {Outcome} */
  function judge(record, repeated) {
    const held = rows.get(record.id);
    const known = held?.version ?? elsewhere.get(record.id) ?? 0;
    if (record.version < known) return 'stale';
    if (record.version === known) {
      if (held && isFull(record) && (fullAt.get(record.id) ?? 0) < record.version) return 'filled';
      return repeated ? 'repeat' : 'known';
    }
    if (repeated) return 'repeat';
    return held || record.version > 1 ? 'updated' : 'created';
  }

  /**
   * One event from a channel.
   * @returns {Outcome} created, updated: news; filled: the private copy of something held; known: first
   *   heard of something a fetch brought earlier; repeat, stale: dropped; left: it belongs here no longer;
   *   foreign: it never did; unclear: only a fetch can tell
   */
  function apply({ event_id: eventId, attendance }) {
    const held = rows.has(attendance.id);
    const outcome = judge(attendance, remember(eventId));
    if (outcome !== 'created' && outcome !== 'updated' && outcome !== 'filled') return outcome;
    const belongs = put(attendance);
    if (belongs === false) return held ? 'left' : 'foreign';
    return belongs === undefined ? 'unclear' : outcome;
  }

  /** One record from REST: the answer to a check-in, a correction, or a further page. */
  function merge(record) {
    const known = rows.get(record.id)?.version ?? elsewhere.get(record.id) ?? 0;
    if (record.version >= known) put(record);
  }

  /**
   * A freshly fetched list takes the place of what is held, except for what events changed
   * since `mark` (the moment the fetch began): there the higher version wins.
   */
  function replace(records, mark) {
    const changedSince = (id) => (touched.get(id) ?? 0) > mark;
    const fetched = new Map(records.map((record) => [record.id, record]));
    for (const id of [...rows.keys()]) {
      if (!fetched.has(id) && !changedSince(id)) forget(id);
    }
    for (const [id, record] of fetched) {
      const newest = changedSince(id) ? rows.get(id).version : elsewhere.get(id) ?? 0;
      if (record.version >= newest) hold(record);
    }
  }

  const isComplete = (id) => fullAt.get(id) === rows.get(id)?.version;

  return { rows, apply, merge, replace, isComplete, mark: () => moment };
}
