// The day as columns: how many checked in per half hour, and on which node. Pure.

/** Minutes of one column. */
export const SLOT = 30;
const HOUR = 60;
const DAY = 24 * HOUR;
/** The usual working day, which is shown even when little happened. */
const USUAL = { from: 6 * HOUR, to: 18 * HOUR };

/** The hours to show: the usual working day, widened to whatever happened and to now. Minutes since midnight. */
export function rangeOf(minutes, now) {
  const all = [...minutes, now];
  const from = all.reduce((least, minute) => Math.min(least, minute), USUAL.from);
  const to = all.reduce((most, minute) => Math.max(most, minute), USUAL.to - 1);
  return { from: Math.floor(from / HOUR) * HOUR, to: Math.min(DAY, (Math.floor(to / HOUR) + 1) * HOUR) };
}

/**
 * @param {{minute: number, node: number, late: boolean}[]} checkIns
 * @param {number} span minutes of one slot
 * @returns {{minute: number, count: number, late: number, nodes: {node: number, count: number}[]}[]} the slots in which
 *   something happened, earliest first, and in each the nodes by number
 */
export function slotsOf(checkIns, span = SLOT) {
  const slots = new Map();
  for (const { minute, node, late } of checkIns) {
    const start = Math.floor(minute / span) * span;
    const slot = slots.get(start) ?? { minute: start, count: 0, late: 0, nodes: new Map() };
    slot.count += 1;
    slot.late += late ? 1 : 0;
    slot.nodes.set(node, (slot.nodes.get(node) ?? 0) + 1);
    slots.set(start, slot);
  }
  return [...slots.values()].sort((left, right) => left.minute - right.minute).map((slot) => ({
    ...slot,
    nodes: [...slot.nodes].map(([node, count]) => ({ node, count })).sort((left, right) => left.node - right.node),
  }));
}

/** Up to four steps of an axis that reaches at least this far, in round numbers. */
export function stepsOf(most) {
  const rough = Math.max(1, most / 4);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  return Array.from({ length: Math.max(1, Math.ceil(most / step)) }, (_, index) => (index + 1) * step);
}
