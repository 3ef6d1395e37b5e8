// @ts-check
// Owns the list of the documents, with all their cases. Does not know cases.
import { ENGINEIO } from './engineio.mjs';
import { RFC6455 } from './rfc6455.cases.mjs';
import { SOCKETIO } from './socketio.mjs';
import './engineio_requests.cases.mjs';
import './engineio_polling.cases.mjs';
import './engineio_payloads.cases.mjs';
import './engineio_websockets.cases.mjs';
import './socketio_connect.cases.mjs';
import './socketio_packets.cases.mjs';

export const DOCUMENTS = [ENGINEIO[4], ENGINEIO[3], SOCKETIO[4], SOCKETIO[3], RFC6455];
