// Section 5: names and kinds of channels, subscribing, unsubscribing, and the events of a channel.

import assert from 'node:assert/strict';
import { assertHolds, isPresence, rule } from '../case.mjs';

/** All kinds there are. */
export const KINDS = {
  public: '',
  private: 'private-',
  presence: 'presence-',
  encrypted: 'private-encrypted-',
  cache: 'cache-',
  'private-cache': 'private-cache-',
  'presence-cache': 'presence-cache-',
  'encrypted-cache': 'private-encrypted-cache-',
};

const everyKind = Object.entries(KINDS).flatMap(([kind, prefix]) => [
  rule(`subscribe.${kind}`, '5.2', `A ${kind} channel can be subscribed to with the auth it asks for`, async (t) => {
    const [wire, channel] = [await t.connect(), t.name(prefix)];
    const { event, data } = (await t.join(wire, channel)).json;
    assert.equal(event, 'pusher_internal:subscription_succeeded');
    assert.equal(typeof data, 'string', 'data is a JSON text');
    if (!isPresence(channel)) assert.equal(data, '{}');
  }),
  rule(`deliver.${kind}`, '5.5', `A published event reaches each subscriber of a ${kind} channel`, async (t) => {
    const channel = t.name(prefix);
    const wires = [await t.member(channel), await t.member(channel), await t.member(channel)];
    await t.publish(channel, 'e', '{"n":1}');
    for (const seen of await t.fence(channel, ...wires)) {
      const events = seen.filter(({ event }) => event === 'e').map(({ json }) => json);
      assert.deepEqual(events, [{ event: 'e', channel, data: '{"n":1}' }]);
    }
  }),
]);

/** Texts that must arrive as they were published. */
const DATA = {
  object: '{"a":1}',
  'spaced-object': '{ "a" :  1.0 }',
  number: '123',
  text: 'plain text, no JSON',
  quoted: '"quoted"',
  empty: '',
  unicode: 'Zoë 😀 \u2028 \u0000 \\ / "',
  escapes: '{"a":"\\u00eb\\/\\ud83d\\ude00"}',
  'nested-json': JSON.stringify({ inner: JSON.stringify({ deep: '\\"' }) }),
  'html': '<script>&amp;</script>',
  'big-number': '12345678901234567890.10',
};

const data = Object.entries(DATA).map(([name, text]) => (
  rule(`data.${name}`, '5.5', `data arrives as published: ${JSON.stringify(text)}`, async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    await t.publish(channel, 'e', text);
    assert.equal((await wire.event('e')).data, text);
  })));

/** Names with each kind of punctuation that is allowed. */
const NAMES = {
  all: '-_=@,.;', dash: 'a-', underscore: '_', equals: '=', at: '@', comma: 'a,b', dot: '.', semicolon: 'a;b',
};

const names = Object.entries(NAMES).map(([name, letters]) => (
  rule(`name.${name}`, '5.1', `The name may hold ${letters}`, async (t) => {
    for (const channel of [`${t.name()}${letters}`, `${t.name('private-')}${letters}`]) {
      const wire = await t.member(channel);
      await t.publish(channel, 'e', 'x');
      assert.equal((await wire.event('e')).channel, channel);
    }
  })));

const BAD_NAMES = {
  slash: 'a/b', colon: 'a:b', space: 'a b', hash: '#a', 'hash-inside': 'a#b', exclamation: 'a!', quote: 'a"b',
  umlaut: 'ä', star: 'a*', newline: 'a\nb', 'auth-string': '1.1:private-a',
};

const badNames = Object.entries(BAD_NAMES).map(([name, text]) => (
  rule(`name.refused-${name}`, '5.1',
    `The name ${JSON.stringify(text)} is refused, to subscribe and to publish`, async (t) => {
    const wire = await t.connect();
    const channel = `${text}${t.name()}`;
    wire.send({ event: 'pusher:subscribe', data: { channel } });
    await t.refused(wire, 4009);
    const answer = await t.api('POST', '/events', { body: { name: 'e', data: '', channels: [channel] } });
    assert.equal(answer.status, 400, answer.text);
  }, { marks: ['auth'] })));

