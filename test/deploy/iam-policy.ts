/**
 * An evaluator of IAM policies, as far as deploy/iam goes: Allow statements with actions and resources, `*` and `?` as wildcards.
 *
 * Source: IAM User Guide, "IAM JSON policy elements: Resource" and "Policy evaluation logic". May import: nothing of the product.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

export interface Statement {
  readonly sid: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
}

export interface Policy {
  readonly statements: readonly Statement[];
}

const MEMBERS = ['Sid', 'Effect', 'Principal', 'Action', 'Resource', 'Condition'];

/** Reads a file; fails on members that this evaluator does not know. */
export function readPolicy(path: string): Policy {
  const { Version, Statement, ...rest } = JSON.parse(readFileSync(path, 'utf8')) as Readonly<Record<string, unknown>>;
  assert.deepEqual([Version, rest], ['2012-10-17', {}], path);
  assert(Array.isArray(Statement), path);
  return {
    statements: Statement.map((statement: Readonly<Record<string, unknown>>) => readStatement(statement, path)),
  };
}

function readStatement(statement: Readonly<Record<string, unknown>>, path: string): Statement {
  assert.deepEqual(
    Object.keys(statement).filter((key) => !MEMBERS.includes(key)),
    [],
    path,
  );
  assert.equal(statement['Effect'], 'Allow', path);
  return {
    sid: String(statement['Sid']),
    actions: textsOf(statement['Action']),
    resources: textsOf(statement['Resource']),
  };
}

function textsOf(value: unknown): readonly string[] {
  if (value === undefined) return [];
  const texts: readonly unknown[] = Array.isArray(value) ? value : [value];
  return texts.map((text) => {
    assert(typeof text === 'string', `expected a text, got ${JSON.stringify(text)}`);
    return text;
  });
}

/** Does the policy allow the action on the resource? */
export function isAllowed({ statements }: Policy, action: string, resource: string): boolean {
  return statements.some(
    ({ actions, resources }) =>
      actions.some((pattern) => matches(pattern, action)) && resources.some((pattern) => matches(pattern, resource)),
  );
}

function matches(pattern: string, text: string): boolean {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`).test(text);
}
