// @ts-check
// Owns the client that a front-end developer writes from the document of the event-name dialect alone: no token, the user
// is created or fetched after every connect, the chats and their messages are listed again.
//
// The answers name neither the external id nor the chat that was asked for, so the client takes them in the order of its
// requests. The document writes the room of a message beside its event and body; `roomFirst` makes it an argument before
// the body, otherwise it is a field of the body. A message that arrives without its room belongs to the chat on the screen.
import { io } from 'socket.io-client';

const BEGINNING = new Date(0).toISOString();

export class EventNameClient {
  /** The answer of `create-user` to the client's own. */
  user;
  /** The ids of other users by their external ids. */
  peers = new Map();
  /** The user's chats, once they are known. */
  chats;
  created = [];
  messages = new Map();
  shown;
  arrivals = [];
  /** How often the server has said who the client is. */
  sessions = 0;
  socket;
  #externalUserId;
  #roomFirst;
  #askedUsers = [];
  #askedChats = [];

  /**
   * @param {string} url
   * @param {string} externalUserId the user's id in the host application
   * @param {{ roomFirst?: boolean } & Partial<import('socket.io-client').ManagerOptions>} options also of the library
   */
  constructor(url, externalUserId, { roomFirst = false, ...options } = {}) {
    this.#externalUserId = externalUserId;
    this.#roomFirst = roomFirst;
    const socket = io(url, options);
    socket.on('connect', () => {
      this.#askedUsers = [];
      this.#askedChats = [];
      this.#createUser(externalUserId);
    });
    socket.on('create-user', ({ user }) => this.#onUser(user));
    socket.on('create-chat', ({ chat }) => {
      this.created.push(chat);
      this.listChats();
    });
    socket.on('list-chats', ({ chats }) => {
      this.chats = chats;
      for (const { id } of chats) this.listMessages(id);
    });
    socket.on('list-messages', ({ messages }) => this.#onMessages(messages));
    socket.on('new-message', (...answer) => this.#onMessage(answer));
    this.socket = socket;
  }

  get isOnline() { return this.socket.connected; }

  isMine(message) { return message.user_id === this.user.id; }

  messagesOf(chat) {
    const messages = [...(this.messages.get(chat)?.values() ?? [])];
    return messages.sort((a, b) => Date.parse(a.created_at) - Date.parse(b.created_at));
  }

  /** Creates or fetches another user: before a chat with them. */
  meet(externalUserId) { this.#createUser(externalUserId); }

  createChat(name, peers) {
    const users = [this.user.id, ...peers.map((peer) => this.peers.get(peer))];
    this.socket.emit('create-chat', { chat: { name }, users });
  }

  listChats() { this.socket.emit('list-chats', { user: { id: this.user.id } }); }

  listMessages(chat) {
    this.#askedChats.push(chat);
    this.socket.emit('list-messages', { query: { from: BEGINNING, to: new Date().toISOString() }, chat: { id: chat } });
  }

  /** Shows a chat. */
  open(chat) { this.shown = chat; }

  /** Sends a message to the chat on the screen; the library keeps it while there is no connection. */
  write(msg) {
    const body = { msg, type: 'text' };
    if (this.#roomFirst) this.socket.emit('new-message', this.shown, body);
    else this.socket.emit('new-message', { room: this.shown, ...body });
    return true;
  }

  /** The network drops the socket. */
  drop() { this.socket.io.engine.close(); }

  /** The user closes the page. */
  leave() { this.socket.disconnect(); }

  #createUser(externalUserId) {
    this.#askedUsers.push(externalUserId);
    this.socket.emit('create-user', { user: { externalUserId } });
  }

  #onUser(user) {
    const asked = this.#askedUsers.shift();
    if (asked !== this.#externalUserId) {
      this.peers.set(asked, user.id);
      return;
    }
    this.user = user;
    this.sessions++;
    this.listChats();
  }

  #onMessages(messages) {
    const chat = this.#askedChats.shift();
    if (chat === undefined) return;
    for (const message of messages) this.#show(chat, message);
  }

  #onMessage(answer) {
    const body = answer.find((value) => typeof value === 'object');
    const room = answer.find((value) => typeof value === 'string') ?? body.room ?? this.shown;
    this.arrivals.push(body);
    this.#show(room, body);
  }

  #show(chat, message) {
    const messages = this.messages.get(chat) ?? new Map();
    messages.set(message.id, message);
    this.messages.set(chat, messages);
  }
}
