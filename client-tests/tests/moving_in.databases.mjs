// @ts-check
// Owns the databases of the host applications of a move: their tables with the old conversations, and the rows that are
// written after the first import. Does not run them.

const USERS = "(14, 'anna'), (16, 'boris')";

/** A Django application's. */
export const DJANGO = {
  before: `
    CREATE TABLE auth_user (id INTEGER PRIMARY KEY, username TEXT);
    CREATE TABLE chat_room (id INTEGER PRIMARY KEY, name TEXT, host_id INTEGER);
    CREATE TABLE chat_room_current_users (id INTEGER PRIMARY KEY, room_id INTEGER, user_id INTEGER);
    CREATE TABLE chat_message (id INTEGER PRIMARY KEY, room_id INTEGER, user_id INTEGER, text TEXT, created_at TEXT);
    INSERT INTO auth_user VALUES ${USERS};
    INSERT INTO chat_room VALUES (7, 'Python', 14);
    INSERT INTO chat_room_current_users (room_id, user_id) VALUES (7, 14), (7, 16);
    INSERT INTO chat_message VALUES
      (8811, 7, 14, 'Hi world!!!', '2021-12-08 16:34:41.242824'),
      (8812, 7, 16, 'Привет!', '2021-12-08 16:34:42'),
      (8813, 7, 14, 'same second', '2021-12-08 16:34:42');`,
  rest: `
    INSERT INTO chat_message VALUES (8820, 7, 16, 'written after the import', '2022-01-02 03:04:05.678901');`,
};

/** That of an application with the type front end. */
export const TYPE = {
  before: `
    CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT);
    CREATE TABLE chats (id INTEGER PRIMARY KEY, created_at TEXT);
    CREATE TABLE participants (chat_id INTEGER, user_id INTEGER);
    CREATE TABLE messages (id INTEGER PRIMARY KEY, chat_id INTEGER, sender_id INTEGER, text TEXT, timestamp TEXT,
      is_read INTEGER);
    INSERT INTO users VALUES ${USERS};
    INSERT INTO chats VALUES (7, '2024-05-01T08:00:00Z');
    INSERT INTO participants VALUES (7, 14), (7, 16);
    INSERT INTO messages VALUES
      (501, 7, 14, 'Hello', '2024-05-01T10:00:00.000Z', 1),
      (502, 7, 14, 'Привет!', '2024-05-01T10:00:01.500Z', 1),
      (503, 7, 14, 'not read yet', '2024-05-01T10:00:02.000Z', 0);`,
  rest: `
    INSERT INTO messages VALUES (504, 7, 16, 'written after the import', '2024-05-02T10:00:00.000Z', 0);`,
};

/** That of a marketplace. */
export const MARKETPLACE = {
  before: `
    CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, image_uuid TEXT);
    CREATE TABLE events (id INTEGER PRIMARY KEY, owner_id INTEGER, name TEXT, icons TEXT, location TEXT, date_from INTEGER,
      date_to INTEGER);
    CREATE TABLE chats (id TEXT PRIMARY KEY, event_id INTEGER, guest_id INTEGER, access TEXT, owner_has_read INTEGER,
      guest_has_read INTEGER);
    CREATE TABLE messages (chat_id TEXT, number INTEGER, sender_id INTEGER, text TEXT, photos TEXT, date TEXT);
    INSERT INTO users VALUES (14, 'Anna', 'uuid1'), (16, 'Boris', NULL);
    INSERT INTO events VALUES (10, 14, 'Picnic', '["icon uuid1"]', 'ONLINE', 1772359200, 1772366400);
    INSERT INTO chats VALUES ('picnic-16', 10, 16, 'asked', 1, 2);
    INSERT INTO messages VALUES
      ('picnic-16', 1, 16, 'Привет!', '["uuid1","uuid2"]', '2025-03-01T13:51:53.285Z'),
      ('picnic-16', 2, 14, 'Hello', '[]', '2025-03-01T13:52:00.000Z'),
      ('picnic-16', 3, 16, 'May I come?', '[]', '2025-03-01T13:53:00.000Z');`,
  rest: `
    INSERT INTO messages VALUES ('picnic-16', 4, 16, 'written after the import', '[]', '2025-03-02T10:00:00.000Z');`,
};

/** That of an old chat server with the event-name protocol. */
export const EVENT_NAME = {
  before: `
    CREATE TABLE users (id TEXT PRIMARY KEY, external_id TEXT, created_at TEXT);
    CREATE TABLE chats (id TEXT PRIMARY KEY, name TEXT, created_at TEXT);
    CREATE TABLE members (chat_id TEXT, user_id TEXT);
    CREATE TABLE messages (id TEXT PRIMARY KEY, chat_id TEXT, user_id TEXT, msg TEXT, type TEXT, created_at TEXT);
    INSERT INTO users VALUES ('u-anna', '14', '2023-01-01T00:00:00Z'), ('u-boris', '16', '2023-01-02T00:00:00Z');
    INSERT INTO chats VALUES ('c-7', 'chat-name', '2023-01-03T00:00:00Z');
    INSERT INTO members VALUES ('c-7', 'u-anna'), ('c-7', 'u-boris');
    INSERT INTO messages VALUES
      ('m-1', 'c-7', 'u-anna', 'message', 'text', '2023-01-04T00:00:00.000Z'),
      ('m-2', 'c-7', 'u-boris', 'Привет!', 'text', '2023-01-04T00:00:01.000Z'),
      ('m-3', 'c-7', 'u-anna', 'a picture', 'image', '2023-01-04T00:00:02.000Z');`,
  rest: `
    INSERT INTO messages VALUES ('m-4', 'c-7', 'u-boris', 'written after the import', 'text', '2023-01-05T00:00:00.000Z');`,
};
