// @ts-check
// Owns the promise about metrics: they count exactly, are served to authorized clients only, and have documented names.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import * as action from '../clients/action.mjs';
import { RawClient, RawPolling } from '../clients/engineio.mjs';
import { chatOf, connectUser, connectUsers, flushInboxes, sendMessage, sendMany } from '../clients/fixtures.mjs';
import { NAMESPACE, enterSocketIo, enterWebSocket, flush } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, connect, connectRefused, refusal } from '../clients/socketio.mjs';
import * as type from '../clients/type-data.mjs';
import { PATH, dial, refusedWith } from '../clients/websocket.mjs';
import { Metrics, fetchMetrics, scrape } from '../harness/metrics.mjs';
import { freePort, runToEnd, startServer } from '../harness/server.mjs';
import { SECRET, now, token } from '../harness/tokens.mjs';
import { eventually } from '../harness/wait.mjs';

const DIALECTS = ['event-name', 'action', 'type', 'marketplace'];

/** Scrapes until `check` of the metrics is truthy: the metrics. */
async function scrapeUntil(server, check, what) {
  let scraped;
  const checked = async () => {
    scraped = await scrape(server);
    return check(scraped);
  };
  await eventually(checked, what);
  return scraped;
}

const connections = (scraped, labels) => scraped.of('polychat_connections', labels);
const present = (server, count) => scrapeUntil(server, (scraped) => connections(scraped) === count, `${count} are connected`);
const noneLeft = (server) => scrapeUntil(server, (scraped) => connections(scraped) === 0, 'nobody is connected');
const sends = (scraped, before, dialect) => ({
  commands: scraped.since(before, 'polychat_commands_total', { dialect, command: 'send_message' }),
  acknowledged: scraped.since(before, 'polychat_acknowledgement_seconds_count', { dialect }),
});

/** The metrics once so many answers are counted: each is just after it was queued, so its client may have it before. */
const acknowledged = (server, before, dialect, count) => scrapeUntil(
  server, (scraped) => sends(scraped, before, dialect).acknowledged >= count, `${count} are acknowledged`,
);

/** A sender of each dialect in a chat of two. */
const SENDERS = {
  'event-name': async (t, server) => {
    const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
    const chat = await chatOf(anna, boris);
    return {
      sendMessage: (words) => sendMessage(anna, chat, words),
      received: () => boris.inbox.until(3),
      receivers: 2, // the sender receives it, too
      leave: () => [anna, boris].forEach(({ socket }) => socket.close()),
    };
  },
  action: async (t, server) => {
    const anna = await action.connectAction(t, server, 'anna', { acks: true });
    const boris = await action.connectAction(t, server, 'boris');
    const pk = await action.newRoom(anna);
    for (const who of [anna, boris]) await action.enter(who, pk);
    return {
      sendMessage: (words) => action.ask(anna, 'create_message', { pk, message: words }),
      received: () => action.untilReceived(boris, 'three'),
      receivers: 2,
      leave: () => [anna, boris].forEach(({ wire }) => wire.close()),
    };
  },
  type: async (t, server) => {
    const [anna, boris] = [await type.connectType(t, server, 'anna'), await type.connectType(t, server, 'boris', { push: true })];
    const chat = await type.chatOf(anna, boris);
    return {
      sendMessage: (words) => type.sendMessage(anna, chat, words),
      received: () => boris.wire.untilMany(({ type: kind }) => kind === 'messageCreated', 3, 'messages'),
      receivers: 1, // the sender has it in its answer
      leave: () => [anna, boris].forEach(({ wire }) => wire.close()),
    };
  },
  marketplace: async (t, server) => {
    const backend = new Backend(server);
    const [owner, guest] = [await backend.user('owner'), await backend.user('guest')];
    const { chatId } = await backend.eventChat(await backend.event(owner), guest);
    const [anna, boris] = [await enterSocketIo(t, server, owner), await enterWebSocket(t, server, guest)];
    return {
      sendMessage: (words) => anna.ask('send_message', { chatId, message: { text: words } }),
      received: () => boris.until(({ frames }) => frames.filter((frame) => frame.event === 'chat_updates').length >= 3, '3'),
      receivers: 2,
      leave: () => [anna, boris].forEach((connection) => connection.close()),
    };
  },
};

