// Owns the integer ids of messages: which chat and which place in it an id stands for.

/** Szudzik's pairing function. */
export const pair = (a, b) => (a < b ? b * b + a : a * a + a + b);

/** What an integer id was paired from: the chat's pk and the message's number in it. */
export function unpair(id) {
  let root = Math.floor(Math.sqrt(id));
  if (root * root > id) root -= 1;
  const rest = id - root * root;
  const [pk, seq] = rest < root ? [rest, root] : [root, rest - root];
  return { pk, seq };
}
