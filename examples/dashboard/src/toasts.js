// Owns the short messages in the corner: at most four, each for a few seconds.
import { shallowReactive } from 'vue';
import { clock } from './format.js';
import { t } from './i18n.js';

const SHOWN = 4;
const LIFE_MS = 7000;
let nextId = 1;
let held = false;

/** @type {{id: number, title: string, detail: string, node: number|null, until: number}[]} newest last */
export const toasts = shallowReactive([]);

export function dismiss(id) {
  const index = toasts.findIndex((toast) => toast.id === id);
  if (index >= 0) toasts.splice(index, 1);
}

function expire(id) {
  if (!held) dismiss(id);
}

/** While somebody reads them, with pointer or keyboard, none goes; afterwards those whose time was over do. */
export function hold() {
  held = true;
}

export function release() {
  held = false;
  const now = Date.now();
  toasts.filter(({ until }) => until <= now).forEach(({ id }) => dismiss(id));
}

export function toast(title, detail = '', node = null) {
  const id = nextId;
  nextId += 1;
  toasts.push({ id, title, detail, node, until: Date.now() + LIFE_MS });
  if (toasts.length > SHOWN) toasts.shift();
  setTimeout(() => expire(id), LIFE_MS);
}

/** What an attendance event says to a person. */
export function toastEvent({ attendance, node_id: node, timestamp }) {
  const { version, check_out: checkOut, user } = attendance;
  let key = 'toast.updated';
  if (version === 1) key = 'toast.created';
  else if (version === 2 && checkOut) key = 'toast.out';
  toast(t(key, { name: user.name }), t('toast.detail', { time: clock(timestamp), node }), node);
}