describe('what was done is counted, in every dialect', () => {
  for (const dialect of DIALECTS) {
    test(`${dialect}: three messages are three of everything, and nobody is left at the end`, async (t) => {
      const server = await startServer(t);
      const sender = await SENDERS[dialect](t, server);
      const before = await scrape(server);
      assert.equal(connections(before, { dialect }), 2);
      for (const words of ['one', 'two', 'three']) await sender.sendMessage(words);
      await sender.received();

      const delivered = (scraped) => scraped.since(before, 'polychat_deliveries_total', { dialect });
      await acknowledged(server, before, dialect, 3);
      const after = await scrapeUntil(server, (scraped) => delivered(scraped) >= 3 * sender.receivers, 'all is delivered');
      assert.deepEqual(sends(after, before, dialect), { commands: 3, acknowledged: 3 });
      assert.equal(delivered(after), 3 * sender.receivers);
      assert.equal(after.since(before, 'polychat_delivery_seconds_count', { dialect }), 3 * sender.receivers);
      assert.equal(after.since(before, 'polychat_messages_stored_total'), 3);
      assert.equal(after.since(before, 'polychat_append_batch_messages_sum'), 3);
      assert.equal(after.since(before, 'polychat_store_seconds_count', { operation: 'append' }), 3);
      assert.equal(after.of('polychat_append_queue'), 0);
      assert.equal(after.of('polychat_outbox_bytes'), 0);
      for (const other of DIALECTS.filter((each) => each !== dialect)) {
        assert.deepEqual(sends(after, before, other), { commands: 0, acknowledged: 0 });
      }

      sender.leave();
      const end = await noneLeft(server);
      assert.equal(end.since(before, 'polychat_connections_closed_total', { reason: 'gone' }), 2);
      assert.equal(end.of('polychat_connections_closed_total'), end.of('polychat_connections_opened_total'));
    });
  }

  test('a server on the local bus is the only node, and neither publishes nor receives', async (t) => {
    const server = await startServer(t, ['--store', 'sqlite::memory:']);
    const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
    await sendMessage(anna, await chatOf(anna, boris), 'one');
    const scraped = await scrape(server);
    assert.equal(scraped.of('polychat_messages_stored_total'), 1);
    assert.equal(scraped.of('polychat_nodes'), 1);
    for (const name of [
      'bus_lag_seconds', 'bus_owed', 'bus_published_total', 'bus_received_total', 'bus_relevant_total', 'bus_gaps_total', 'resyncs_total',
    ]) {
      assert.ok(scraped.names.has(`polychat_${name}`), name);
      assert.equal(scraped.of(`polychat_${name}`), 0, name);
    }
  });

  test('rest: three messages are three commands, acknowledged', async (t) => {
    const server = await startServer(t);
    const backend = new Backend(server);
    const user = await backend.user('anna');
    const chat = await backend.chat(user);
    const before = await scrape(server);
    for (const text of ['one', 'two', 'three']) await backend.sendMessage(chat, user, text);
    const after = await acknowledged(server, before, 'rest', 3);
    assert.deepEqual(sends(after, before, 'rest'), { commands: 3, acknowledged: 3 });
    assert.equal(after.since(before, 'polychat_messages_stored_total'), 3);
    assert.equal(connections(after), 0);
  });

  test('a repeated message is acknowledged, and stored once', async (t) => {
    const server = await startServer(t);
    const anna = await connectUser(t, server, 'anna');
    const chat = await chatOf(anna);
    const before = await scrape(server);
    for (let tries = 0; tries < 3; tries++) await sendMessage(anna, chat, 'once', { client_id: 'the same' });
    const after = await acknowledged(server, before, 'event-name', 3);
    assert.deepEqual(sends(after, before, 'event-name'), { commands: 3, acknowledged: 3 });
    assert.equal(after.since(before, 'polychat_messages_stored_total'), 1);
  });
});

