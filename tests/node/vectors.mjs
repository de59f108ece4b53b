// The recorded behaviour of the official clients, as the protocol crate keeps it.

import fs from 'node:fs';
import path from 'node:path';
import { ROOT } from './kit.mjs';

const all = JSON.parse(fs.readFileSync(path.join(ROOT, 'crates/protocol/tests/vectors.json'), 'utf8'));

/** What a transcript expects. */
export function transcript(id) {
  return all.client_transcripts.find((entry) => entry.id === id).expected;
}

/** A vector of requests and signatures, or `app`: whose secrets they are made with. */
export function vector(id) {
  return id === 'app' ? all.app : all.vectors.find((entry) => entry.id === id);
}

/** Frames without what differs each time: the signatures. */
export function unsigned(frames) {
  return frames.map((frame) => frame.replace(/"auth":"[^"]+"/, '"auth":"…"'));
}

/** Recorded requests to a back end for another socket id. */
export function requestsOf(id, socketId) {
  return transcript(id).requests.map((request) => ({
    csrf: undefined,
    authz: undefined,
    ...request,
    body: request.body.replace(/socket_id=[\d.]+/, `socket_id=${socketId}`),
  }));
}
