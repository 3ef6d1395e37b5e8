// @ts-check
// Owns the promise about the files of a SQLite store that are moved, deleted or replaced under a running server: nothing is
// acknowledged that the next start would not find.
import assert from 'node:assert/strict';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { chatOf, connectAgain, connectUsers, fullHistory, history, sendMessage, seqsOf, upTo } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { refusal } from '../clients/socketio.mjs';
import { connectType, newChat, refusal as typeRefusal } from '../clients/type-data.mjs';
import { probe } from '../harness/http.mjs';
import { slowDisk } from '../harness/preload.mjs';
import { startServer, storeFile } from '../harness/server.mjs';
import { eventually } from '../harness/wait.mjs';

/** How soon the server notices. */
const NOTICED_MS = 3000;

const FILES = ['', '-wal', '-shm'];

/** Two members of a chat with one message, and the files of their server's store. */
async function startScene(t, env = {}) {
  const { path, store } = await storeFile(t);
  const away = join(dirname(path), 'away');
  await mkdir(away);
  const server = await startServer(t, ['--store', store], { env });
  const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
  const chat = await chatOf(alice, bob);
  const first = await sendMessage(alice, chat, 'first');
  const elsewhere = join(away, 'chat.db');
  const move = async (from, to, files = FILES) => { for (const each of files) await rename(`${from}${each}`, `${to}${each}`); };
  return {
    path, store, elsewhere, server, alice, bob, chat, first,
    takeAway: (files) => move(path, elsewhere, files),
    bringBack: (files) => move(elsewhere, path, files),
  };
}

async function assertUnready(server, why) {
  const { status, body } = await probe(`${server.url}/readyz`);
  assert.equal(status, 503);
  assert.match(body, why);
  assert.ok(!body.includes('/'), `a path: ${body}`);
}

async function assertSendRefused({ alice, chat }, msg = 'refused') {
  const error = await refusal(alice.socket, 'new-message', { room: chat.id, msg });
  assert.equal(error.code, 'unavailable');
}

const isReady = async ({ url }) => (await probe(`${url}/readyz`)).status === 200;

