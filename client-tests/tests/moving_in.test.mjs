// @ts-check
// Owns the promise of docs/MOVING-IN.md: for each front end the document is walked from its first line to its last one, with a
// client that was written for the original, changed in the lines that the document names, a host application with its own
// users, rooms and old messages, and the commands, programs and queries as the document prints them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as django from './moving_in.django.mjs';
import * as marketplace from './moving_in.marketplace.mjs';
import * as socketio from './moving_in.socketio.mjs';
import * as type from './moving_in.type.mjs';
import { CHAPTERS, walk } from './moving_in.walk.mjs';

const MOVES = [django, type, marketplace, socketio];

test('each chapter is walked', () => {
  assert.deepEqual(MOVES.map(({ chapter }) => chapter), CHAPTERS);
});

describe('a front end moves in', () => {
  for (const { chapter, stops } of MOVES) test(chapter, (t) => walk(t, chapter, (place) => stops(t, place)));
});
