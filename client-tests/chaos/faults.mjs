// @ts-check
// Owns the faults that are tried on a population of clients of all dialects: kills, a disk that fills up, a clock that is set,
// networks that break; and the comparison after each. Each returns how many messages were acknowledged.
import assert from 'node:assert/strict';
import { ANSWER_MS } from './chaos-client.mjs';
import { Ledger } from './ledger.mjs';
import { FAULT_NAMES, startProxy } from './proxy.mjs';
import { startPopulation } from './scenario.mjs';
import { connectUser } from '../clients/fixtures.mjs';
import { probe } from '../harness/http.mjs';
import { shiftedClock } from '../harness/preload.mjs';
import { freePort, startServer, storeFile, tempDir } from '../harness/server.mjs';
import { eventually } from '../harness/wait.mjs';

const PATIENCE_MS = 60_000;
const HOUR_S = 3600;

const isReady = async ({ url }) => (await probe(`${url}/readyz`)).status === 200;

/**
 * Kills one of the `victims`, at random each time, and restarts it; then compares all messages.
 * @param {import('../harness/scope.mjs').Owner} t
 * @param {import('../harness/random.mjs').Chance} chance
 * @param {string} store
 * @param {{ kills: number, victims?: (() => Promise<void>)[] }} options
 */
export async function killRepeatedly(t, chance, store, { kills, victims = [] }) {
  const args = ['--listen', `127.0.0.1:${await freePort()}`, '--store', store];
  let server = await startServer(t, args);
  const ledger = new Ledger();
  const population = await startPopulation(t, server, ledger, {
    chats: 2, silent: ({ number, side }) => number === 1 && side === 1,
  });
  const writing = population.write(() => chance.sleep(1, 30));
  const restart = async () => {
    await server.kill();
    server = await startServer(t, args);
  };
  const all = [restart, ...victims];
  for (let killed = 0; killed < kills; killed++) {
    // Sometimes while clients reconnect, sometimes afterwards.
    await ledger.until(ledger.acknowledged.size + chance.pick([1, 20, 100, 200]), PATIENCE_MS);
    await chance.sleep(0, 200);
    await (killed < all.length ? all[killed] : chance.pick(all))();
  }
  await ledger.until(ledger.acknowledged.size + 200, PATIENCE_MS);
  await writing.stop();
  await population.assertWhole(server);
  assert.ok(population.clients.every(({ connections }) => connections > 1), 'all have reconnected');
  return { messages: ledger.acknowledged.size, live: population.clients.reduce((sum, { live }) => sum + live, 0) };
}

/** Room for a part of a page, or for some pages of the log of transactions. */
const ROOM = 40_000;

/** Every client sends one message: the codes of the refusals. */
async function sendAll(population) {
  const writers = [...population.clients, ...population.backends];
  const answers = await Promise.all(writers.map((writer) => writer.attempt(writer.compose())));
  return answers.map((answer) => answer?.error?.code ?? (answer ? 'acknowledged' : 'unanswered'));
}

