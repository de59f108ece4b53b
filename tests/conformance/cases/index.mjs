// Every case of the suite, in the order of the protocol.

import { cases as auth } from './auth.mjs';
import { cases as cache } from './cache.mjs';
import { cases as channels } from './channels.mjs';
import { cases as clientEvents } from './client-events.mjs';
import { cases as clients } from './clients.mjs';
import { cases as connect } from './connect.mjs';
import { cases as field } from './field.mjs';
import { cases as frames } from './frames.mjs';
import { cases as httpAuth } from './http-auth.mjs';
import { cases as httpEvents } from './http-events.mjs';
import { cases as httpQueries } from './http-queries.mjs';
import { cases as liveness } from './liveness.mjs';
import { cases as options } from './options.mjs';
import { cases as presence } from './presence.mjs';
import { cases as users } from './users.mjs';
import { cases as vectors } from './vectors.mjs';

/**
 * What neither Pusher documents nor any client needs: decisions of our own, or what other servers may, but need not do.
 * They are no measure for others.
 */
const OWN = [
  'connect.plain-get', 'reject.reason', 'presence.no-info', 'presence.text-and-number', 'presence.first-info-wins',
  'signin.no-auth-echo', 'to-user.unlisted', 'http-auth.encoded-path', 'events.twice-the-same', 'events.null-options',
  'events.unknown-socket-11', 'events.unknown-socket-invalidsocketid', 'events.unknown-socket-empty',
  'events.unknown-socket-12341234privateevil', 'channel.unoccupied-counts', 'channel.bad-name', 'users.nobody',
];

export const CASES = [
  connect, frames, liveness, channels, auth, presence, clientEvents, cache, users, httpAuth, httpEvents, httpQueries,
  options, vectors, clients, field,
].flat().map((one) => (OWN.includes(one.id) ? { ...one, marks: [...one.marks, 'own'] } : one));

const ids = CASES.map(({ id }) => id);
const twice = ids.filter((id, index) => ids.indexOf(id) !== index);
const unknown = OWN.filter((id) => !ids.includes(id));
if (twice.length || unknown.length) throw new Error(`twice: ${twice}, unknown: ${unknown}`);
