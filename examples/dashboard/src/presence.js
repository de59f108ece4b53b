// Who has these pages open: the presence channel `presence-office`, held while somebody is signed in.
import { shallowRef, watch } from 'vue';
import { lostAt, subscribe } from './realtime.js';
import { user } from './session.js';

const CHANNEL = 'presence-office';

/** @type {import('vue').ShallowRef<{id: number, name: string}[]|null>} by name; null while nobody can tell */
export const present = shallowRef(null);

const byName = (left, right) => left.name.localeCompare(right.name) || left.id - right.id;

/** pusher-js keeps the members (a person with two tabs is one); each change is read from there. */
function read(members) {
  const list = [];
  members.each(({ info }) => list.push(info));
  present.value = list.sort(byName);
}

function join() {
  let members = null;
  const changed = () => members && read(members);
  return subscribe(CHANNEL, {}, (all) => {
    members = all;
    read(all);
  }, { member_added: changed, member_removed: changed });
}

/** Joins with each sign-in and leaves with the sign-out; without a connection nobody can tell who is there. */
export function startPresence() {
  let leave = () => {};
  watch(() => user.value?.id, (id) => {
    leave();
    present.value = null;
    leave = id ? join() : () => {};
  }, { immediate: true });
  watch(lostAt, (moment) => { if (moment) present.value = null; });
}