describe('errors are counted by dialect and code', () => {
  const NOBODY = '01900000-0000-7000-8000-000000000000';
  const errors = (scraped, before, dialect) => Object.fromEntries(
    ['invalid', 'unauthenticated', 'forbidden', 'not_found', 'conflict', 'too_large', 'internal', 'unavailable']
      .map((code) => [code, scraped.since(before, 'polychat_errors_total', { dialect, code })])
      .filter(([, count]) => count !== 0),
  );
  const all = (scraped, before) => scraped.since(before, 'polychat_errors_total');
  /** The metrics once so many errors are counted: each is just after it was queued. */
  const counted = (server, before, count) => scrapeUntil(server, (scraped) => all(scraped, before) >= count, `${count} errors`);

  const WRONGS = {
    'event-name': async (t, server) => {
      const { socket } = await connectUser(t, server, 'anna');
      return async () => {
        assert.equal((await refusal(socket, 'no-such-event', {})).code, 'invalid');
        assert.equal((await refusal(socket, 'new-message', { room: NOBODY, msg: 'x' })).code, 'not_found');
      };
    },
    action: async (t, server) => {
      const anna = await action.connectAction(t, server, 'anna');
      return async () => {
        anna.wire.sendText('{ no JSON');
        await anna.wire.take();
        await action.refusal(anna, 'retrieve', { pk: 99 }, 404);
      };
    },
    type: async (t, server) => {
      const anna = await type.connectType(t, server, 'anna');
      return async () => {
        anna.wire.sendText('[]');
        await anna.wire.take();
        assert.equal((await type.refusal(anna, 'getChatDetails', { chatId: 99 })).code, 'not_found');
      };
    },
    marketplace: async (t, server) => {
      const backend = new Backend(server);
      const anna = await enterWebSocket(t, server, await backend.user('anna'));
      return async () => {
        await flush(anna); // a request of no name
        anna.send('load_history', { chatId: NOBODY, lastMessageId: 1 });
        assert.equal((await anna.next('debug_info')).code, 'not_found');
      };
    },
    rest: async (t, server) => {
      const backend = new Backend(server);
      return async () => {
        await backend.refused(400, 'invalid', 'POST', '/users', {});
        await backend.refused(404, 'not_found', 'GET', `/chats/${NOBODY}`);
      };
    },
  };

  for (const [dialect, wrong] of Object.entries(WRONGS)) {
    test(`${dialect}: what is malformed and what is not there`, async (t) => {
      const server = await startServer(t);
      const doWrong = await wrong(t, server);
      const before = await scrape(server);
      await doWrong();
      const after = await counted(server, before, 2);
      assert.deepEqual(errors(after, before, dialect), { invalid: 1, not_found: 1 });
      assert.equal(all(after, before), 2);
    });
  }

  test('a binary frame is an invalid one', async (t) => {
    const server = await startServer(t);
    const anna = await type.connectType(t, server, 'anna');
    const before = await scrape(server);
    anna.wire.sendBinary(Buffer.from([1, 2, 3]));
    await anna.wire.take();
    assert.deepEqual(errors(await counted(server, before, 1), before, 'type'), { invalid: 1 });
  });
});

test('a `sync` is counted like every command, and so is what a connection begins with', async (t) => {
  const server = await startServer(t);
  const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
  const chat = await chatOf(anna, boris);
  const typist = await type.connectType(t, server, 'typist');
  const actor = await action.connectAction(t, server, 'actor', { acks: true });
  const before = await scrape(server);
  await ask(anna.socket, 'sync', { chats: { [chat.id]: 0 } });
  await ask(anna.socket, 'sync', { chats: {} });
  await type.ask(typist, 'sync', { chats: {} }, 'sync');
  await action.ask(actor, 'sync', { chats: {} });
  await connect(t, server.url, { auth: { token: anna.user.externalUserId, since: { [chat.id]: 0 } } });
  const after = await scrape(server);
  const synced = (dialect) => after.since(before, 'polychat_commands_total', { dialect, command: 'sync' });
  assert.deepEqual([synced('event-name'), synced('type'), synced('action')], [3, 1, 1]);
});

