// @ts-check
// Owns the client that a front-end developer writes from the document of the type dialect alone: a list of chats with their
// unread counts, and one chat on the screen. Shows each message as often as it arrives.
import WebSocket from 'ws';

export class TypeClient {
  me;
  /** The user's chats, once they are known. */
  chats;
  created = [];
  details = new Map();
  messages = new Map();
  /** The frames of which the document says nothing. */
  others = [];
  /** How many histories were loaded. */
  loads = 0;
  #url;
  #retryMs;
  #socket;
  #retry;
  #isLeft = false;
  #shown;
  #lastRead = new Map();

  /**
   * The document shows neither an address nor a token: both are the application's.
   * @param {string} url
   * @param {{ id: number }} me the user as the host application knows them
   * @param {{ retryMs?: number }} options
   */
  constructor(url, me, { retryMs = 1000 } = {}) {
    this.#retryMs = retryMs;
    this.#url = url;
    this.me = me;
  }

  connect() {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onopen = () => {
      this.#send('getChats', {});
      if (this.#shown !== undefined) this.open(this.#shown);
    };
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(`${data}`));
    socket.onerror = () => {}; // `onclose` follows
    socket.onclose = () => {
      if (!this.#isLeft) this.#retry = setTimeout(() => this.connect(), this.#retryMs);
    };
    return this;
  }

  get isOnline() { return this.#socket?.readyState === WebSocket.OPEN; }

  isMine(message) { return message.sender.id === this.me.id; }

  messagesOf(chat) { return this.messages.get(chat) ?? []; }

  /** How many messages of others the user has not seen. */
  unread(chat) {
    const lastRead = this.#lastRead.get(chat) ?? 0;
    const isNew = (message) => !this.isMine(message) && !message.is_read && message.id > lastRead;
    return this.messagesOf(chat).filter(isNew).length;
  }

  createChat() { this.#send('createEmptyChat', {}); }

  /** Shows a chat, now and after each reconnect. */
  open(chat) {
    this.#shown = chat;
    this.#join(chat);
    this.#send('getChatDetails', { chatId: chat });
    this.#send('getChatMessages', { chatId: chat });
  }

  /** The user has seen the chat's messages. */
  read(chat) {
    const last = this.messagesOf(chat).at(-1);
    if (!last) return;
    this.#lastRead.set(chat, last.id);
    this.#join(chat);
  }

  /** Sends a message, unless the socket is closed: then the text stays in the input field. */
  write(chat, text) {
    if (!this.isOnline) return false;
    this.#send('newMessage', { chat, text });
    return true;
  }

  /** The network drops the socket. */
  drop() { this.#socket.terminate(); }

  /** The user closes the page. */
  leave() {
    this.#isLeft = true;
    clearTimeout(this.#retry);
    this.#socket?.terminate();
  }

  /** Joins with the last read message, if there is one. */
  #join(chat) { this.#send('joinChat', { chat, last_read_message: this.#lastRead.get(chat) }); }

  #send(type, data) { this.#socket.send(JSON.stringify({ type, data })); }

  #receive(frame) {
    const { type, data } = frame;
    switch (type) {
      case 'chatsList':
        this.chats = data;
        for (const { id } of data) this.#send('getChatMessages', { chatId: id });
        break;
      case 'emptyChatCreated':
        this.created.push(data);
        break;
      case 'chatJoined': {
        const chat = this.details.get(data.chat);
        const isKnown = chat?.participants.some(({ id }) => id === data.user.id);
        if (chat && !isKnown) chat.participants.push(data.user);
        break;
      }
      case 'chatDetails':
        this.details.set(data.id, data);
        break;
      case 'chatMessages': // an empty list names no chat
        this.loads++;
        if (data.length) this.messages.set(data[0].chat, data);
        break;
      case 'messageCreated':
        this.messages.set(data.chat, [...this.messagesOf(data.chat), data]);
        break;
      default:
        this.others.push(frame);
    }
  }
}
