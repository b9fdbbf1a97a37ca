/**
 * `logtender templates apply` against a cluster that answers as its script says: what stops it, and what is left out.
 *
 * Answers as seen on Elasticsearch 7.17, 8.19 and 9.5 and OpenSearch 2.19 and 3.6 (test/cluster), that of Elastic Cloud Serverless as its
 * documentation has it.
 */
import assert from 'node:assert/strict';
import { runTemplates } from '../../../src/cli/templates.ts';
import { ScriptedServer } from '../../fakes/scripted-server.ts';
import type { Answer } from '../../fakes/scripted-server.ts';

const ROOT = { status: 200, headers: { 'x-elastic-product': 'Elasticsearch' }, body: '{"version":{"number":"9.5.3"}}' };
const TAKEN = { status: 200, body: '{"acknowledged":true}' };
const error = (status: number, type: string): Answer => ({
  status,
  body: JSON.stringify({ error: { type, reason: 'words' }, status }),
});
const NO_HANDLER = {
  status: 400,
  body: '{"error":"no handler found for uri [/_ilm/policy/logtender] and method [PUT]"}',
};

interface Sent {
  readonly call: string;
  readonly body: string;
}

describe('logtender templates apply', () => {
  let answers: (call: string, body: string) => Answer = () => TAKEN;
  let sent: Sent[] = [];
  const server = new ScriptedServer((request, body) => {
    const call = `${request.method ?? ''} ${request.url ?? ''}`;
    sent.push({ call, body: body.toString() });
    return call === 'GET /' ? ROOT : answers(call, body.toString());
  });
  before(() => server.start());
  after(() => server.stop());
  beforeEach(() => {
    sent = [];
    answers = () => TAKEN;
    server.faults.length = 0;
  });

  async function apply(...args: string[]): Promise<{ code: number; text: string }> {
    let text = '';
    const write = (part: string): void => void (text += part);
    const io = { read: async () => '', out: write, err: write, hasColour: false };
    return { code: await runTemplates(['apply', '--url', server.url, ...args], io, {}), text };
  }

  const policyAnswers = (answer: Answer) => (call: string) => (call.includes('_index_template') ? TAKEN : answer);
  const templates = (): Sent[] => sent.filter(({ call }) => call.includes('_index_template'));

  it('puts the policy, then the template that names it and switches the failure store off', async () => {
    const { code, text } = await apply();
    assert.equal(code, 0, text);
    assert.deepEqual(
      sent.map(({ call }) => call),
      ['GET /', 'PUT /_ilm/policy/logtender', 'PUT /_index_template/logtender'],
    );
    assert.match(templates()[0]?.body ?? '', /"index.lifecycle.name":"logtender"/);
    assert.match(templates()[0]?.body ?? '', /"data_stream_options":{"failure_store":{"enabled":false}}/);
  });

  const REFUSED = [
    error(401, 'security_exception'),
    error(403, 'security_exception'),
    error(400, 'illegal_argument_exception'),
    error(404, 'resource_not_found_exception'),
    error(500, 'null_pointer_exception'),
    { status: 503, body: 'Service Unavailable' },
    { status: 410, body: 'Gone' },
    { status: 429, body: '' },
    // What stands before a cluster.
    { status: 404, body: 'Not Found' },
    { status: 404, body: '{"message":"no Route matched with those values"}' },
    { status: 405, body: '<html>Not Allowed</html>' },
  ];
  for (const flavour of ['elasticsearch', 'opensearch']) {
    for (const answer of REFUSED) {
      it(`${flavour}: writes no template when the policy is answered with ${answer.status}`, async () => {
        // For OpenSearch a 404 to the question whether there is a policy is no refusal.
        answers = (call) => (call.startsWith('GET') ? { status: 404, body: '' } : policyAnswers(answer)(call));
        const { code, text } = await apply('--flavour', flavour);
        assert.equal(code, 1, text);
        assert.deepEqual(templates(), []);
        assert.match(text, new RegExp(`polic(y|ies)/logtender: not applied: ${answer.status}`));
        assert.match(text, /--without-policy/);
      });
    }

    for (const answer of [
      NO_HANDLER,
      { status: 405, body: '{"error":"Incorrect HTTP method for uri","status":405}' },
      error(400, 'invalid_index_name_exception'),
      error(410, 'api_not_available_exception'),
    ]) {
      it(`${flavour}: the template goes without where the cluster has no such API (${answer.status})`, async () => {
        answers = policyAnswers(answer);
        const { code, text } = await apply('--flavour', flavour);
        assert.equal(code, 0, text);
        assert.match(text, /no such API, the template goes without a policy/);
        assert.equal(templates().length, 1);
        assert.doesNotMatch(templates()[0]?.body ?? '', /lifecycle/);
      });
    }
  }

  it('OpenSearch: a policy that may not be read stops it too', async () => {
    answers = policyAnswers(error(403, 'security_exception'));
    const { code } = await apply('--flavour', 'opensearch');
    assert.equal(code, 1);
    assert.deepEqual(templates(), []);
    assert(sent.every(({ call }) => call.startsWith('GET')));
  });

  it('a 403 names the right that is missing, by what was asked; that of a gateway names none', async () => {
    const refused = error(403, 'security_exception');
    answers = policyAnswers(refused);
    assert.match((await apply('--flavour', 'elasticsearch')).text, /\(the user needs the right manage_ilm\)/);
    const get = await apply('--flavour', 'opensearch');
    assert.match(get.text, /\(the user needs the right cluster:admin\/opendistro\/ism\/policy\/get\)/);
    answers = (call) => (call.startsWith('GET') ? error(404, 'status_exception') : refused);
    const put = await apply('--flavour', 'opensearch');
    assert.match(put.text, /\(the user needs the right cluster:admin\/opendistro\/ism\/policy\/write\)/);
    answers = policyAnswers({ status: 403, body: '{"message":"forbidden"}' });
    const gate = await apply('--flavour', 'opensearch');
    assert.match(gate.text, /403 forbidden\n[^]*\(what stands before the cluster refuses/);
    assert.doesNotMatch(gate.text, /the right|es:ESHttp/);
  });

  it('a connection that is cut stops it', async () => {
    server.faults.push('cut_before');
    const { code, text } = await apply('--flavour', 'elasticsearch');
    assert.equal(code, 1);
    assert.deepEqual(sent, []);
    assert.match(text, /not applied: 127\.0\.0\.1/);
  });

  it('--without-policy asks for none', async () => {
    const { code, text } = await apply('--without-policy');
    assert.equal(code, 0, text);
    assert.deepEqual(
      sent.map(({ call }) => call),
      ['GET /', 'PUT /_index_template/logtender'],
    );
    assert.doesNotMatch(templates()[0]?.body ?? '', /lifecycle/);
  });

  it('leaves out what the cluster does not know, each alone before both, and says so', async () => {
    for (const [unknown, expected] of [
      [['data_stream_options'], 'without data_stream_options'],
      [['match_only_text'], 'without the type match_only_text'],
      [['data_stream_options', 'match_only_text'], 'without data_stream_options and match_only_text'],
    ] as const) {
      answers = (_, body) =>
        unknown.some((word) => body.includes(word)) ? error(400, 'x_content_parse_exception') : TAKEN;
      const { code, text } = await apply('--flavour', 'elasticsearch', '--without-policy');
      assert.equal(code, 0, text);
      assert(text.includes(expected), text);
    }
  });

  it('fails where the template is refused for another reason', async () => {
    answers = (call) => (call.includes('_index_template') ? error(400, 'illegal_argument_exception') : TAKEN);
    const { code, text } = await apply();
    assert.equal(code, 1);
    assert.match(text, /_index_template\/logtender: not applied: 400 illegal_argument_exception/);
    assert.equal(templates().length, 4);
  });
});
