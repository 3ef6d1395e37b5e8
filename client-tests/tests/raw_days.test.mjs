// @ts-check
// Owns the promise that the date filters of the type dialect mean whole days in the zone of the server.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chatOf, connectType, messages, newChat, sendMessage } from '../clients/type-data.mjs';
import { startServer, storeFile } from '../harness/server.mjs';
import { backdate } from './raw_days.backdate.mjs';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** The day of an instant in a zone, as YYYY-MM-DD. */
const dayIn = (zone, instant) => new Intl.DateTimeFormat('en-CA', {
  timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit',
}).format(instant);

/** Hours since midnight in a zone. */
const hourIn = (zone, instant) => {
  const [hour, minute] = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
  }).format(instant).split(':').map(Number);
  return hour + minute / 60;
};

/** A zone in which it is another day than in UTC, and will be for a while; and one in which it is noon or so. */
const elsewhere = () => {
  const far = ['Pacific/Kiritimati', 'Etc/GMT+12'];
  return far.find((zone) => dayIn(zone, Date.now()) !== dayIn('UTC', Date.now() + HOUR_MS / 2)
    && hourIn(zone, Date.now()) < 23.5) ?? far[0];
};
const noon = () => {
  const zones = Array.from({ length: 24 }, (_, index) => `Etc/GMT${index < 12 ? '-' : '+'}${Math.abs(index - 12)}`);
  return zones.find((zone) => Math.abs(hourIn(zone, Date.now()) - 12) < 1) ?? assert.fail('it is noon nowhere');
};

const filtered = async (who, chat, filter) => (await messages(who, chat, filter)).map(({ text }) => text);

test('a day begins and ends at midnight in the zone of the server, both ends included', async (t) => {
  for (const zone of [elsewhere(), noon(), 'UTC']) {
    const server = await startServer(t, ['--timezone', zone]);
    const alice = await connectType(t, server, 'alice');
    const chat = await chatOf(alice);
    const { timestamp } = await sendMessage(alice, chat, 'now');
    const [before, day, after] = [-DAY_MS, 0, DAY_MS].map((shift) => dayIn(zone, Date.parse(timestamp) + shift));
    const found = { 'the day': [{ date_from: day, date_to: day }, ['now']] };
    found['until the day before'] = [{ date_to: before }, []];
    found['from the day after'] = [{ date_from: after }, []];
    found['from the day before'] = [{ date_from: before, date_to: day }, ['now']];
    found['the wrong way round'] = [{ date_from: after, date_to: before }, []];
    for (const [what, [filter, expected]] of Object.entries(found)) {
      assert.deepEqual(await filtered(alice, chat, filter), expected, `${what} (${day} in ${zone})`);
    }
  }
});

test('nothing, and an empty text, filter nothing', async (t) => {
  const alice = await connectType(t, await startServer(t), 'alice');
  const chat = await chatOf(alice);
  await sendMessage(alice, chat, 'now');
  for (const nothing of [undefined, null, '']) {
    assert.deepEqual(await filtered(alice, chat, { date_from: nothing, date_to: nothing }), ['now']);
  }
  assert.deepEqual(await filtered(alice, await newChat(alice), {}), []);
});

test('words mean the days before today, at either end, and "last" counts within them', async (t) => {
  const zone = noon();
  const { path, store } = await storeFile(t);
  const args = ['--store', store, '--timezone', zone];
  const days = [8, 7, 3, 2, 1, 0];
  let chat;
  for (const [index, old] of days.entries()) {
    const server = await startServer(t, args);
    const alice = await connectType(t, server, 'alice', { token: 'alice' });
    chat ??= await chatOf(alice);
    await sendMessage(alice, chat, `${old}`);
    await server.stop();
    if (old > 0) backdate(path, old - days[index + 1]);
  }
  const server = await startServer(t, args);
  const alice = await connectType(t, server, 'alice', { token: 'alice' });
  const day = (back) => dayIn(zone, Date.now() - back * DAY_MS);
  const table = [
    [{}, '8 7 3 2 1 0'],
    [{ date_from: 'yesterday' }, '1 0'],
    [{ date_from: 'day_before_yesterday' }, '2 1 0'],
    [{ date_from: 'last_7_days' }, '7 3 2 1 0'],
    [{ date_to: 'yesterday' }, '8 7 3 2 1'],
    [{ date_to: 'day_before_yesterday' }, '8 7 3 2'],
    [{ date_to: 'last_7_days' }, '8 7'],
    [{ date_from: 'last_7_days', date_to: 'day_before_yesterday' }, '7 3 2'],
    [{ date_from: 'yesterday', date_to: 'yesterday' }, '1'],
    [{ date_from: day(3), date_to: day(1) }, '3 2 1'],
    [{ date_from: day(6), date_to: day(4) }, ''],
    [{ date_from: 'last_7_days', last: 2 }, '0 1'],
    [{ date_to: 'yesterday', last: 2 }, '1 2'],
  ];
  for (const [filter, expected] of table) {
    assert.equal((await filtered(alice, chat, filter)).join(' '), expected, JSON.stringify(filter));
  }
});
