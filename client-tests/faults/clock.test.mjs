// @ts-check
// Owns the promise about a clock that is set while clients write: back by an hour, forward, and right again. Messages
// keep their order and their numbers, times never run backwards inside a chat, ids stay unique, and no connection lives
// longer than its token.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setClock } from '../chaos/faults.mjs';
import { chatOf, connectAgain, connectUsers, fullHistory, sendMessage, upTo } from '../clients/fixtures.mjs';
import { connect, nextEvent } from '../clients/socketio.mjs';
import { dial } from '../clients/websocket.mjs';
import { shiftedClock } from '../harness/preload.mjs';
import { sized, testRandom } from '../harness/random.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, now, token } from '../harness/tokens.mjs';

const HOUR_S = 3600;

describe('while the clock is set back and forth', () => {
  test('people of all dialects write on, before and after a restart: nothing is lost, doubled or out of order', async (t) => {
    await setClock(t, testRandom(t), { times: sized(4, 60) });
  });

  test('a time never is before that of the message before, and ids are unique', async (t) => {
    const clock = await shiftedClock(t);
    const server = await startServer(t, [], { env: clock.env });
    const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
    const chat = await chatOf(alice, bob);
    const sent = [await sendMessage(alice, chat, 'in time')];
    assert.ok(Math.abs(Date.parse(sent[0].created_at) - Date.now()) < 60_000);
    for (const shift of [-HOUR_S, HOUR_S, 0, -HOUR_S]) {
      await clock.set(shift);
      sent.push(await sendMessage(alice, chat, `${shift}`), await sendMessage(bob, chat, `${shift} again`));
    }
    const times = sent.map(({ created_at }) => Date.parse(created_at));
    assert.deepEqual(times, times.toSorted((one, other) => one - other));
    assert.ok(times[times.length - 1] - times[0] > HOUR_S * 900, 'the clock was not moved at all');
    assert.equal(new Set(sent.map(({ id }) => id)).size, sent.length);
    assert.deepEqual(sent.map(({ seq }) => seq), upTo(sent.length));
    assert.deepEqual(await fullHistory(bob, chat), sent);

    const fresh = await chatOf(alice, bob); // made in the past, after the others
    const first = await sendMessage(bob, fresh, 'long ago');
    assert.ok(Date.parse(first.created_at) < times[0]);
    const again = await connectAgain(t, server, bob);
    assert.deepEqual(await fullHistory(again, fresh), [first]);
  });
});

describe('a connection ends with its token', () => {
  const [LIFE_S, ALSO_S] = [4, 3];

  test('also when the clock is set back meanwhile', async (t) => {
    const clock = await shiftedClock(t);
    const server = await startServer(t, ['--auth', 'jwt', '--jwt-secret', SECRET], { env: clock.env });
    const made = await token({ sub: 'alice', exp: now() + LIFE_S });
    const socket = await connect(t, server.url, { auth: { token: made } });
    const wire = await dial(t, server, '/ws/chats/', { token: made });
    const lost = nextEvent(socket, 'disconnect', (LIFE_S + ALSO_S) * 1000);
    await clock.set(-HOUR_S);
    assert.equal((await wire.end((LIFE_S + ALSO_S) * 1000)).reason, 'token expired');
    await lost;
  });
});
