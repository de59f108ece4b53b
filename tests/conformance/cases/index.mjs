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

export const CASES = [
  connect, frames, liveness, channels, auth, presence, clientEvents, cache, users, httpAuth, httpEvents, httpQueries,
  options, vectors, clients, field,
].flat();

const ids = CASES.map(({ id }) => id);
const twice = ids.filter((id, index) => ids.indexOf(id) !== index);
if (twice.length) throw new Error(`two cases have the id ${twice}`);
