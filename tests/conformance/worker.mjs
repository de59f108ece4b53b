// Runs cases one after the other, in a thread of its own; run.mjs is told of each result.

import { randomInt } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { Case } from './case.mjs';
import { CASES } from './cases/index.mjs';

const { ids, target, patience } = workerData;
const RUN = randomInt(36 ** 6).toString(36);

/** Whether the server still completes a handshake; asked after each failure. */
async function alive() {
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
  parentPort.postMessage({ id, error });
  if (error && !(await alive())) {
    dead = `not run: the server did not answer any more after ${id}`;
    break;
  }
}
parentPort.postMessage({ done: true, dead });