describe('a connection is counted while it is there', () => {
  test('on the shared path it is undecided until its first frame', async (t) => {
    const server = await startServer(t);
    const wire = await dial(t, server, PATH.either, { token: 'anna' });
    const labels = (dialect) => ({ dialect, transport: 'raw' });
    await scrapeUntil(server, (scraped) => connections(scraped, labels('undecided')) === 1, 'it is undecided');
    await wire.ask({ type: 'getChats', data: {} });
    const scraped = await scrape(server);
    assert.equal(connections(scraped, labels('undecided')), 0);
    assert.equal(connections(scraped, labels('type')), 1);
    assert.equal(scraped.of('polychat_commands_total', { dialect: 'type' }), 1);
    await wire.close();
    await noneLeft(server);
  });

  test('a polling session that goes over to a WebSocket is counted there from then on', async (t) => {
    const server = await startServer(t);
    const socket = await connect(t, server.url, { transports: ['polling', 'websocket'] });
    const over = (scraped, transport) => connections(scraped, { dialect: 'event-name', transport });
    const after = await scrapeUntil(server, (scraped) => over(scraped, 'websocket') === 1, 'it is upgraded');
    assert.equal(over(after, 'polling'), 0);
    assert.equal(after.of('polychat_connections_opened_total'), 1);
    socket.close();
    await noneLeft(server);
  });

  test('a polling session that stays one, and a client of version 2', async (t) => {
    const server = await startServer(t);
    const [slow, old] = [
      await connectUser(t, server, 'anna', { transports: ['polling'] }), await connectUser(t, server, 'boris', { client: 2 }),
    ];
    const scraped = await scrape(server);
    assert.equal(connections(scraped, { dialect: 'event-name', transport: 'polling' }), 1);
    assert.equal(connections(scraped, { dialect: 'event-name', transport: 'websocket' }), 1);
    for (const { socket } of [slow, old]) socket.close();
    await noneLeft(server);
  });

  test('two namespaces of one client are two', async (t) => {
    const server = await startServer(t);
    const auth = { token: 'anna' };
    const socket = await connect(t, server.url, { auth });
    const events = socket.io.socket(NAMESPACE, { auth });
    await new Promise((resolve) => { events.once('connect', resolve); });
    const scraped = await scrape(server);
    for (const dialect of ['event-name', 'marketplace']) {
      assert.equal(connections(scraped, { dialect, transport: 'websocket' }), 1, dialect);
    }
    events.disconnect();
    await scrapeUntil(server, (after) => connections(after, { dialect: 'marketplace' }) === 0, 'one of them has left');
    assert.equal(connections(await scrape(server), { dialect: 'event-name' }), 1);
    socket.close();
    await noneLeft(server);
  });

  test('who loses the TCP connection without a word is gone', async (t) => {
    const server = await startServer(t);
    const { socket } = await connectUser(t, server, 'anna');
    const { wire } = await type.connectType(t, server, 'boris');
    const before = await present(server, 2);
    socket.io.engine.transport.ws.terminate();
    wire.vanish();
    const after = await noneLeft(server);
    assert.equal(after.since(before, 'polychat_connections_closed_total', { reason: 'gone' }), 2);
  });

  test('a client that does not keep up is counted as cut', async (t) => {
    const server = await startServer(t, ['--max-outbox-bytes', '262144']);
    const [alice, sleeper] = await connectUsers(t, server, 'alice', 'sleeper');
    const chat = await chatOf(alice, sleeper);
    const stalled = await new RawClient(t, server.url).becomes(sleeper);
    const raw = await dial(t, server, PATH.type, { token: sleeper.user.externalUserId });
    const polling = await (await new RawPolling(server.url).open()).becomes(sleeper);
    assert.ok(polling.handshake.sid);
    for (const client of [stalled, raw]) client.pause();
    const before = await present(server, 5);
    // The sleeper's own client, which reads, is never behind by a whole outbox.
    for (let sent = 0; sent < 12_000; sent += 200) {
      await sendMany(alice, chat, 200, (index) => `${index} `.padEnd(1000, 'x'), 50);
      await sleeper.inbox.until(sent + 200);
    }

    const cut = (scraped) => scraped.since(before, 'polychat_slow_clients_cut_total');
    const after = await scrapeUntil(server, (scraped) => cut(scraped) === 3, 'three clients are cut');
    assert.equal(after.since(before, 'polychat_connections_closed_total', { reason: 'lagging' }), 3);
    for (const { socket } of [alice, sleeper]) socket.close();
    const end = await noneLeft(server);
    assert.equal(end.of('polychat_outbox_bytes'), 0, 'what was dropped does not wait');
  });

  test('a frame that ends its connection is the reason', async (t) => {
    const server = await startServer(t, ['--max-frame-bytes', '5000']);
    const [large, broken] = [await dial(t, server, PATH.type, { token: 'a' }), await dial(t, server, PATH.type, { token: 'b' })];
    await scrapeUntil(server, (scraped) => connections(scraped) === 2, 'both are there');
    large.sendText('x'.repeat(6000));
    broken.sendBytes(Buffer.from([0xf1, 0x80, 0, 0, 0, 0])); // with bits that mean nothing
    const after = await noneLeft(server);
    for (const reason of ['too_large', 'protocol_error']) {
      assert.equal(after.of('polychat_connections_closed_total', { reason }), 1, reason);
    }
  });

  test('who is not let in is counted with the reason', async (t) => {
    const args = ['--auth', 'jwt', '--jwt-secret', SECRET, '--metrics-listen', '127.0.0.1:0'];
    const server = await startServer(t, args);
    const metrics = elsewhere(server);
    await connectRefused(t, server.url, { auth: { token: 'rubbish' } });
    assert.equal(await refusedWith(t, server, PATH.type, { token: 'rubbish' }), 401);
    assert.equal(await refusedWith(t, server, PATH.type, { headers: { origin: 'http://elsewhere.example' } }), 403);
    const scraped = await scrape(metrics);
    const refused = (reason) => scraped.of('polychat_connections_refused_total', { reason });
    assert.deepEqual([refused('unauthenticated'), refused('origin')], [2, 1]);
    assert.equal(scraped.of('polychat_connections_opened_total'), 0);
  });
});

