// Wall clocks of the installation's time zone, for fields of type datetime-local. Pure.

const MINUTE_MS = 60000;
const formats = new Map();

function wallFormat(zone) {
  if (!formats.has(zone)) {
    formats.set(zone, new Intl.DateTimeFormat('en-CA', {
      timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
    }));
  }
  return formats.get(zone);
}

/** What a clock on the wall shows at a moment: YYYY-MM-DDTHH:mm; '' for no moment. */
export function toWall(moment, zone) {
  if (moment === null || moment === undefined || moment === '') return '';
  const parts = Object.fromEntries(wallFormat(zone).formatToParts(new Date(moment)).map(({ type, value }) => [type, value]));
  return `${parts.year.padStart(4, '0')}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}`;
}

/** How far the zone's clocks are ahead of UTC at a moment, in milliseconds. */
function aheadAt(moment, zone) {
  return Date.parse(`${toWall(moment, zone)}Z`) - Math.floor(moment / MINUTE_MS) * MINUTE_MS;
}

/**
 * The moment at which the clocks of a zone show this, as ISO 8601 UTC; null for '' and for what is no time.
 * An hour that a change of the clocks skips or repeats is taken as one of its two readings.
 */
export function fromWall(wall, zone) {
  const asUtc = Date.parse(`${wall}Z`);
  if (!wall || Number.isNaN(asUtc)) return null;
  const first = asUtc - aheadAt(asUtc, zone);
  return new Date(asUtc - aheadAt(first, zone)).toISOString();
}
