// @ts-check
// Owns a sender for each way to send a message, and the form in which each is refused when it is too fast.
import assert from 'node:assert/strict';
import * as action from '../clients/action.mjs';
import { chatOf, connectUser, history } from '../clients/fixtures.mjs';
import { enterSocketIo, enterWebSocket } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import * as type from '../clients/type-data.mjs';
import { Changes } from '../harness/wait.mjs';

/** How long to wait after a refusal. */
function waitOf({ code, retry_after_ms }) {
  assert.equal(code, 'rate_limited');
  assert.ok(Number.isSafeInteger(retry_after_ms) && retry_after_ms > 0, `retry_after_ms is ${retry_after_ms}`);
  return retry_after_ms;
}

/** Answers without a request id. A refusal may overtake a delivered message. */
class Nameless {
  #answers = [];
  #asked = 0;
  #changes = new Changes();

  came(answer) {
    this.#answers.push(answer);
    this.#changes.happened();
  }

  next() {
    const index = this.#asked++;
    const come = () => index in this.#answers && { answer: this.#answers[index] };
    return this.#changes.until(come, () => `answer ${index + 1}`).then(({ answer }) => answer);
  }
}

async function eventName(t, server, ask) {
  const who = await connectUser(t, server, 'fast');
  const chat = await chatOf(who);
  const sendMessage = ask(who.socket, chat);
  return { sendMessage, flood: (text) => who.socket.emit('new-message', { room: chat.id, msg: text }), who,
    stored: async () => (await history(who, chat)).length };
}

const withAck = (socket, chat) => async (text) => {
  const { error } = await socket.timeout(20_000).emitWithAck('new-message', { room: chat.id, msg: text });
  return error && waitOf(error);
};

const withoutAck = (socket, chat) => {
  const answers = new Nameless();
  socket.on('new-message', () => answers.came(undefined));
  socket.on('exception', (delivered) => {
    assert.equal(delivered.event, 'new-message');
    answers.came(waitOf(delivered.error));
  });
  return (text) => {
    socket.emit('new-message', { room: chat.id, msg: text });
    return answers.next();
  };
};

async function marketplace(t, server, enter) {
  const host = new Backend(server);
  const owner = await host.user('owner');
  const guest = await host.user('guest');
  const chat = await host.eventChat(await host.event(owner), guest);
  const connection = await enter(t, server, guest);
  const answers = new Nameless();
  const receive = connection.receive.bind(connection);
  connection.receive = ({ event, data }) => {
    receive({ event, data });
    if (event === 'debug_info') answers.came(waitOf(data));
    if (event === 'chat_updates') answers.came(undefined);
  };
  const body = (text) => ({ chatId: chat.chatId, message: { text } });
  return {
    sendMessage: (text) => {
      connection.send('send_message', body(text));
      return answers.next();
    },
    stored: async () => (await host.all(`/chats/${chat.chatId}/messages?after_seq=0`, 'messages', 1000)).flat().length,
  };
}

async function byAction(t, server) {
  const who = await action.connectAction(t, server, 'fast', { acks: true });
  const pk = await action.newRoom(who);
  await action.ask(who, 'join_room', { pk });
  const sendMessage = async (message) => {
    const reply = await who.wire.ask({ action: 'create_message', message, pk });
    if (reply.response_status === 200) return undefined;
    action.isReply(reply, 'create_message', 429);
    const [, wait] = /retry_after_ms: (\d+)/.exec(reply.errors[0]) ?? assert.fail(`it does not say how long to wait: ${reply.errors[0]}`);
    return Number(wait);
  };
  const stored = async () => (await action.room(who, pk)).messages.length;
  return { sendMessage, stored, who, flood: (message) => action.send(who, 'create_message', { message, pk }) };
}

async function byType(t, server, token) {
  const who = await type.connectType(t, server, 'fast', { token });
  const chat = await type.chatOf(who);
  const sendMessage = async (text) => {
    const answer = await who.wire.ask({ type: 'newMessage', data: { chat, text } });
    if (answer.type === 'messageCreated') return undefined;
    assert.equal(answer.type, 'error');
    return waitOf(answer);
  };
  const flood = (text) => who.wire.send({ type: 'newMessage', data: { chat, text } });
  return { sendMessage, flood, who, chat, stored: async () => (await type.messages(who, chat)).length };
}

async function byRest(t, server) {
  const host = new Backend(server);
  const user = await host.user('fast');
  const chat = await host.chat(user);
  const sendMessage = async (text) => {
    const answer = await host.call('POST', `/chats/${chat.id}/messages`, { userId: user.id, text });
    if (answer.status === 201) return undefined;
    assert.equal(answer.status, 429, answer.text);
    const wait = waitOf(answer.body);
    assert.equal(answer.headers.get('retry-after'), `${Math.ceil(wait / 1000)}`);
    return wait;
  };
  const stored = async () => (await host.all(`/chats/${chat.id}/messages?after_seq=0`, 'messages', 1000)).flat().length;
  return { sendMessage, stored };
}

/** Every way to send: `sendMessage` returns undefined, or how long to wait; `stored` counts the stored messages. */
export const SENDERS = {
  'event-name with acknowledgement': (t, server) => eventName(t, server, withAck),
  'event-name without acknowledgement': (t, server) => eventName(t, server, withoutAck),
  'marketplace over Socket.IO': (t, server) => marketplace(t, server, enterSocketIo),
  'marketplace over a raw WebSocket': (t, server) => marketplace(t, server, enterWebSocket),
  action: byAction,
  type: byType,
  REST: byRest,
};
