// Times as people of the installation read them: in its time zone, not the browser's.
import { onBeforeUnmount, ref } from 'vue';
import { timeZone } from './config.js';
import { localeTag, t } from './i18n.js';
import { toWall } from './zone.js';

const formats = new Map();

/** Formatters are costly to build; one per zone, language and kind is enough. */
function format(kind, tag, options) {
  const zone = timeZone();
  const key = `${kind} ${zone} ${tag}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(tag, { timeZone: zone, ...options }));
  return formats.get(key);
}

const CLOCK = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };

export const clock = (moment) => format('clock', localeTag.value, CLOCK).format(new Date(moment));
export const seconds = (moment) => (
  format('seconds', localeTag.value, { ...CLOCK, second: '2-digit' }).format(new Date(moment)));
export const longDate = (moment) => (
  format('long', localeTag.value, { weekday: 'long', day: 'numeric', month: 'long' }).format(new Date(moment)));
export const shortDate = (moment) => (
  format('short', localeTag.value, { weekday: 'short', day: 'numeric', month: 'short' }).format(new Date(moment)));

/** The working day of a moment, YYYY-MM-DD. */
export const dayOf = (moment) => toWall(moment, timeZone()).slice(0, 10);

/** Minutes since local midnight, 0 to 1439. */
export function minuteOfDay(moment) {
  const [hours, minutes] = toWall(moment, timeZone()).slice(11).split(':').map(Number);
  return hours * 60 + minutes;
}

/** The time of a moment, with its day when that is not the given one. */
export const clockOn = (day, moment) => (
  dayOf(moment) === day ? clock(moment) : `${shortDate(moment)}, ${clock(moment)}`);

/** From one moment to another, in words; never negative, whatever the clocks say. */
export function duration(from, to) {
  const total = Math.max(0, Math.floor((new Date(to) - new Date(from)) / 60000));
  const minutes = total % 60;
  const hours = (total - minutes) / 60;
  return t(hours ? 'duration.hours' : 'duration.minutes', { hours, minutes });
}

/** The colour class of a node: six hues, repeated. */
export const hueOf = (node) => `hue-${(((node - 1) % 6) + 6) % 6}`;

/** Period to the shared tick of everybody who asked for it: a hundred rows need one timer, not a hundred. */
const ticks = new Map();

function startTick(everyMs) {
  const now = ref(Date.now());
  const timer = setInterval(() => { now.value = Date.now(); }, everyMs);
  const tick = { now, timer, users: 0 };
  ticks.set(everyMs, tick);
  return tick;
}

/** The present moment in milliseconds, renewed while the component lives. */
export function useNow(everyMs = 15000) {
  const tick = ticks.get(everyMs) ?? startTick(everyMs);
  tick.users += 1;
  onBeforeUnmount(() => {
    tick.users -= 1;
    if (tick.users > 0) return;
    clearInterval(tick.timer);
    ticks.delete(everyMs);
  });
  return tick.now;
}
