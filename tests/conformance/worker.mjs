// Runs cases one after the other, in a thread of its own; run.mjs is told of each result.

import { randomInt } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { Case } from './case.mjs';
import { CASES } from './cases/index.mjs';

const { ids, target, patience, comeback } = workerData;
const RUN = randomInt(36 ** 6).toString(36);

/** Whether the server completes a handshake. */
async function answers() {
  const probe = new Case(target, RUN, patience);
  try {
    await probe.connect();
    return true;
  } catch {
    return false;
  } finally {
    await probe.end();
  }
}

/** Waits for a server that ended to be started again, as long as it may take. */
async function comesBack() {
  const end = Date.now() + comeback;
  while (Date.now() < end) {
    await new Promise((resolve) => { setTimeout(resolve, 100); });
    if (await answers()) return true;
  }
  return false;
}

async function run(id) {
  const t = new Case(target, `${RUN}-${ids.indexOf(id)}`, patience);
  try {
    await CASES.find((one) => one.id === id).run(t);
    return undefined;
  } catch (error) {
    return error.stack?.split('\n    at ')[0] ?? String(error);
  } finally {
    await t.end();
  }
}

let dead;
for (const id of ids) {
  const error = await run(id);
  const crashed = Boolean(error) && !(await answers());
  parentPort.postMessage({ id, error, crashed });
  if (crashed && !(await comesBack())) {
    dead = `not run: the server did not answer any more after ${id}`;
    break;
  }
}
parentPort.postMessage({ done: true, dead });