/** Names that only look like another kind. */
const LOOKALIKES = ['privateer', 'presenceless', 'cached', 'private', 'presence', 'cache', 'a-private-b', 'x-cache-y'];

const lookalikes = LOOKALIKES.map((start) => (
  rule(`name.lookalike-${start}`, '5.2', `${start}… is a public channel, kinds end with a dash`, async (t) => {
    const wire = await t.connect();
    const channel = `${start}${t.name().replaceAll('-', '_')}`;
    wire.send({ event: 'pusher:subscribe', data: { channel } });
    assert.equal((await wire.event('pusher_internal:subscription_succeeded')).data, '{}');
    await wire.nothing();
  })));

/** The longest name is taken, one more letter is refused. */
function longest(profile, limit) {
  return rule(`name.longest-${profile}`, '17', `A name has at most ${limit} characters`, async (t) => {
    const wire = await t.connect();
    const channel = t.name().padEnd(limit, 'x');
    await t.join(wire, channel);
    await t.publish(channel, 'e');
    await wire.event('e');
    wire.send({ event: 'pusher:subscribe', data: { channel: `${channel}x` } });
    await t.refused(wire, 4009);
    const answer = await t.api('POST', '/events', { body: { name: 'e', data: '', channels: [`${channel}x`] } });
    assert.equal(answer.status, 400, answer.text);
  }, { profile });
}

const sent = (channel) => ({ event: 'pusher:subscribe', data: { channel } });
const unsubscribe = (channel) => ({ event: 'pusher:unsubscribe', data: { channel } });

