// Owns the table of `sync` requests that must be refused, in every dialect alike: what is wrong with `chats`.

const deep = (depth) => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`);

/** What is no number of a message. */
const NO_NUMBERS = [
  null, true, false, -1, -0.5, 0.5, 1.5, 1e300, -1e300, 2 ** 63, 2 ** 64, [], [1], [[]], {}, { seq: 1 }, { a: {} },
  '', ' ', '-1', '-0.5', '1.5', '1e3', '0x10', ' 1', '1 ', '1\n', '\u0000', '\u0661', 'one', 'NaN', 'Infinity', 'null',
  'true', '9223372036854775808', '99999999999999999999999', '1_000', '1,000', '😀', 'x'.repeat(5000), deep(50),
];

/** What stands beside a good number, and does not make a bad one good. */
const COMPANY = [[], [0], ['7'], [0, 1, 2]];

/** What is no object of chats. */
const NO_CHATS = [
  undefined, null, true, false, 0, 7, 1.5, '', 'chats', '{}', [], [1], [[]], [{}], [['1', 0]], deep(50), '😀',
  'x'.repeat(5000),
];

/** For `names` of four chats: each what `chats` may hold, and what the error is about. */
export function badSyncs(names) {
  const numbers = NO_NUMBERS.flatMap((number) => names.flatMap((name) => COMPANY.map((company) => {
    const others = names.filter((other) => other !== name);
    return { chats: { ...Object.fromEntries(company.map((seq, index) => [others[index], seq])), [name]: number }, names: name };
  })));
  return [...NO_CHATS.map((chats) => ({ chats, names: 'chats' })), ...numbers];
}

/** What can be the name of no chat: each is answered in its place. */
export const NO_CHAT_NAMES = ['', ' ', '0', '-1', '1.5', 'x', 'null', '__proto__', 'constructor', '99999999999999999999',
  '01890000-0000-7000-8000-000000000000', '01890000-0000-7000-8000', '4000000000', '😀', 'x'.repeat(5000)];
