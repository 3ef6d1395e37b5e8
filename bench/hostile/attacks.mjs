// @ts-check
// Owns what the hostile users do: for each kind the worst that the default limits allow. Does not measure anything.
import { randomInt } from 'node:crypto';
import { Client, keepAsking } from './client.mjs';

/** Connections of the user that joins and leaves, each of which is notified of it. */
const WATCHERS = 80;
const UNKNOWN = 1000;
const PK = 2 ** 40;

const counted = () => ({ served: 0, refused: 0, ended: 0 });

/** The attacks by name: each takes `{ port, signal, stored }`, and resolves after the signal to what it counted. */
export const ATTACKS = {
  /** Asks for what was missed in 1,000 chats that there are not. */
  async sync({ port, signal }) {
    const counts = counted();
    const unknown = () => Object.fromEntries(Array.from({ length: UNKNOWN }, () => [randomInt(PK), 0]));
    await keepAsking({ port, user: 'hostile-sync', inFlight: 8, signal, counts }, () => ({ action: 'sync', chats: unknown() }));
    return counts;
  },

  /** Lists the rooms. */
  async list({ port, signal }) {
    const counts = counted();
    await keepAsking({ port, user: 'hostile-list', inFlight: 8, signal, counts }, () => ({ action: 'list' }));
    return counts;
  },

  /** Joins and leaves a large room on one connection, and has it notify many others. */
  async join({ port, signal, stored }) {
    const counts = counted();
    const watchers = Array.from({ length: WATCHERS }, () => new Client(port, 'hostile-watcher'));
    await Promise.all(watchers.map(async (watcher) => {
      await watcher.open;
      await watcher.ask({ action: 'join_room', pk: stored.large });
    }));
    let joins = false;
    const request = () => {
      joins = !joins;
      return { action: joins ? 'join_room' : 'leave_room', pk: stored.large };
    };
    await keepAsking({ port, user: 'hostile-join', inFlight: 8, signal, counts }, request);
    for (const watcher of watchers) watcher.close();
    return counts;
  },

  /** Deletes a room with many messages, then creates rooms and deletes them. */
  async delete({ port, signal, stored }) {
    const counts = counted();
    const rooms = [stored.deleted.shift()];
    const request = () => {
      const pk = rooms.shift();
      return pk === undefined ? { action: 'create', data: { name: 'room' } } : { action: 'delete', pk };
    };
    await keepAsking({ port, user: 'hostile-owner', inFlight: 4, signal, counts }, request);
    return counts;
  },

  /** Asks for the longest histories, and reads them as slowly as it may. */
  async history({ port, signal, stored }) {
    const counts = counted();
    await keepAsking({ port, user: 'hostile-history', inFlight: 8, signal, counts }, () => ({ action: 'retrieve', pk: stored.long }));
    return counts;
  },
};
