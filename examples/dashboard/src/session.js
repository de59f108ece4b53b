// Owns who is signed in on these pages. The session itself is an HttpOnly cookie that no script can read.
import { shallowRef } from 'vue';
import { api, ApiError, onSignedOut } from './api.js';

/** @typedef {{id: number, name: string, email: string, role: 'admin'|'employee'}} User */

/** @type {import('vue').ShallowRef<User|null>} */
export const user = shallowRef(null);
let asked = false;

onSignedOut(() => { user.value = null; });

/**
 * The signed-in user, asked of the server once per page load.
 * @returns {Promise<User|null>}
 */
export async function ensureSession() {
  if (asked) return user.value;
  try {
    user.value = await api.currentUser();
  } catch (error) {
    // Only a clear "no" is remembered: after a network failure the next navigation asks again.
    if (!(error instanceof ApiError) || error.status !== 401) return null;
  }
  asked = true;
  return user.value;
}

export async function signIn(email, password) {
  const answer = await api.login(email, password);
  user.value = answer.user;
  asked = true;
}

export async function signOut() {
  await api.logout();
  user.value = null;
}

export const homeOf = (someone) => (someone?.role === 'admin' ? '/admin/dashboard' : '/attendances');

/** Only a path of these pages is followed after signing in, never another site's address. */
export function safeRedirect(target, fallback) {
  return typeof target === 'string' && /^\/(?![/\\])/.test(target) ? target : fallback;
}
