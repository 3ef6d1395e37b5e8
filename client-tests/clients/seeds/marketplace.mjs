// @ts-check
// Owns the client that a front-end developer writes from the document of the marketplace dialect alone: chats grouped by
// event, those of the user's own events apart from those in which the user writes to an owner. The server counts.
import { io } from 'socket.io-client';

/** The messages of both lists in the order of their numbers, each once. */
function merged(known, more) {
  const byId = new Map([...known, ...more].map((message) => [message.messageId, message]));
  return [...byId.values()].sort((a, b) => a.messageId - b.messageId);
}

export class MarketplaceClient {
  myId;
  /** One for each event, as `initial_data` has them; undefined before it. */
  entries;
  errors = [];
  loads = 0;
  socket;

  /**
   * The document shows no token: the usual places of this library are the query and `auth`.
   * @param {string} url
   * @param {string} token
   * @param {number} myId the user's id in the host application
   * @param {Partial<import('socket.io-client').ManagerOptions>} options of the library
   */
  constructor(url, token, myId, options = {}) {
    this.myId = myId;
    const socket = io(url, { query: { token }, auth: { token }, ...options });
    socket.on('initial_data', (entries) => {
      this.entries = entries;
      this.loads++;
    });
    socket.on('chat_updates', (update) => this.#update(update));
    socket.on('chat_unread', ({ chatId, ...counts }) => { Object.assign(this.chat(chatId) ?? {}, counts); });
    socket.on('history', ({ chatId, messages }) => {
      const chat = this.chat(chatId);
      if (chat) chat.messages = merged(messages, chat.messages);
    });
    socket.on('debug_info', (error) => this.errors.push(error));
    this.socket = socket;
  }

  /** The events that belong to the user: others write to them in their chats. */
  get ownEvents() { return (this.entries ?? []).filter(({ eventOwnerId }) => eventOwnerId === this.myId); }

  /** The events of others, to which the user writes. */
  get foreignEvents() { return (this.entries ?? []).filter(({ eventOwnerId }) => eventOwnerId !== this.myId); }

  chat(chatId) { return (this.entries ?? []).flatMap(({ chats }) => chats).find((chat) => chat.chatId === chatId); }

  get isOnline() { return this.socket.connected; }

  isMine(message) { return message.fromUserId === this.myId; }

  /** Sends a message; the library keeps it while there is no connection. */
  write(chatId, text, { photos = [], attachedPhotos = [] } = {}) {
    this.socket.emit('send_message', { chatId, message: { text, photos, attachedPhotos } });
    return true;
  }

  /** The user has seen the chat's messages. */
  read(chatId) {
    const last = this.chat(chatId)?.messages.at(-1);
    if (last) this.socket.emit('read_messages', { chatId, lastReadedMessageId: last.messageId });
  }

  /** Asks for what is above the first loaded message. */
  loadHistory(chatId) {
    this.socket.emit('load_history', { chatId, lastMessageId: this.chat(chatId)?.messages[0]?.messageId });
  }

  /** The network drops the socket. */
  drop() { this.socket.io.engine.close(); }

  /** The user closes the page. */
  leave() { this.socket.disconnect(); }

  #update({ event, eventOwnerId, messages = [], ...rest }) {
    this.entries ??= [];
    let entry = this.entries.find((one) => one.event.id === event.id);
    if (!entry) {
      entry = { event, eventOwnerId, chats: [] };
      this.entries.push(entry);
    }
    let chat = entry.chats.find(({ chatId }) => chatId === rest.chatId);
    if (!chat) {
      chat = { messages: [], myUnreadCount: 0, interlocutorUnreadCount: 0 };
      entry.chats.push(chat);
    }
    Object.assign(chat, rest, { messages: merged(chat.messages, messages) });
  }
}
