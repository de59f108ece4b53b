// The recorded behaviour of the official clients, as the protocol crate keeps it.

import fs from 'node:fs';
import path from 'node:path';
import { ROOT } from './kit.mjs';

const all = JSON.parse(fs.readFileSync(path.join(ROOT, 'crates/protocol/tests/vectors.json'), 'utf8'));

/** What a transcript expects. */
export function transcript(id) {
  return all.client_transcripts.find((entry) => entry.id === id).expected;
}

/** Whether a recorded frame needs only what the server can do today. */
export function exists(frame) {
  return !/presence-|encrypted|signin|#server-to-user/.test(frame);
}
