// @ts-check
// Owns the reading of the server's OpenAPI document: its operations, and the check of responses against their schemas.
import assert from 'node:assert/strict';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
const NAME = 'openapi';

const escaped = (key) => key.replaceAll('~', '~0').replaceAll('/', '~1');

/** The document; references in it are followed. */
export class Description {
  #ajv = new Ajv2020({ strict: false, allErrors: true });

  static async of({ url }) {
    const response = await fetch(`${url}/api/v1/openapi.json`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
    return new Description(await response.json());
  }

  constructor(document) {
    this.document = document;
    addFormats.default(this.#ajv);
    this.#ajv.addSchema({ $id: NAME, ...document });
  }

  #resolved(path) {
    const found = path.reduce((part, key) => part?.[key], this.document);
    if (!found?.$ref) return { path, found };
    return this.#resolved(found.$ref.slice('#/'.length).split('/'));
  }

  /** Every operation: its id, its method, its path with names in braces, and the description itself. */
  operations() {
    return Object.entries(this.document.paths).flatMap(([path, item]) => (
      METHODS.filter((method) => item[method]).map((method) => (
        { id: item[method].operationId, method: method.toUpperCase(), path, ...item[method] }
      ))
    ));
  }

  /** Where the schema of an answer's or a request's body is; undefined: there is no body. */
  #schemaAt(path, type) {
    const { path: resolved, found } = this.#resolved(path);
    assert.ok(found, `${path.join('/')} is not described`);
    if (!found.content) return undefined;
    assert.ok(found.content[type], `${path.join('/')} is not described as ${type}`);
    return [...resolved, 'content', type, 'schema'];
  }

  #check(pointer, body, what) {
    const validate = this.#ajv.compile({ $ref: `${NAME}#/${pointer.map(escaped).join('/')}` });
    const fits = validate(body);
    const shown = JSON.stringify(body)?.slice(0, 1000);
    assert.ok(fits, `${what}: ${this.#ajv.errorsText(validate.errors)}\n${shown}`);
  }

  /** Asserts that a response has a described status, and its described media type, headers and body. */
  assertDescribes({ path, method, id }, answer) {
    const at = ['paths', path, method.toLowerCase(), 'responses', `${answer.status}`];
    const what = `${id} was answered ${answer.status}`;
    const { found } = this.#resolved(at);
    assert.ok(found, `${what}, which is not described: ${answer.text}`);
    for (const header of Object.keys(found.headers ?? {})) {
      assert.ok(answer.headers.has(header), `${what} without ${header}`);
    }
    if (!found.content) return assert.equal(answer.text, '', what);
    return this.#check(this.#schemaAt(at, answer.type), answer.body, what);
  }

  /** Whether a body matches an operation's schema. */
  takes({ path, method }, body) {
    const pointer = this.#schemaAt(['paths', path, method.toLowerCase(), 'requestBody'], 'application/json');
    assert.ok(pointer, `${method} ${path} takes no body`);
    return this.#ajv.compile({ $ref: `${NAME}#/${pointer.map(escaped).join('/')}` })(body);
  }

  /** The schema of the body that an operation takes, with its reference followed; undefined: it takes none. */
  bodyOf({ path, method, requestBody }) {
    if (!requestBody) return undefined;
    const pointer = this.#schemaAt(['paths', path, method.toLowerCase(), 'requestBody'], 'application/json');
    return this.#resolved(pointer).found;
  }
}

/** The path with these values in place of its parameters. */
export const filled = (path, values) => path.replaceAll(/\{(\w+)\}/g, (_, name) => {
  assert.ok(name in values, `${path} needs a value for ${name}`);
  return encodeURIComponent(values[name]);
});
