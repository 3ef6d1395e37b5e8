// @ts-check
// Owns the promises of Engine.IO sessions that are polychat's alone: responses that are not read, and clients of
// different tokens on one TCP connection. The requirements of the protocols are in conformance/.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PACKET } from '../clients/engineio.mjs';
import { PollingSession } from '../clients/engineio-session.mjs';
import { MOMENT_MS, assertSessionOver, connectRoot, createUser, moment } from '../clients/engineio-steps.mjs';
import { chatOf, connectUsers, sendMessage } from '../clients/fixtures.mjs';
import { TcpConnection, head } from '../clients/tcp.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, SHORT_LIFE_S, now, token } from '../harness/tokens.mjs';

for (const eio of [4, 3]) {
  test(`a poll of protocol ${eio} whose response is not read ends the session, so that no message is skipped`, async (t) => {
    // Larger than the kernel's buffers of a connection that is not read from.
    const size = 12_000_000;
    const large = await startServer(t, [
      '--max-message-bytes', `${size}`, '--max-frame-bytes', `${size + 4_000_000}`, '--max-outbox-bytes', '60000000',
    ]);
    const [alice, bob] = await connectUsers(t, large, 'alice', 'bob');
    const chat = await chatOf(alice, bob);
    const session = await connectRoot(await PollingSession.open(t, large, { eio, token: bob.user.externalUserId }));
    const poll = await session.beginPoll();
    poll.pause();
    await sendMessage(alice, chat, 'x'.repeat(size));
    await sendMessage(alice, chat, 'the next one');
    await moment();
    poll.reset();
    await moment();
    await assertSessionOver(session);
  });
}

describe('a proxy that shares one TCP connection among its clients', { concurrency: true }, () => {
  /** Two users of one server, each with a session by polling, on the one connection. */
  async function shared(t, args, claims) {
    const strict = await startServer(t, ['--auth', 'jwt', '--jwt-secret', SECRET, ...args]);
    const open = async (sub, more) => connectRoot(await PollingSession.open(t, strict, { token: await token({ sub, ...more }) }));
    const [boris, vera] = [await open('boris', claims), await open('vera', {})];
    const connection = await TcpConnection.open(t, strict);
    const ask = (method, session, body) => connection.request(method, session.target, session.lines, body);
    return { boris, vera, connection, ask };
  }

  /** Vera's poll waits on the shared connection until its answer comes, and her next body is read from it. */
  async function assertUnaffected({ vera, connection, ask }, until) {
    connection.write(head('GET', vera.target, vera.lines));
    await until;
    assert.equal((await vera.post(createUser(5))).status, 200);
    const response = await connection.response();
    assert.equal(response?.status, 200, 'her poll was cut');
    assert.ok(response.body.startsWith(`${PACKET.ack}5`), response.body);
    assert.equal((await ask('POST', vera, createUser(6)))?.status, 200, 'her body was not read');
    await vera.packet(`${PACKET.ack}6`);
  }

  /** The request of clients when something on the way drops `Upgrade`. */
  const websocketTarget = (session) => session.target.replace('transport=polling', 'transport=websocket');

  async function assertUpgradeRefused({ boris, connection }) {
    const answer = await connection.request('GET', websocketTarget(boris), boris.lines);
    assert.equal(answer?.status, 400, answer?.body);
    assert.equal(JSON.parse(answer.body).code, 3);
  }

  test('sees a client\'s poll answered after another client\'s token has ended', async (t) => {
    const ends = now() + SHORT_LIFE_S;
    const life = await shared(t, [], { exp: ends });
    await assertUpgradeRefused(life);
    await assertUnaffected(life, sleep(ends * 1000 + 500 - Date.now()));
  });

  test('sees a client\'s poll answered after another client was disconnected for its rate', async (t) => {
    const life = await shared(t, ['--frame-limit', '10:20'], {});
    await assertUpgradeRefused(life);
    const flood = async () => {
      for (let bodies = 0; bodies < 30; bodies++) {
        const packets = Array.from({ length: 50 }, () => '42["nonsense",{}]');
        if ((await life.boris.post(...packets)).status !== 200) return;
      }
      assert.fail('the flood did not end the session');
    };
    await assertUnaffected(life, sleep(MOMENT_MS).then(flood));
  });

  test('cannot keep a session alive beyond its token by an upgrade without Upgrade', async (t) => {
    const ends = now() + SHORT_LIFE_S;
    const life = await shared(t, [], { exp: ends });
    const chat = '42["create-chat",{"chat":{"name":"late"},"users":[]}]';
    await assertUpgradeRefused(life);
    await sleep(ends * 1000 + 800 - Date.now());
    for (const answer of [await life.ask('POST', life.boris, chat), await life.boris.post(chat)]) {
      assert.equal(answer?.status, 400, answer?.body);
      assert.equal(JSON.parse(answer.body).code, 1);
    }
  });
});
