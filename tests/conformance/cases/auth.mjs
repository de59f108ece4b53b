// Section 5.3: who gets into a channel. Every kind of channel that asks for a signature × every way in.

import assert from 'node:assert/strict';
import { isPresence, rule } from '../case.mjs';
import { channelAuth, userAuth } from '../target.mjs';
import { KINDS } from './channels.mjs';

const MEMBER = '{"user_id":"10","user_info":{"name":"A"}}';
const marks = ['auth'];

/** What a client sends that must not be let in; undefined fields are left out. */
const WRONG = {
  'no-auth': () => ({ auth: undefined }),
  'null-auth': () => ({ auth: null }),
  'empty-auth': () => ({ auth: '' }),
  'no-key': ({ auth }) => ({ auth: auth.split(':')[1] }),
  'empty-key': ({ auth }) => ({ auth: `:${auth.split(':')[1]}` }),
  'foreign-key': ({ auth }) => ({ auth: `otherkey:${auth.split(':')[1]}` }),
  'empty-signature': ({ target }) => ({ auth: `${target.key}:` }),
  'short-signature': ({ auth }) => ({ auth: auth.slice(0, -1) }),
  'long-signature': ({ auth }) => ({ auth: `${auth}0` }),
  'upper-case': ({ auth, target }) => ({ auth: `${target.key}:${auth.split(':')[1].toUpperCase()}` }),
  'other-secret': ({ target, id, channel, member }) => ({
    auth: channelAuth({ ...target, secret: `${target.secret}x` }, id, channel, member),
  }),
  'key-as-secret': ({ target, id, channel, member }) => ({
    auth: channelAuth({ ...target, secret: target.key }, id, channel, member),
  }),
  'other-socket': ({ target, otherId, channel, member }) => ({ auth: channelAuth(target, otherId, channel, member) }),
  'other-channel': ({ target, id, channel, member }) => ({ auth: channelAuth(target, id, `${channel}x`, member) }),
  'public-twin': ({ target, id, channel, member }) => ({
    auth: channelAuth(target, id, channel.replace(/^(private|presence)-/, ''), member),
  }),
  'user-signature': ({ target, id, member }) => ({ auth: userAuth(target, id, member ?? '{"id":"1"}') }),
};

/** Ways in that concern channel_data. */
const WRONG_DATA = {
  'data-added': { of: 'signed', make: ({ target, id, channel }) => ({
    auth: channelAuth(target, id, channel), channel_data: MEMBER,
  }) },
  'data-dropped': { of: 'any', make: ({ target, id, channel }) => ({
    auth: channelAuth(target, id, channel, MEMBER), channel_data: undefined,
  }) },
  'data-changed': { of: 'any', make: ({ target, id, channel }) => ({
    auth: channelAuth(target, id, channel, MEMBER), channel_data: MEMBER.replace('10', '11'),
  }) },
  'data-respaced': { of: 'any', make: ({ target, id, channel }) => ({
    auth: channelAuth(target, id, channel, MEMBER), channel_data: MEMBER.replaceAll(':', ': '),
  }) },
};

/** The subscription is refused with 4009, the connection stays, and no event of the channel comes. */
async function staysOut(t, prefix, make) {
  const channel = t.name(prefix);
  const inside = await t.member(channel);
  await t.fence(channel, inside);
  const [other, wire] = [await t.connect(), await t.connect()];
  const member = isPresence(channel) ? MEMBER : undefined;
  const auth = channelAuth(t.target, wire.id, channel, member);
  const changed = make({ target: t.target, id: wire.id, otherId: other.id, channel, member, auth });
  wire.send({ event: 'pusher:subscribe', data: { auth, channel, channel_data: member, ...changed } });
  await t.refused(wire, 4009);
  await t.publish(channel, 'secret');
  const [seen] = await t.fence(channel, inside);
  assert.deepEqual(seen.map(({ event }) => event), ['secret'], 'those inside notice nothing');
  await wire.nothing();
}

const signedKinds = Object.entries(KINDS).filter(([, prefix]) => /^(private|presence)-/.test(prefix));

const everyWay = signedKinds.flatMap(([kind, prefix]) => [
  ...Object.entries(WRONG).map(([way, make]) => (
    rule(`auth.${kind}.${way}`, '5.3',
      `${kind}: ${way.replaceAll('-', ' ')} stays out`, (t) => staysOut(t, prefix, make), {
      marks,
    }))),
  ...Object.entries(WRONG_DATA).filter(([, { of }]) => of === 'any' || !isPresence(prefix)).map(([way, { make }]) => (
    rule(`auth.${kind}.${way}`, '5.3',
      `${kind}: ${way.replaceAll('-', ' ')} stays out`, (t) => staysOut(t, prefix, make), {
      marks,
    }))),
]);

