// @ts-check
// Owns the clients under faults of the dialects on Socket.IO. The official client reconnects without help.
import { ANSWER_MS, ChaosClient, MarketplaceChaosClient, Writer } from './chaos-client.mjs';
import { fullHistory } from '../clients/fixtures.mjs';
import { connect } from '../clients/socketio.mjs';
import { fromEventName } from '../data/normalize.mjs';

/** The official client reconnects soon. */
const RECONNECTS = { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 200 };

/** The acknowledgement of a request, or nothing if it takes too long. */
const acknowledgementOf = (socket, event, body) => (
  socket.timeout(ANSWER_MS).emitWithAck(event, body).catch(() => undefined)
);

/** A writer of the event-name dialect, which does not record what it receives. */
export class EventNameWriter extends Writer {
  #socket;

  constructor(ledger, who, socket) {
    super(ledger, who);
    this.#socket = socket;
  }

  static async connect(owner, server, ledger, { user, room }) {
    const name = user.externalUserId;
    const socket = await connect(owner, server.url, { auth: { token: name }, ...RECONNECTS });
    socket.on('disconnect', (reason) => ledger.losses.push(reason));
    return new EventNameWriter(ledger, { name, room }, socket);
  }

  get connected() { return this.#socket.connected; }

  deliver(sent) { return acknowledgementOf(this.#socket, 'new-message', sent); }
}

export class EventNameClient extends ChaosClient {
  async open(options = {}) {
    const { chatId } = this.chat;
    const opened = (socket) => {
      this.socket = socket;
      socket.on('connect', () => this.onConnected());
      socket.on('disconnect', () => this.onDisconnected());
      socket.on('new-message', (body) => { if (body.room === chatId) this.session?.receive(fromEventName(body)); });
    };
    connect(this.connectionOwner, this.endpoint.url, {
      auth: { token: this.user.externalUserId }, ...RECONNECTS, ...options, opened,
    }).catch(() => {}); // the client tries again
    await this.firstConnection();
  }

  deliver(sent) { return acknowledgementOf(this.socket, 'new-message', sent); }

  async missedAfter(seq) {
    const all = [];
    for (let more = true; more;) {
      const query = { after_seq: all.at(-1)?.seq ?? seq };
      const page = await acknowledgementOf(this.socket, 'list-messages', { chat: { id: this.chat.chatId }, query });
      all.push(...page.messages.map(fromEventName));
      more = page.has_more;
    }
    return all;
  }

  async history() {
    return (await fullHistory({ socket: this.socket }, { id: this.chat.chatId })).map(fromEventName);
  }
}

/** The same by HTTP long-polling only. */
export class PollingClient extends EventNameClient {
  open() { return super.open({ transports: ['polling'] }); }
}

export class MarketplaceSocketIoClient extends MarketplaceChaosClient {
  async open() {
    const opened = (socket) => {
      this.socket = socket;
      socket.on('disconnect', () => this.onDisconnected());
      for (const event of ['initial_data', 'chat_updates']) socket.on(event, (data) => this.onMarketplaceFrame(event, data));
    };
    connect(this.connectionOwner, `${this.endpoint.url}/events`, {
      auth: { token: this.user.externalUserId }, ...RECONNECTS, opened,
    }).catch(() => {}); // the client tries again
    await this.firstConnection();
  }

  async deliver(sent) {
    const answer = await acknowledgementOf(this.socket, 'send_message', this.body(sent));
    return answer && !answer.error ? this.acknowledged(answer.messages[0]) : answer;
  }

  page(body) { return acknowledgementOf(this.socket, 'load_history', body); }
}