/** The address of the metrics of a server that has one for them. */
function elsewhere(server) {
  const url = /^ {2}metrics (http:\/\/\S+)\/metrics$/m.exec(server.logs())?.[1];
  assert.ok(url, server.logs());
  return { url };
}

describe('who may see the figures', () => {
  const jwt = ['--auth', 'jwt', '--jwt-secret', SECRET];

  test('in open mode everybody, with and without the trailing slash', async (t) => {
    const server = await startServer(t);
    await scrape(server);
    assert.equal((await fetchMetrics(`${server.url}/metrics/`)).status, 200);
    assert.equal((await fetchMetrics(`${server.url}/metrics`, 'anna')).status, 200);
  });

  test('with jwt only a service', async (t) => {
    const server = await startServer(t, jwt);
    const url = `${server.url}/metrics`;
    const statusOf = async (claims) => (await fetchMetrics(url, claims && await token(claims))).status;
    assert.equal((await fetchMetrics(url)).status, 401);
    assert.equal((await fetchMetrics(url, 'rubbish')).status, 401);
    assert.equal(await statusOf({ sub: 'anna' }), 403);
    assert.equal(await statusOf({ sub: 'backend', role: 'service' }), 200);
    const { text } = await fetchMetrics(url, await token({ sub: 'anna' }));
    assert.equal(JSON.parse(text).code, 'forbidden');
    const scraped = await scrape(server, await token({ sub: 'backend', role: 'service' }));
    assert.equal(scraped.of('polychat_store_seconds_count', { operation: 'find_or_create_users' }), 0);
  });

  test('with jwt no revoked token', async (t) => {
    const server = await startServer(t, jwt);
    const url = `${server.url}/metrics`;
    const backend = new Backend(server, await token({ sub: 'backend', role: 'service' }));
    const { pk, externalUserId: sub } = await backend.user('leaked');
    const leaked = await token({ sub, role: 'service', iat: now() - 60 });
    assert.equal((await fetchMetrics(url, leaked)).status, 200);
    await backend.ok(200, 'POST', `/users/${pk}/revoke`, {});
    const { status, text } = await fetchMetrics(url, leaked);
    assert.equal(status, 401);
    assert.equal(JSON.parse(text).code, 'unauthenticated');
  });

  test('at an address of their own everybody, and nobody elsewhere', async (t) => {
    const server = await startServer(t, [...jwt, '--metrics-listen', '127.0.0.1:0']);
    const metrics = elsewhere(server);
    await scrape(metrics);
    assert.equal((await fetchMetrics(`${metrics.url}/metrics/`)).status, 200);
    assert.equal((await fetchMetrics(`${server.url}/metrics`, await token({ sub: 'x', role: 'service' }))).status, 404);
    for (const path of ['/', '/api/v1/users', '/livez']) assert.equal((await fetchMetrics(metrics.url + path)).status, 404);
    assert.deepEqual(await server.stop(), { code: 0, signal: null });
    await assert.rejects(fetch(`${metrics.url}/metrics`), 'it is no longer there');
  });

  test('an address that is taken is named', async (t) => {
    const port = await freePort();
    const server = await startServer(t, ['--metrics-listen', `127.0.0.1:${port}`]);
    await scrape(elsewhere(server));
    const args = ['--listen', '127.0.0.1:0', '--store', 'sqlite::memory:', '--metrics-listen', `127.0.0.1:${port}`];
    const { code, stderr } = await runToEnd(args);
    assert.equal(code, 1);
    assert.ok(stderr.includes(`127.0.0.1:${port}`), stderr);
  });
});

