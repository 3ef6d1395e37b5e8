// @ts-check
// Owns the list of cases in which polychat and Node's server differ, or in which both differ from the document, each with
// its reason. The observed values have to be those here: an entry that no longer holds fails its case. The table in
// docs/CONFORMANCE.md is made of this list.

const ENGINEIO = ['Engine.IO 4', 'Engine.IO 3'];
const SOCKETIO = ['Socket.IO 5', 'Socket.IO 4'];
const GOES_ON = 'the session goes on';
const ENDS = 'the session ends';

/** Not specified by the document. */
const OPEN = '';

/**
 * `says`: what the document says, if it says anything.
 * @typedef {{ documents: string[], title: string, says: string, polychat: string, node: string, reason: string }} Difference
 * @type {Difference[]}
 */
export const DIFFERENCES = [
  // Engine.IO: requests.
  {
    documents: ENGINEIO, title: 'the path without its last slash', says: OPEN, polychat: '200', node: '404',
    reason: 'Clients of other languages leave it out; polychat serves every address with and without it.',
  },
  {
    documents: ENGINEIO, title: 'the client as a file', says: OPEN, polychat: '404', node: '200',
    reason: 'polychat does not ship the client: the answer says where to get it.',
  },
  {
    documents: ENGINEIO, title: 'no version of the protocol', says: 'a missing parameter is answered 400',
    polychat: 'polling: 400, code 5; websocket: 400, code 5', node: 'polling: 200; websocket: 101',
    reason: 'The document. Node\'s server takes any version but 4 for 3.',
  },
  {
    documents: ['Engine.IO 4'], title: 'a version that there is not', says: OPEN,
    polychat: 'polling: 400, code 5; websocket: 400, code 5', node: 'polling: 200; websocket: 101',
    reason: 'The version is not served, and the error says so. Node\'s server takes any version but 4 for 3.',
  },
  {
    documents: ENGINEIO, title: 'another method within a session', says: OPEN, polychat: '400, code 3', node: '500',
    reason: 'It is the client\'s mistake, not the server\'s.',
  },
  {
    documents: ENGINEIO, title: 'an error has Cache-Control: no-store', says: OPEN, polychat: 'no-store', node: 'no',
    reason: 'A cached error would outlive its cause.',
  },
  {
    documents: ['Engine.IO 3'], title: 'JSONP polling', says: 'a server supports it', polychat: '400, code 3', node: '200, a script',
    reason: 'It loads scripts from another origin; every browser since 2012 has CORS.',
  },
  // Engine.IO: bodies.
  {
    documents: ENGINEIO, title: 'two bodies of a session at once', says: 'the second one is answered 400, and the session is closed',
    polychat: `200,200; ${GOES_ON}`, node: `400,no response; ${ENDS}`,
    reason: 'They are handled in the order in which they began, so nothing is out of order; a client behind a slow proxy is not cut off.',
  },
  {
    documents: ENGINEIO, title: 'three bodies of a session at once', says: 'all but the first one are answered 400, and the session is closed',
    polychat: `the third: 429, code 4; ${GOES_ON}`, node: `the third: 400, code 1; ${ENDS}`,
    reason: 'One is handled and one waits; the third is refused before it is read.',
  },
  {
    documents: ENGINEIO, title: 'a session with a body that is too long', says: OPEN, polychat: ENDS, node: GOES_ON,
    reason: 'The packets in it are lost: with the session the client learns that, and no gap is silent.',
  },
  {
    documents: ENGINEIO, title: 'the response to a body that ends the session', says: OPEN, polychat: '400, code 3', node: '200',
    reason: 'The client learns at once that the body was not taken.',
  },
  {
    documents: ENGINEIO, title: 'OPEN of a client in a body', says: 'OPEN is the server\'s', polychat: ENDS, node: GOES_ON,
    reason: 'It is a violation like any other packet that a client may not send.',
  },
  {
    documents: ENGINEIO, title: 'OPEN of a client in a frame', says: 'OPEN is the server\'s', polychat: ENDS, node: GOES_ON,
    reason: 'It is a violation like any other packet that a client may not send.',
  },
  {
    documents: ENGINEIO, title: 'CLOSE in a frame', says: 'CLOSE asks for the end of the transport', polychat: ENDS, node: GOES_ON,
    reason: 'The document. Node\'s server reads CLOSE in bodies only; its clients close the WebSocket itself.',
  },
  {
    documents: ENGINEIO, title: 'an empty body', says: OPEN, polychat: GOES_ON, node: ENDS,
    reason: 'It holds no packet, so there is nothing wrong with one.',
  },
  {
    documents: ['Engine.IO 4'], title: 'a separator at the end', says: OPEN, polychat: GOES_ON, node: ENDS,
    reason: 'No packet follows, and none is lost.',
  },
  {
    documents: ['Engine.IO 4'], title: 'base64 with letters that it does not have', says: 'binary data is base64', polychat: ENDS, node: GOES_ON,
    reason: 'Bytes that cannot be read are not guessed. Node\'s decoder leaves out what it does not know.',
  },
  {
    documents: ['Engine.IO 4'], title: 'base64 without its padding', says: 'binary data is base64', polychat: ENDS, node: GOES_ON,
    reason: 'Base64 of RFC 4648 has its padding, and every client sends it.',
  },
  {
    documents: ['Engine.IO 4'], title: 'a body that is not UTF-8', says: 'texts are UTF-8', polychat: ENDS, node: GOES_ON,
    reason: 'As in a WebSocket\'s frame: a text that cannot be read is not stored with other letters.',
  },
  {
    documents: ['Engine.IO 3'], title: 'a packet of no characters', says: 'a packet has a type', polychat: ENDS, node: GOES_ON,
    reason: 'What is no packet is a violation, in a body as in a frame.',
  },
  {
    documents: ['Engine.IO 3'], title: 'a binary frame without bytes', says: 'a packet has a type', polychat: ENDS, node: GOES_ON,
    reason: 'What is no packet is a violation, in a body as in a frame.',
  },
  {
    documents: ['Engine.IO 3'], title: 'a body of bytes that ends within a packet', says: OPEN, polychat: ENDS, node: GOES_ON,
    reason: 'Half a packet is not handled as if it were whole.',
  },
  {
    documents: ['Engine.IO 3'], title: 'a body of bytes that has no end of a length', says: OPEN, polychat: GOES_ON, node: ENDS,
    reason: 'The decoder of `engineioxide-core` reads no packet from what has no end of its length. No client sends it.',
  },
  {
    documents: ['Engine.IO 3'], title: 'a body of bytes that is neither text nor bytes', says: 'a packet begins with 0 or 1', polychat: ENDS, node: GOES_ON,
    reason: 'What is no packet is a violation.',
  },
  {
    documents: ['Engine.IO 3'], title: 'a body of bytes that has an unknown binary packet', says: OPEN, polychat: ENDS, node: GOES_ON,
    reason: 'An unknown type is a violation, in bytes as in texts.',
  },
  {
    documents: ['Engine.IO 3'], title: 'the text of a PING in its PONG', says: 'PONG has the text of the PING', polychat: '3', node: '3',
    reason: 'As Node\'s server has it: clients give a text in probes only, and those are answered with it.',
  },
  // Engine.IO: upgrades.
  {
    documents: ENGINEIO, title: 'a second WebSocket of a session that began as one', says: 'it is closed', polychat: 'it is closed', node: 'it is answered 3probe',
    reason: 'The document. Node\'s server moves such a session to any client that knows its id.',
  },
  {
    documents: ENGINEIO, title: 'polls that UPGRADE overtakes', says: 'they are answered with NOOP', polychat: 'the packets 6', node: 'the packets 1',
    reason: 'The document: some clients end the session when CLOSE comes.',
  },
  {
    documents: ENGINEIO, title: 'UPGRADE without a probe before it', says: 'the client sends a probe first',
    polychat: `the WebSocket is closed, ${GOES_ON}`, node: 'it upgrades',
    reason: 'A WebSocket that was never probed might swallow what is sent.',
  },
  {
    documents: ENGINEIO, title: 'a probe that is sent twice', says: 'UPGRADE follows the probe',
    polychat: `the WebSocket is closed, ${GOES_ON}`, node: 'it upgrades',
    reason: 'The exchange has three packets. The session goes on by polling, and may be upgraded again.',
  },
  // Socket.IO: namespaces.
  {
    documents: SOCKETIO, title: 'CONNECT to a namespace that is connected', says: OPEN, polychat: GOES_ON, node: ENDS,
    reason: 'It asks for what already is.',
  },
  {
    documents: ['Socket.IO 5'], title: 'events right behind CONNECT, in one TCP segment', says: 'data is exchanged once CONNECT is answered',
    polychat: `it is answered, ${GOES_ON}`, node: `it is not answered, ${ENDS}`,
    reason: 'Packets are handled in their order, so the namespace is connected by then.',
  },
  {
    documents: ['Socket.IO 5'], title: 'CONNECT with a payload that is no object', says: 'the payload is an object', polychat: GOES_ON, node: ENDS,
    reason: 'It is read as no authentication: a client without a token, which is refused where one is needed.',
  },
  {
    documents: ['Socket.IO 5'], title: 'a query behind a namespace', says: OPEN, polychat: 'it is connected',
    node: 'it is answered 44/events?token=anna,{"message":"Invalid namespace"}',
    reason: 'The query is cut off as in protocol 4, and not read; clients of protocol 5 send none.',
  },
  {
    documents: SOCKETIO, title: 'an event right behind DISCONNECT, in one TCP segment', says: OPEN,
    polychat: `it is not answered, ${GOES_ON}`, node: `it is answered, ${GOES_ON}`,
    reason: 'Packets are handled in their order, so the namespace is left by then.',
  },
  {
    documents: SOCKETIO, title: 'an event to a namespace that was left', says: OPEN, polychat: GOES_ON, node: ENDS,
    reason: 'A client may have sent it before it knew; other namespaces of the session are not cut off for that.',
  },
  {
    documents: SOCKETIO, title: 'DISCONNECT from a namespace that is not connected', says: OPEN, polychat: GOES_ON, node: ENDS,
    reason: 'It asks for what already is.',
  },
  {
    documents: SOCKETIO, title: 'DISCONNECT with data', says: 'it has none', polychat: GOES_ON, node: ENDS,
    reason: 'What stands behind it is not read.',
  },
  {
    documents: SOCKETIO, title: 'CONNECT right behind DISCONNECT, 40 times, each pair in one piece', says: OPEN,
    polychat: '40 are answered', node: '0 are answered',
    reason: 'It is what `disconnect(); connect()` sends; Node\'s server takes it for a second CONNECT, and ends the session.',
  },
  // Socket.IO: events.
  {
    documents: SOCKETIO, title: 'a name that is neither a text nor a number', says: 'the payload is an array', polychat: 'it is answered invalid', node: ENDS,
    reason: 'An event that cannot be named is answered like one that is not known; the other requests of the session are not cut off.',
  },
  {
    documents: SOCKETIO, title: 'a name that the library of Node uses itself', says: OPEN, polychat: 'it is answered invalid', node: ENDS,
    reason: 'These names mean nothing to polychat.',
  },
  {
    documents: SOCKETIO, title: 'an event without a payload', says: 'the connection is closed', polychat: ENDS, node: GOES_ON,
    reason: 'The document.',
  },
  {
    documents: SOCKETIO, title: 'an id beyond 64 bits', says: 'an id is an integer',
    polychat: `it is answered 42, ${GOES_ON}`, node: `it is answered 431.2345678901234568e+29, ${GOES_ON}`,
    reason: 'No client counts so far. The event is handled as one without an id; Node\'s server answers with another number.',
  },
  {
    documents: SOCKETIO, title: 'an ACK whose payload is no array', says: 'the payload is an array', polychat: GOES_ON, node: ENDS,
    reason: 'polychat asks for no acknowledgements, and reads none.',
  },
  {
    documents: SOCKETIO, title: 'an ACK whose payload is no JSON', says: 'the payload is an array', polychat: GOES_ON, node: ENDS,
    reason: 'polychat asks for no acknowledgements, and reads none.',
  },
  {
    documents: SOCKETIO, title: 'no attachments', says: OPEN, polychat: `it is answered, ${GOES_ON}`, node: `it is not answered, ${ENDS}`,
    reason: 'A BINARY_EVENT that announces none is whole at once.',
  },
  {
    documents: SOCKETIO, title: 'eleven attachments', says: OPEN, polychat: GOES_ON, node: ENDS,
    reason: 'The limit is 16 here and 10 there; no request takes any.',
  },
  {
    documents: SOCKETIO, title: 'a placeholder for an attachment that there is not', says: OPEN, polychat: GOES_ON, node: ENDS,
    reason: 'An event with attachments is answered `invalid` whatever its placeholders are.',
  },
  // RFC 6455.
  {
    documents: ['RFC 6455'], title: 'a handshake in HTTP/1.0', says: 'the version is at least 1.1', polychat: '400', node: '101',
    reason: 'The document.',
  },
  {
    documents: ['RFC 6455'], title: 'a list of protocols in Upgrade, with websocket among them', says: 'the header contains "websocket"', polychat: '101', node: '400',
    reason: 'The header is a list by RFC 9110.',
  },
  {
    documents: ['RFC 6455'], title: 'two lines Upgrade', says: 'the header contains "websocket"', polychat: '101', node: '400',
    reason: 'Lines of one name are one list by RFC 9110.',
  },
  {
    documents: ['RFC 6455'], title: 'a handshake without Host', says: 'there is one', polychat: '400', node: '101',
    reason: 'The document.',
  },
  {
    documents: ['RFC 6455'], title: 'a handshake with two lines Host', says: 'there is one', polychat: '400', node: '101',
    reason: 'RFC 9112 demands it: which host is meant is not guessed.',
  },
  {
    documents: ['RFC 6455'], title: 'a target that is an absolute URI', says: 'it may be one', polychat: '101', node: 'no response',
    reason: 'The document.',
  },
  {
    documents: ['RFC 6455'], title: 'subprotocols are offered', says: 'the server may agree on one', polychat: 'agreed on: none', node: 'agreed on: chat',
    reason: 'None is spoken, so none is agreed on. Node\'s server names the first one, whatever it is.',
  },
  {
    documents: ['RFC 6455'], title: 'malformed subprotocols are offered', says: OPEN, polychat: '101', node: '400',
    reason: 'The header is not read.',
  },
  {
    documents: ['RFC 6455'], title: 'version 8, a draft', says: 'the version is 13', polychat: '400', node: '101',
    reason: 'The document.',
  },
];