describe('when the files of the store', () => {
  test('are moved away, the very next send is refused, and so is all that follows, in every dialect', async (t) => {
    const scene = await startScene(t);
    const carol = await connectType(t, scene.server, 'carol');
    const room = await newChat(carol);
    const backend = new Backend(scene.server, 'backend');
    await scene.takeAway();
    await assertSendRefused(scene);
    await assertUnready(scene.server, /its database file was moved away or deleted/);
    await assertSendRefused(scene);
    assert.match(JSON.stringify(await typeRefusal(carol, 'newMessage', { chat: room, text: 'refused' })), /unavailable/);
    const message = { userId: scene.alice.id, text: 'refused' };
    await backend.refused(503, 'unavailable', 'POST', `/chats/${scene.chat.id}/messages`, message);
    assert.equal((await probe(`${scene.server.url}/livez`)).status, 200);
  });

  test('are moved away and nobody sends, it is noticed all the same', async (t) => {
    const { server, takeAway } = await startScene(t);
    await takeAway();
    await eventually(() => server.logs().includes('its database file was moved away or deleted'), 'the log has it', NOTICED_MS);
  });

  test('are moved back, the server is ready again, and has all that was acknowledged and nothing else', async (t) => {
    const scene = await startScene(t);
    const { server, alice, bob, chat, first } = scene;
    for (const round of upTo(2)) {
      await scene.takeAway();
      await assertSendRefused(scene);
      await assertUnready(server, /moved away/);
      await scene.bringBack();
      await eventually(() => isReady(server), 'ready again', NOTICED_MS);
      assert.equal((await sendMessage(alice, chat, `sent in round ${round}`)).seq, round + 1);
    }
    await bob.inbox.until(3);
    const sent = await history(bob, chat);
    assert.deepEqual(seqsOf(sent), upTo(3));
    assert.deepEqual(sent[0], first);

    await server.kill();
    const again = await startServer(t, ['--store', scene.store]);
    const reader = await connectAgain(t, again, bob);
    assert.deepEqual(await history(reader, chat), sent);
  });

  test('are moved away one by one, each is missed', async (t) => {
    const NAMES = { '': 'database file', '-wal': 'write-ahead log', '-shm': 'shared memory file' };
    const scene = await startScene(t);
    for (const [file, called] of Object.entries(NAMES)) {
      await scene.takeAway([file]);
      await assertSendRefused(scene);
      await assertUnready(scene.server, new RegExp(`its ${called} was moved away or deleted`));
      await scene.bringBack([file]);
      await eventually(() => isReady(scene.server), 'ready again', NOTICED_MS);
    }
    await sendMessage(scene.alice, scene.chat, 'second');
  });

  test('are deleted, sends are refused, and the server ends in order', async (t) => {
    const scene = await startScene(t);
    for (const file of FILES) await rm(`${scene.path}${file}`);
    await assertSendRefused(scene);
    await assertUnready(scene.server, /moved away or deleted/);
    assert.deepEqual(await scene.server.stop(), { code: 0, signal: null });
  });

  test('are replaced by others, those are left as they are', async (t) => {
    const scene = await startScene(t);
    await scene.takeAway();
    for (const file of FILES) await writeFile(`${scene.path}${file}`, `another ${file}`);
    await assertSendRefused(scene);
    await assertUnready(scene.server, /its database file was replaced by another file/);
    await scene.server.stop();
    for (const file of FILES) assert.equal(await readFile(`${scene.path}${file}`, 'utf8'), `another ${file}`);

    const moved = await startServer(t, ['--store', `sqlite:${scene.elsewhere}`]);
    const reader = await connectAgain(t, moved, scene.bob);
    assert.deepEqual(await history(reader, scene.chat), [scene.first]);
  });

  test('are moved away while the disk has not confirmed a message, that is not acknowledged, and can be sent again', async (t) => {
    const disk = await slowDisk(t);
    const scene = await startScene(t, disk.env);
    const { alice, bob, chat, first } = scene;
    await disk.stall();
    const sending = refusal(alice.socket, 'new-message', { room: chat.id, msg: 'second', client_id: 'once' });
    await disk.waitsFor(`${scene.path}-wal`);
    await scene.takeAway();
    await disk.goOn();
    assert.equal((await sending).code, 'unavailable');
    await scene.bringBack();
    await eventually(() => isReady(scene.server), 'ready again', NOTICED_MS);
    const second = await sendMessage(alice, chat, 'second', { client_id: 'once' });
    assert.equal(second.seq, 2);
    assert.deepEqual(await history(bob, chat), [first, second]);
    await bob.inbox.until(2);
  });

  test('are moved away while many send, everything that was acknowledged is in them', async (t) => {
    const scene = await startScene(t);
    const { alice, chat } = scene;
    const acknowledged = [];
    let refused = 0;
    const sendAll = async (sender) => {
      for (let index = 0; refused < 20; index++) {
        const msg = `${sender}-${index}`;
        const { error } = await alice.socket.timeout(10_000).emitWithAck('new-message', { room: chat.id, msg });
        if (error) refused += 1;
        else acknowledged.push(msg);
      }
    };
    const sending = Promise.all(upTo(10).map(sendAll));
    await eventually(() => acknowledged.length > 200, 'many were acknowledged');
    await scene.takeAway();
    await sending;
    await scene.server.kill();

    const moved = await startServer(t, ['--store', `sqlite:${scene.elsewhere}`]);
    const reader = await connectAgain(t, moved, scene.bob);
    const stored = new Set((await fullHistory(reader, chat)).map(({ msg }) => msg));
    assert.deepEqual(acknowledged.filter((msg) => !stored.has(msg)), []);
  });
});
