// @ts-check
// Owns the client that a front-end developer writes from the document of the action dialect alone: one room on the screen,
// joined and retrieved again after every connect. Shows each message as often as it arrives.
import WebSocket from 'ws';

export class ActionClient {
  me;
  room;
  messages = [];
  members = [];
  /** The frames of which the document says nothing. */
  others = [];
  #url;
  #retryMs;
  #pk;
  #socket;
  #retry;
  #isLeft = false;

  /**
   * @param {string} host as `window.location.host`
   * @param {string} token as the host application keeps it
   * @param {{ id: number }} me the user as the host application knows them
   * @param {{ retryMs?: number }} options
   */
  constructor(host, token, me, { retryMs = 1000 } = {}) {
    this.#retryMs = retryMs;
    this.#url = `ws://${host}/ws/chat/room/?token=${token}`;
    this.me = me;
  }

  /** Shows a room, now and after each reconnect. */
  open(pk) {
    this.#pk = pk;
    this.#connect();
  }

  get isOnline() { return this.#socket?.readyState === WebSocket.OPEN; }

  isMine(message) { return message.user.id === this.me.id; }

  get isOwner() { return this.room.user === this.me.id; }

  /** Sends a message, unless the socket is closed: then the text stays in the input field. */
  write(message) {
    if (!this.isOnline) return false;
    this.#send({ message, action: 'create_message' });
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

  #connect() {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onopen = () => {
      for (const action of ['join_room', 'retrieve', 'subscribe_to_messages_in_room', 'subscribe_instance']) {
        this.#send({ pk: this.#pk, action });
      }
    };
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(`${data}`));
    socket.onerror = () => {}; // `onclose` follows
    socket.onclose = () => {
      if (!this.#isLeft) this.#retry = setTimeout(() => this.#connect(), this.#retryMs);
    };
  }

  #send(request) { this.#socket.send(JSON.stringify({ ...request, request_id: new Date().getTime() })); }

  #receive(frame) {
    switch (frame.action) {
      case 'retrieve':
        this.room = frame.data;
        this.messages = frame.data.messages;
        this.members = frame.data.member;
        break;
      case 'create':
        this.messages.push(frame.data);
        break;
      default:
        if (frame.join_user) this.#welcome(frame.join_user);
        else this.others.push(frame);
    }
  }

  #welcome(users) {
    const known = new Set(this.members.map(({ id }) => id));
    this.members.push(...users.filter(({ id }) => !known.has(id)));
  }
}