describe('names', () => {
  const documents = new URL('../../docs/', import.meta.url);
  const read = (name) => readFileSync(new URL(name, documents), 'utf8');
  const table = read('METRICS.md');
  const NAMES = /\b(?:polychat|process)_[a-z_]+\b/g;
  const namesIn = (text) => new Set(text.match(NAMES));

  /** A server that has done a little of everything, so that every metric has a value. */
  async function busy(t) {
    const server = await startServer(t);
    const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
    await flushInboxes(anna, boris);
    await refusal(anna.socket, 'no-such-event', {});
    assert.equal(await refusedWith(t, server, PATH.type, {}), 401);
    return scrape(server);
  }

  /** The documented families, with the suffixes that their samples have. */
  const documented = [...table.matchAll(/^\| `((?:polychat|process)_[a-z_]+)[`{]/gm)].map(([, name]) => name);

  test('every documented figure is there, as what it is said to be, and no other', async (t) => {
    const scraped = await busy(t);
    const kinds = Object.fromEntries(
      [...table.matchAll(/^\| `((?:polychat|process)_[a-z_]+)[^|]*\| (\w+) \|/gm)].map(([, name, kind]) => [name, kind]),
    );
    const suffix = { counter: '_total', info: '_info' };
    const there = [...scraped.families.values()].map(({ name, TYPE }) => [name + (suffix[TYPE] ?? ''), TYPE]);
    assert.ok(documented.length > 20);
    assert.deepEqual(Object.fromEntries([...there].sort()), Object.fromEntries(Object.entries(kinds).sort()));
  });

  test('what is documented of labels is what there is', async (t) => {
    const scraped = await busy(t);
    const labels = Object.fromEntries(
      [...table.matchAll(/^\| `((?:polychat|process)_[a-z_]+)(?:\{([a-z,]+)\})?` \|/gm)]
        .map(([, name, list = '']) => [name, list.split(',').filter(Boolean).sort()]),
    );
    for (const { name, labels: has } of scraped.samples) {
      const family = name in labels ? name : name.replace(/_(bucket|sum|count)$/, '');
      const sent = Object.keys(has).filter((label) => label !== 'le').sort();
      assert.deepEqual(sent, labels[family], name);
    }
  });

  test('no label holds an id of anybody', async (t) => {
    const { text } = await busy(t);
    assert.doesNotMatch(text, /[0-9a-f]{8}-[0-9a-f]{4}-/);
    assert.doesNotMatch(text, /anna|boris/);
  });

  for (const name of ['grafana-dashboard.json', 'prometheus-alerts.yml']) {
    test(`${name} names no metric that does not exist`, async (t) => {
      const queried = namesIn(read(name).replace(/\$\{?\w+\}?/g, ''));
      assert.ok(queried.size > 3, 'it asks for something');
      const scraped = await busy(t);
      const families = new Set([...scraped.families.keys()].flatMap((family) => (
        ['', '_total', '_info', '_bucket', '_sum', '_count'].map((suffix) => family + suffix)
      )));
      const there = (each) => scraped.names.has(each) || (families.has(each) && documented.includes(each));
      for (const each of queried) assert.ok(there(each), `there is no ${each}`);
    });
  }

  test('the dashboard can be imported: a data source of choice, a target for each panel, no id twice', () => {
    const dashboard = JSON.parse(read('grafana-dashboard.json'));
    assert.ok(dashboard.templating.list.some(({ type: kind, query }) => kind === 'datasource' && query === 'prometheus'));
    const panels = dashboard.panels.filter(({ type: kind }) => kind !== 'row');
    assert.ok(dashboard.panels.length > panels.length + 4, 'it has its rows');
    assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
    for (const { title, targets, datasource } of panels) {
      assert.equal(datasource.uid, '${datasource}', title);
      assert.ok(targets.length > 0 && targets.every(({ expr }) => namesIn(expr)?.size > 0), title);
    }
  });

  test('what is no text of figures is refused by the reader of these tests', () => {
    assert.throws(() => new Metrics('polychat_x 1\n# EOF\n'));
    assert.throws(() => new Metrics('# HELP x X.\n# TYPE x gauge\nx 1\n'));
  });
});
