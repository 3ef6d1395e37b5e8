// @ts-check
// Owns the backdating of an SQLite store that is not in use: everything in it has happened days ago afterwards.
import { execFileSync } from 'node:child_process';

const DAY_MS = 86_400_000;
const RECENT_DAYS = 30;

/** Every integer close to the present in milliseconds counts as a time, in any table and column. */
const SCRIPT = `
import sqlite3, sys
path, now, near, back = sys.argv[1], *map(int, sys.argv[2:])
store = sqlite3.connect(path)
moved = 0
for (table,) in store.execute("select name from sqlite_master where type = 'table'").fetchall():
    for column in store.execute(f'pragma table_info("{table}")').fetchall():
        name = column[1]
        moved += store.execute(
            f'update "{table}" set "{name}" = "{name}" - ? '
            f'where typeof("{name}") = \\'integer\\' and "{name}" between ? and ?',
            (back, now - near, now + near)).rowcount
store.commit()
print(moved)
`;

/** Moves every time of the last weeks back by some days. */
export function backdate(path, days) {
  const numbers = [Date.now(), RECENT_DAYS * DAY_MS, days * DAY_MS].map(String);
  const moved = execFileSync('python3', ['-c', SCRIPT, path, ...numbers], { encoding: 'utf8' });
  if (Number(moved) === 0) throw new Error(`found no time in ${path}`);
}
