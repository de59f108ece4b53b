// Sections 11 and 16: what an app has only if it is switched on.

import assert from 'node:assert/strict';
import { rule } from '../case.mjs';

const COUNT = 'pusher_internal:subscription_count';
const counts = ['subscription-count'];
const hooks = ['webhooks'];
const leave = (channel) => ({ event: 'pusher:unsubscribe', data: { channel } });
const person = (id) => JSON.stringify({ user_id: id });

/** Every webhook that came, as the library reads it: {event, valid, headers}. */
async function webhooks(t) {
  const seen = await (await fetch(t.target.sink)).json();
  return seen.flatMap(({ headers, body }) => {
    const webhook = t.library().webhook({ headers, rawBody: body });
    const valid = webhook.isValid();
    return (valid ? webhook.getEvents() : JSON.parse(body).events).map((event) => ({ event, valid, headers }));
  });
}

/** The first webhook of that name about a channel. */
function webhook(t, name, channel) {
  return t.until(async () => (
    (await webhooks(t)).find(({ event }) => event.name === name && event.channel === channel)), `the webhook ${name}`);
}

async function posted(t, expected) {
  const { event, valid } = await webhook(t, expected.name, expected.channel);
  assert.deepEqual(event, expected);
  assert.ok(valid, 'the library takes it for genuine');
}

const subscriptionCount = [
  rule('count.told', '11', 'All subscribers are told how many they are, after each change', async (t) => {
    const channel = t.name();
    const first = await t.member(channel);
    const told = async (wire) => (await wire.event(COUNT)).content.subscription_count;
    assert.equal(await told(first), 1);
    const second = await t.member(channel);
    assert.deepEqual([await told(first), await told(second)], [2, 2]);
    second.send(leave(channel));
    assert.equal(await told(first), 1);
  }, { needs: counts }),
  rule('count.shape', '11', 'It names its channel, and data is a JSON text', async (t) => {
    const channel = t.name();
    const told = await (await t.member(channel)).event(COUNT);
    assert.deepEqual(told.json, { event: COUNT, channel, data: '{"subscription_count":1}' });
  }, { needs: counts }),
  rule('count.not-presence', '11', 'In presence channels it is not told', async (t) => {
    await (await t.member(t.name('presence-'))).nothing();
  }, { needs: counts }),
  rule('count.off', '11', 'Where it is not switched on nothing is told', async (t) => {
    const channel = t.name();
    const wire = await t.member(channel);
    await t.member(channel);
    await t.nobodyHeard(channel, wire);
  }, { needs: ['no subscription-count'] }),
];

const posts = [
  rule('webhook.channel_occupied', '16', 'The first subscriber of a channel', async (t) => {
    const channel = t.name();
    await t.member(channel);
    await posted(t, { name: 'channel_occupied', channel });
  }, { needs: hooks }),
  rule('webhook.channel_vacated', '16', 'The last subscriber of a channel has left', async (t) => {
    const channel = t.name();
    (await t.member(channel)).close();
    await posted(t, { name: 'channel_vacated', channel });
  }, { needs: hooks }),
  rule('webhook.member_added', '16', 'The first connection of a member', async (t) => {
    const channel = t.name('presence-');
    await t.member(channel, person('10'));
    await posted(t, { name: 'member_added', channel, user_id: '10' });
  }, { needs: hooks }),
  rule('webhook.member_removed', '16', 'The last connection of a member has left', async (t) => {
    const channel = t.name('presence-');
    const wire = await t.member(channel, person('10'));
    await t.member(channel, person('11'));
    wire.close();
    await posted(t, { name: 'member_removed', channel, user_id: '10' });
  }, { needs: hooks }),
  rule('webhook.client_event', '16', 'A client event, with the user in presence channels', async (t) => {
    const channel = t.name('presence-');
    const wire = await t.member(channel, person('10'));
    wire.send({ event: 'client-e', data: { x: 1 }, channel });
    const { id } = wire;
    const event = { event: 'client-e', data: '{"x":1}', socket_id: id, user_id: '10' };
    await posted(t, { name: 'client_event', channel, ...event });
  }, { needs: [...hooks, 'client-events'] }),
  rule('webhook.cache_miss', '16', 'A subscription to a cache channel that holds nothing', async (t) => {
    const channel = t.name('cache-');
    await t.member(channel);
    await posted(t, { name: 'cache_miss', channel });
  }, { needs: hooks }),
  rule('webhook.subscription_count', '16', 'The number of subscribers', async (t) => {
    const channel = t.name();
    await t.member(channel);
    await posted(t, { name: 'subscription_count', channel, subscription_count: 1 });
  }, { needs: [...hooks, ...counts] }),
  rule('webhook.headers', '16', 'Content-Type is just application/json, X-Pusher-Key the key', async (t) => {
    const channel = t.name();
    await t.member(channel);
    const { headers } = await webhook(t, 'channel_occupied', channel);
    assert.deepEqual([headers['content-type'], headers['x-pusher-key']], ['application/json', t.target.key]);
  }, { needs: hooks }),
  rule('webhook.order', '16', 'Webhooks of one channel come in their order', async (t) => {
    const channel = t.name();
    (await t.member(channel)).close();
    await webhook(t, 'channel_vacated', channel);
    const own = (await webhooks(t)).map(({ event }) => event).filter((event) => event.channel === channel);
    const names = own.map(({ name }) => name).filter((name) => name !== 'subscription_count');
    assert.deepEqual(names, ['channel_occupied', 'channel_vacated']);
  }, { needs: hooks }),
];

export const cases = [...subscriptionCount, ...posts];
