// The REST calls of the attendance API: session cookie, CSRF header, errors in one shape.
// Holds no state; session.js owns who is signed in.

/** What a refused or failed call throws. `status` is 0 when no answer came. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {{message?: string, errors?: Record<string, string[]>}} [body] Laravel's error shape
   * @param {number} [retryAfter] seconds, from Retry-After
   */
  constructor(status, body = {}, retryAfter = 0) {
    super(body.message ?? '');
    this.status = status;
    this.errors = body.errors ?? {};
    this.retryAfter = retryAfter;
  }
}

let signedOut = () => {};

/** Names what happens when the server no longer knows the session (401 on a call that needs one). */
export function onSignedOut(callback) {
  signedOut = callback;
}

function xsrfToken() {
  const pair = document.cookie.split('; ').find((cookie) => cookie.startsWith('XSRF-TOKEN='));
  return pair ? decodeURIComponent(pair.slice('XSRF-TOKEN='.length)) : '';
}

async function send(method, path, body) {
  const headers = { Accept: 'application/json', 'X-Requested-With': 'XMLHttpRequest' };
  if (method !== 'GET') headers['X-XSRF-TOKEN'] = xsrfToken();
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  try {
    return await fetch(path, {
      method,
      headers,
      credentials: 'same-origin',
      cache: 'no-store',
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new ApiError(0);
  }
}

/** A proxy's error page is not JSON; the status still counts. */
async function json(response) {
  return response.status === 204 ? null : response.json().catch(() => ({}));
}

/**
 * One call. The CSRF cookie expires with the session: a 419 gets one fresh cookie and one more try.
 * @returns {Promise<any>} the decoded body, null for 204
 * @throws {ApiError}
 */
export async function request(method, path, body) {
  if (method !== 'GET' && !xsrfToken()) await send('GET', '/sanctum/csrf-cookie');
  let response = await send(method, path, body);
  if (response.status === 419) {
    await send('GET', '/sanctum/csrf-cookie');
    response = await send(method, path, body);
  }
  if (response.ok) return json(response);
  if (response.status === 401 && path !== '/api/user') signedOut();
  throw new ApiError(response.status, (await json(response)) ?? {}, Number(response.headers.get('Retry-After')) || 0);
}

function query(parameters) {
  const present = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return new URLSearchParams(present.map(([name, value]) => [name, String(value)])).toString();
}

export const api = {
  async login(email, password) {
    // A stale token of an earlier session would only cost a 419: fetch a fresh one at once.
    await send('GET', '/sanctum/csrf-cookie');
    return request('POST', '/login', { email, password });
  },
  logout: () => request('POST', '/logout'),
  currentUser: () => request('GET', '/api/user'),
  checkIn: (notes) => request('POST', '/api/attendances/check-in', notes ? { notes } : {}),
  checkOut: () => request('POST', '/api/attendances/check-out', {}),
  /** @returns {Promise<{data: object[], next: number|null}>} one page, newest first */
  attendances: (filter) => request('GET', `/api/attendances?${query(filter)}`),
  attendance: (id) => request('GET', `/api/attendances/${id}`),
  /** @param {{check_in?: string, check_out?: string|null, notes?: string|null, version: number}} change */
  correct: (id, change) => request('PATCH', `/api/attendances/${id}`, change),
  /** @returns {Promise<{data: object[]}>} what was corrected, newest first */
  corrections: (id) => request('GET', `/api/attendances/${id}/corrections`),
  /** Where a browser downloads the records of a filter. */
  csvAddress: (filter) => `/api/attendances/export.csv?${query(filter)}`,
  summary: (date) => request('GET', `/api/attendances/summary?${query({ date })}`),
  /** @returns {Promise<{data: object[], next: number|null}>} one page, newest first */
  users: (filter) => request('GET', `/api/users?${query(filter)}`),
  createUser: (person) => request('POST', '/api/users', person),
  changeUser: (id, change) => request('PATCH', `/api/users/${id}`, change),
  deleteUser: (id) => request('DELETE', `/api/users/${id}`),
};

/** Every page of a list, for views that count what they show. */
export async function allAttendances(filter) {
  const records = [];
  let before;
  do {
    const page = await api.attendances({ ...filter, limit: 200, before });
    records.push(...page.data);
    before = page.next;
  } while (before);
  return records;
}