const privateKinds = signedKinds.filter(([, prefix]) => !isPresence(prefix));

const signedData = privateKinds.map(([kind, prefix]) => (
  rule(`auth.${kind}.signed-data`, '5.3', `${kind}: channel_data is let in when it is signed, too`, async (t) => {
    const wire = await t.connect();
    assert.equal((await t.join(wire, t.name(prefix), MEMBER)).data, '{}');
  })));

/** Rightly signed, and still no member. */
const NOBODY = {
  'no-json': 'no JSON', array: '[1]', text: '"10"', 'no-user-id': '{"user_info":{}}',
  'null-user-id': '{"user_id":null}', 'object-user-id': '{"user_id":{}}', empty: '',
};

const nobody = Object.entries(NOBODY).map(([name, data]) => (
  rule(`auth.presence.member-${name}`, '6',
    `Signed channel_data \`${data}\` is refused, it names no user`, async (t) => {
    const [wire, channel] = [await t.connect(), t.name('presence-')];
    wire.send(t.subscription(wire, channel, data));
    await t.refused(wire, 4009);
    assert.equal((await t.get(`/channels/${channel}`)).occupied, false);
  }, { marks: ['auth', 'crash'] })));

export const cases = [
  ...everyWay,
  ...signedData,
  ...nobody,
  rule('auth.presence.nameless', '6',
    'A signature without channel_data lets nobody into a presence channel unless signed in',
    async (t) => {
      const [wire, channel] = [await t.connect(), t.name('presence-')];
      wire.send(t.subscription(wire, channel));
      await t.refused(wire, 4009);
    }, { marks }),
  rule('auth.words', '4', 'A refused signature says "Connection is unauthorized"', async (t) => {
    const wire = await t.connect();
    wire.send({ event: 'pusher:subscribe', data: { auth: 'a:b', channel: t.name('private-') } });
    assert.equal((await wire.event('pusher:error')).content.message, 'Connection is unauthorized');
  }, { profile: 'reverb' }),
  rule('auth.secret-unsaid', '4', 'No refusal tells the secret or the right signature', async (t) => {
    const [wire, channel] = [await t.connect(), t.name('private-')];
    wire.send({ event: 'pusher:subscribe', data: { auth: `${t.target.key}:00`, channel } });
    const [, signature] = channelAuth(t.target, wire.id, channel).split(':');
    const { text } = await wire.event('pusher:error');
    assert.ok(!text.includes(signature) && !text.includes(t.target.secret), text);
  }, { marks }),
  rule('auth.once-more', '5.3', 'A repeated subscription is checked again', async (t) => {
    const channel = t.name('private-');
    const wire = await t.member(channel);
    wire.send({ event: 'pusher:subscribe', data: { auth: 'a:b', channel } });
    await t.refused(wire, 4009);
  }, { marks }),
  rule('auth.after-reconnect', '5.3', 'A signature is worth nothing on the next connection', async (t) => {
    const channel = t.name('private-');
    const first = await t.connect();
    const admitted = t.subscription(first, channel);
    first.close();
    await first.closed();
    const next = await t.connect();
    next.send(admitted);
    await t.refused(next, 4009);
  }, { marks }),
  rule('auth.right-after-wrong', '5.3', 'After a refusal the right signature is let in', async (t) => {
    const [wire, channel] = [await t.connect(), t.name('private-')];
    wire.send({ event: 'pusher:subscribe', data: { auth: 'a:b', channel } });
    await wire.next('a refusal');
    await t.join(wire, channel);
  }),
  rule('auth.publish-to-unjoined', '7', 'A refused client cannot send client events into the channel', async (t) => {
    const channel = t.name('private-');
    const [inside, wire] = [await t.member(channel), await t.connect()];
    wire.send({ event: 'pusher:subscribe', data: { auth: 'a:b', channel } });
    wire.send({ event: 'client-e', channel, data: {} });
    const errors = await wire.settle();
    assert.deepEqual(errors.map(({ event }) => event), ['pusher:error', 'pusher:error']);
    await t.nobodyHeard(channel, inside);
  }, { marks }),
];
