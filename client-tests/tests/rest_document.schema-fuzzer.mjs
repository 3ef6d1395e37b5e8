// @ts-check
// Owns random values that match a schema, or nearly, or not at all.

const WILD = [
  null, true, -1, 0, 1.5, 2 ** 53, -(2 ** 63), 1e300, '', ' ', 'x', '\u0000', '😀', 'x'.repeat(300), [], {}, [[]],
  { a: 1 }, '1', '01890000-0000-7000-8000-000000000000',
];

const DEEPEST = 4;

/** A value for this schema; `resolve` follows a reference in it. */
export function generateValue(schema, resolve, dice, depth = 0) {
  const { pick, below } = dice;
  const inner = (part) => generateValue(part, resolve, dice, depth + 1);
  if (below(6) === 0 || depth > DEEPEST) return pick(WILD);
  const choices = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (schema.$ref) return inner(resolve(schema.$ref));
  if (choices) return inner(pick(choices));
  if (schema.enum) return pick(schema.enum);
  const { minimum = 0, maximum = 7, maxLength = 40 } = schema;
  switch ([schema.type].flat()[0]) {
    case 'object': {
      const entries = Object.entries(schema.properties ?? {}).filter(() => below(8) > 0);
      if (below(10) === 0) entries.push(['extra', { type: 'string' }]);
      return Object.fromEntries(entries.map(([key, value]) => [key, inner(value)]));
    }
    case 'array': return Array.from({ length: pick([0, 1, 2, 25]) }, () => inner(schema.items ?? {}));
    case 'integer': return pick([minimum, maximum, minimum - 1, maximum + 1, 1, 2, 1_957_817_098]);
    case 'boolean': return below(2) === 0;
    default: return pick(['text', 'x'.repeat(maxLength), 'x'.repeat(maxLength + 1), '1', 'ü']);
  }
}
