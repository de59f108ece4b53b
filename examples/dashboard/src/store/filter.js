// What the list of records is narrowed down to, pure: from the address of the page and back (with the names that the
// API uses), and whether a record that an event brings belongs to it.

/**
 * @typedef {object} Filter
 * @property {string} q part of a name, email or note
 * @property {string} from first working day, YYYY-MM-DD
 * @property {string} to last working day
 * @property {number|null} user_id
 * @property {number|null} node_id node of the check-in
 * @property {''|'present'|'late'|'open'} status
 */

const STATUSES = ['present', 'late', 'open'];

const text = (value) => (typeof value === 'string' ? value : '');
const date = (value) => (/^\d{4}-\d{2}-\d{2}$/.test(text(value)) && !Number.isNaN(Date.parse(value)) ? value : '');
const whole = (value) => (/^\d{1,10}$/.test(text(value)) ? Number(value) : null);

/** Reads the query of an address; what makes no sense is left out. @returns {Filter} */
export function fromQuery(query) {
  const status = query.open === 'true' ? 'open' : text(query.status);
  return {
    q: text(query.q).slice(0, 100),
    from: date(query.from),
    to: date(query.to),
    user_id: whole(query.user_id),
    node_id: whole(query.node_id),
    status: STATUSES.includes(status) ? status : '',
  };
}

/** The query of an address, and the parameters of the API: only what is set. @param {Filter} filter */
export function toQuery({ status, ...rest }) {
  const query = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== '' && value !== null));
  if (status === 'open') query.open = 'true';
  else if (status) query.status = status;
  return Object.fromEntries(Object.entries(query).map(([name, value]) => [name, String(value)]));
}

export const isEmpty = (filter) => Object.keys(toQuery(filter)).length === 0;

/**
 * Whether a record belongs to a filter. `undefined` means that only the database can tell: events carry no email and
 * no notes, and databases differ in what is the same letter.
 * @param {import('./attendances.js').Attendance} record
 * @param {Filter} filter
 * @returns {boolean|undefined}
 */
export function matches(record, filter) {
  if (filter.from && record.date < filter.from) return false;
  if (filter.to && record.date > filter.to) return false;
  if (filter.user_id !== null && record.user_id !== filter.user_id) return false;
  if (filter.node_id !== null && record.node_id !== filter.node_id) return false;
  if (filter.status === 'open' && record.check_out) return false;
  if (filter.status && filter.status !== 'open' && record.status !== filter.status) return false;
  if (!filter.q) return true;
  return record.user.name.toLowerCase().includes(filter.q.toLowerCase()) || undefined;
}
