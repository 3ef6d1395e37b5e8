// Owns what a front end of the marketplace would show after what it was told: it trusts every frame, and complains
// where the frames of one connection contradict each other.
import assert from 'node:assert/strict';

const FIRST = 1;

/** The chats of one connection, from its `initial_data` and all frames since. */
export class FrontEnd {
  #visitor;
  #seen = 0;

  constructor(visitor) {
    this.#visitor = visitor;
    this.chats = new Map();
    this.events = new Map();
  }

  /** Catches up with what came; it is safe to ask at any time. */
  get shown() {
    for (; this.#seen < this.#visitor.frames.length; this.#seen++) {
      const { event, data } = this.#visitor.frames[this.#seen];
      this[`on_${event}`]?.(data);
    }
    return this.chats;
  }

  #complain(what, data) {
    assert.fail(`${this.#visitor.name}: ${what}: ${JSON.stringify(data).slice(0, 500)}`);
  }

  on_initial_data(entries) {
    if (this.#seen > 0) this.#complain('initial_data came late, or twice', entries);
    for (const { event, eventOwnerId, chats } of entries) {
      if (this.events.has(event.id)) this.#complain('an event stands there twice', event);
      this.events.set(event.id, { ...event, eventOwnerId });
      for (const chat of chats) {
        if (this.chats.has(chat.chatId)) this.#complain('a chat stands there twice', chat);
        this.#inOrder(chat.messages);
        this.chats.set(chat.chatId, { ...chat, event: event.id });
      }
    }
  }

  on_chat_updates(update) {
    if (this.#seen === 0) this.#complain('chat_updates came before initial_data', update);
    const { event, eventOwnerId, chatId, messages, ...rest } = update;
    this.events.set(event.id, { ...event, eventOwnerId });
    const before = this.chats.get(chatId)?.messages ?? [];
    const expected = (before.at(-1)?.messageId ?? 0) + 1;
    if (messages.length > 0 && messages[0].messageId !== expected) {
      this.#complain(`message ${messages[0].messageId} came where ${expected} should have`, update);
    }
    this.#inOrder(messages);
    this.chats.set(chatId, { chatId, ...rest, event: event.id, messages: [...before, ...messages] });
  }

  on_chat_unread({ chatId, myUnreadCount, interlocutorUnreadCount }) {
    const chat = this.chats.get(chatId);
    if (!chat) this.#complain('chat_unread is about an unknown chat', chatId);
    Object.assign(chat, { myUnreadCount, interlocutorUnreadCount });
  }

  on_history({ chatId, messages }) {
    const chat = this.chats.get(chatId);
    this.#inOrder(messages);
    const known = chat.messages[0]?.messageId ?? FIRST;
    chat.messages = [...messages.filter(({ messageId }) => messageId < known), ...chat.messages];
  }

  #inOrder(messages) {
    for (let index = 1; index < messages.length; index++) {
      if (messages[index].messageId !== messages[index - 1].messageId + 1) {
        this.#complain('messages are not in order', messages);
      }
    }
  }

  /** The newest message's number in a chat, 0 without one. */
  head(chatId) { return this.shown.get(chatId)?.messages.at(-1)?.messageId ?? 0; }

  /** `[mine, the interlocutor's]`: how many messages of a chat are unread. */
  counts(chatId) {
    const chat = this.shown.get(chatId);
    return chat && [chat.myUnreadCount, chat.interlocutorUnreadCount];
  }
}

/** The front end of a connection, made once. */
export function screen(visitor) {
  visitor.screen ??= new FrontEnd(visitor);
  return visitor.screen;
}