/** Fills the disk under SQLite: sends are refused until there is space again, and no acknowledged message is lost. */
export async function fillDisk(t, chance, { disk, times }) {
  const path = `${await tempDir(t)}/chat.db`;
  const { env, fill, free } = await disk(t, path);
  const args = ['--listen', `127.0.0.1:${await freePort()}`, '--store', `sqlite:${path}`];
  let server = await startServer(t, args, { env });
  const ledger = new Ledger();
  const population = await startPopulation(t, server, ledger, { chats: 1 });
  const other = await connectUser(t, server, 'somebody');
  let refused = 0;

  for (let time = 0; time < times; time++) {
    assert.deepEqual(new Set(await sendAll(population)), new Set(['acknowledged']));
    await fill(server, chance.below(ROOM));
    let codes = new Set();
    for (let rounds = 0; rounds < 300 && (codes.size !== 1 || !codes.has('unavailable')); rounds++) {
      const all = await sendAll(population);
      codes = new Set(all);
      refused += all.filter((code) => code === 'unavailable').length;
      codes.forEach((code) => assert.ok(['acknowledged', 'unavailable'].includes(code), code));
    }
    assert.deepEqual(codes, new Set(['unavailable']), 'every dialect reports that the store cannot be used');
    const tea = { chat: { name: 'Tea' }, users: [other.id] };
    const { error } = await other.socket.timeout(ANSWER_MS).emitWithAck('create-chat', tea);
    await population.assertWhole(server);
    assert.equal((await probe(`${server.url}/livez`)).status, 200);
    const ready = await isReady(server);
    // Later the log of transactions may begin anew within its own length, which makes room indeed.
    if (time === 0 || error) assert.equal(error?.code, 'unavailable');
    if (time === 0) assert.ok(!ready);
    if (ready) assert.ok((await sendAll(population)).includes('acknowledged'), 'ready means ready');

    await free(server);
    await eventually(() => isReady(server), 'the server is ready again');
    await ledger.retry();
    assert.equal(ledger.refused.size + ledger.unanswered.size, 0);
    await population.assertWhole(server);
  }

  await server.kill();
  server = await startServer(t, args, { env });
  await eventually(() => population.areCaughtUp, 'all have caught up');
  assert.deepEqual(new Set(await sendAll(population)), new Set(['acknowledged']));
  await population.assertWhole(server);
  return { messages: ledger.acknowledged.size, refused };
}

/** The settings of the clock: an hour back, an hour forward, nearly right, days away. */
const SHIFTS = [-HOUR_S, HOUR_S, 0, -1, -2 * 86_400, 86_400];

/** Sets the clock while all write, with kills in between: nothing is lost, stored twice or out of order. */
export async function setClock(t, chance, { times }) {
  const clock = await shiftedClock(t);
  const args = ['--listen', `127.0.0.1:${await freePort()}`, '--store', (await storeFile(t)).store];
  let server = await startServer(t, args, { env: clock.env });
  const ledger = new Ledger();
  const population = await startPopulation(t, server, ledger, { chats: 1 });
  const writing = population.write(() => chance.sleep(1, 20));
  const some = () => ledger.until(ledger.acknowledged.size + 100, PATIENCE_MS);

  await some();
  for (let time = 0; time < times; time++) {
    await clock.set(time === 0 ? -HOUR_S : chance.pick(SHIFTS));
    await some();
    assert.ok(await isReady(server));
    if (time % 3 !== 1) continue;
    await server.kill();
    await clock.set(chance.pick(SHIFTS));
    server = await startServer(t, args, { env: clock.env });
  }
  await some();
  await writing.stop();
  await population.assertWhole(server);
  return { messages: ledger.acknowledged.size };
}

/** Breaks each client's network in every way: each has every message once and in order in the end. */
export async function breakNetworks(t, chance, { drops, downMs, goodMs }) {
  const server = await startServer(t, ['--store', (await storeFile(t)).store]);
  const ledger = new Ledger();
  const proxies = [];
  const endpoint = async () => {
    proxies.push(await startProxy(t, server));
    return proxies.at(-1);
  };
  const population = await startPopulation(t, server, ledger, { chats: 2, endpoint });
  const writing = population.write(() => chance.sleep(10, 60));

  // Each proxy on its own, with the faults in an order of its own, each of them at least once.
  await Promise.all(proxies.map(async (proxy) => {
    const first = chance.below(FAULT_NAMES.length);
    await chance.sleep(0, goodMs);
    for (let drop = 0; drop < drops; drop++) {
      await proxy.break(FAULT_NAMES[(first + drop) % FAULT_NAMES.length], downMs);
      await chance.sleep(0, goodMs);
    }
  }));

  await writing.stop();
  await population.assertWhole(server);
  const connections = population.clients.map((client) => client.connections);
  assert.ok(connections.every((count) => count > 1), 'all were dropped');
  return {
    messages: ledger.acknowledged.size, connections: connections.reduce((sum, count) => sum + count), faults: proxies.length * drops,
  };
}
