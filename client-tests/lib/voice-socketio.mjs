// Owns how the dialects of Socket.IO are spoken under faults, and the part of the marketplace dialect that does not depend
// on the transport. It refuses to know what happens when a connection is lost: the official client comes back by itself.
import { connect } from './client.mjs';
import { fromEventName, fromMarketplace } from './forms.mjs';
import { COMING_BACK, answerTo } from './ledger.mjs';
import { fullHistory } from './people.mjs';
import { Voice } from './voice.mjs';

export class EventNameVoice extends Voice {
  async open(options = {}) {
    const { chatId } = this.chat;
    const opened = (socket) => {
      this.socket = socket;
      socket.on('connect', () => this.began());
      socket.on('disconnect', () => this.lost());
      socket.on('new-message', (body) => { if (body.room === chatId) this.session?.hear(fromEventName(body)); });
    };
    connect(this.holder, this.door.url, {
      auth: { token: this.user.externalUserId }, ...COMING_BACK, ...options, opened,
    }).catch(() => {}); // it tries again by itself
    await this.firstConnection();
  }

  deliver(sent) { return answerTo(this.socket, 'new-message', sent); }

  async missedAfter(known) {
    const all = [];
    for (let more = true; more;) {
      const query = { after_seq: all.at(-1)?.seq ?? known };
      const page = await answerTo(this.socket, 'list-messages', { chat: { id: this.chat.chatId }, query });
      all.push(...page.messages.map(fromEventName));
      more = page.has_more;
    }
    return all;
  }

  async history() {
    return (await fullHistory({ socket: this.socket }, { id: this.chat.chatId })).map(fromEventName);
  }
}

/** The same without a WebSocket. */
export class PollingVoice extends EventNameVoice {
  open() { return super.open({ transports: ['polling'] }); }
}

/** What both transports of the marketplace dialect share: where a connection begins is told, and nothing comes twice. */
export class MarketplaceVoice extends Voice {
  #initial = [];
  head = 0;

  hearsFrame(event, data) {
    if (event === 'initial_data') this.#begin(data);
    else if (event === 'chat_updates' && data.chatId === this.chat.chatId) data.messages.forEach((each) => this.#hear(each));
  }

  #begin(entries) {
    const chat = entries.flatMap(({ chats }) => chats).find(({ chatId }) => chatId === this.chat.chatId);
    this.#initial = chat.messages.map(fromMarketplace);
    this.head = this.#initial.at(-1)?.seq ?? 0;
    this.began();
    if (this.head > 0) this.session.live.push(this.head); // what follows has to follow on it
  }

  #hear(told) {
    const message = fromMarketplace(told);
    const due = (this.session?.live.at(-1) ?? 0) + 1;
    // What is stored already is answered in the same form, and may overtake what others hear of it.
    if (message.seq !== due && told.client_id && this.mayRepeat(told.client_id)) this.keep(message);
    else this.session?.hear(message);
    this.head = Math.max(this.head, message.seq);
  }

  body({ msg, client_id }) { return { chatId: this.chat.chatId, message: { text: msg, client_id } }; }

  acknowledged({ messageId }) { return { seq: messageId, room: this.chat.chatId }; }

  async missedAfter(known) { return this.#backTo(known, [...this.#initial]); }

  history() { return this.#backTo(0, []); }

  /** Fifty by fifty, from the earliest one at hand. */
  async #backTo(known, all) {
    for (let first = all[0]?.seq ?? this.head + 1; first > known + 1;) {
      const { messages } = await this.page({ chatId: this.chat.chatId, lastMessageId: first });
      if (messages.at(-1)?.messageId !== first - 1) throw new Error(`there is nothing before ${first}`);
      all.unshift(...messages.map(fromMarketplace));
      first = all[0].seq;
    }
    return all.filter(({ seq }) => seq > known);
  }
}

export class MarketplaceSocketVoice extends MarketplaceVoice {
  async open() {
    const opened = (socket) => {
      this.socket = socket;
      socket.on('disconnect', () => this.lost());
      for (const event of ['initial_data', 'chat_updates']) socket.on(event, (data) => this.hearsFrame(event, data));
    };
    connect(this.holder, `${this.door.url}/events`, {
      auth: { token: this.user.externalUserId }, ...COMING_BACK, opened,
    }).catch(() => {}); // it tries again by itself
    await this.firstConnection();
  }

  async deliver(sent) {
    const answer = await answerTo(this.socket, 'send_message', this.body(sent));
    return answer && !answer.error ? this.acknowledged(answer.messages[0]) : answer;
  }

  page(body) { return answerTo(this.socket, 'load_history', body); }
}