export const cases = [
  ...everyKind,
  ...data,
  ...names,
  ...badNames,
  ...lookalikes,
  longest('reverb', 200),
  longest('pusher', 164),
  rule('subscribe.auth-null', '5.3', 'auth and channel_data of a public channel may be null or absent', async (t) => {
    const wire = await t.connect();
    for (const more of [{}, { auth: null, channel_data: null }, { auth: '' }, { auth: 'nonsense' }]) {
      const channel = t.name();
      wire.send({ event: 'pusher:subscribe', data: { ...more, channel } });
      assert.equal((await wire.event('pusher_internal:subscription_succeeded')).channel, channel);
    }
  }, { marks: ['crash'] }),
  rule('subscribe.again', '5.3',
    'A repeated subscription is confirmed again and delivers each event once', async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    await t.join(wire, channel);
    await t.publish(channel, 'e');
    const [seen] = await t.fence(channel, wire);
    assert.deepEqual(seen.map(({ event }) => event), ['e']);
  }),
  rule('subscribe.again-then-leave', '5.3', 'One unsubscribe ends a subscription that was made twice', async (t) => {
    const channel = t.name();
    const [wire, other] = [await t.member(channel), await t.member(channel)];
    await t.join(wire, channel);
    wire.send(unsubscribe(channel));
    await wire.settle();
    await t.publish(channel, 'e');
    await other.event('e');
    await wire.nothing();
  }),
  rule('subscribe.many', '5.3', 'A connection may be in 200 channels', async (t) => {
    const wire = await t.connect();
    const channels = Array.from({ length: 200 }, () => t.name());
    channels.forEach((channel) => wire.send(sent(channel)));
    assert.deepEqual((await wire.settle()).map(({ channel }) => channel), channels);
    await t.publish(channels[199], 'e');
    await wire.event('e');
  }),
  rule('subscribe.before-events', '5.3',
    'No event of a channel comes before its confirmation, none after it is lost', async (t) => {
    const channel = t.name();
    for (let round = 0; round < 10; round += 1) {
      const wire = await t.connect();
      wire.send(sent(channel));
      const published = t.publish(channel, 'e', String(round));
      const first = await wire.next();
      assert.equal(first.event, 'pusher_internal:subscription_succeeded');
      await published;
      const [seen] = await t.fence(channel, wire);
      assert.ok(seen.every(({ event }) => event === 'e'));
      wire.drop();
    }
  }),
  rule('subscribe.leaves-no-trace', '5.3', 'A subscription that was refused leaves no channel behind', async (t) => {
    const [wire, channel] = [await t.connect(), t.name('private-')];
    wire.send({ event: 'pusher:subscribe', data: { auth: 'x:y', channel } });
    await wire.next('a refusal');
    assertHolds(await t.get(`/channels/${channel}`), { occupied: false });
  }),
  rule('unsubscribe.silent', '5.4', 'unsubscribe is not answered', async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    wire.send(unsubscribe(channel));
    await wire.nothing();
  }),
  rule('unsubscribe.ends-delivery', '5.4', 'After unsubscribe nothing of the channel comes', async (t) => {
    const channel = t.name();
    const [wire, other] = [await t.member(channel), await t.member(channel)];
    wire.send(unsubscribe(channel));
    await wire.settle();
    await t.publish(channel, 'e');
    await t.fence(channel, other);
    await wire.nothing();
  }),
  rule('unsubscribe.unknown', '5.4', 'unsubscribe of a channel the client is not in is ignored', async (t) => {
    const wire = await t.connect();
    wire.send(unsubscribe(t.name()));
    await wire.nothing();
  }),
  rule('unsubscribe.empties', '5.4', 'A channel without subscribers is not occupied', async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    assert.equal((await t.get(`/channels/${channel}`)).occupied, true);
    wire.send(unsubscribe(channel));
    await wire.settle();
    assert.equal((await t.get(`/channels/${channel}`)).occupied, false);
  }),
  rule('unsubscribe.by-closing', '5.4', 'The end of a connection ends its subscriptions', async (t) => {
    const [closed, dropped] = [t.name(), t.name()];
    const [wire, other] = [await t.member(closed), await t.member(dropped)];
    wire.close();
    other.drop();
    for (const channel of [closed, dropped]) {
      await t.until(async () => !(await t.get(`/channels/${channel}`)).occupied, `${channel} is empty`);
    }
  }),
  rule('subscribe.after-leaving', '5.4', 'A channel that was left can be joined again', async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    wire.send(unsubscribe(channel));
    await t.join(wire, channel);
    await t.publish(channel, 'e');
    await wire.event('e');
  }),
  rule('deliver.other-channel', '5.5', 'An event reaches nobody who is in another channel', async (t) => {
    const [one, two] = [t.name(), t.name()];
    const [wire, other] = [await t.member(one), await t.member(two)];
    await t.publish(one, 'e');
    await wire.event('e');
    await t.nobodyHeard(two, other);
  }),
  rule('deliver.case-matters', '5.1', 'Channel names differ by case', async (t) => {
    const channel = t.name('a');
    const wire = await t.member(channel);
    await t.publish(channel.toUpperCase(), 'e');
    await t.nobodyHeard(channel, wire);
  }),
  rule('deliver.order', '5.5', 'Events of one publisher arrive in the order they were published', async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    for (let n = 0; n < 30; n += 1) await t.publish(channel, 'e', String(n));
    const [seen] = await t.fence(channel, wire);
    assert.deepEqual(seen.map(({ data: text }) => text), Array.from({ length: 30 }, (_, n) => String(n)));
  }),
  rule('deliver.event-names', '14', 'Event names pass unchanged, whatever is in them', async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    const all = ['App\\Events\\OrderShipped', 'a b', 'é 😀', '.x', 'client-e', '"', 'pusher', 'x'.repeat(200)];
    for (const name of all) {
      await t.publish(channel, name);
      assert.equal((await wire.next()).event, name);
    }
  }),
];
