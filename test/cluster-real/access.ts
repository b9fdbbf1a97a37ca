/**
 * What an account may do, as the API server itself lists it (`kubectl auth can-i --list`), without what every account may.
 *
 * May import: test.
 */
import type { Kubectl } from './kubectl.ts';

/** One line for each rule, sorted: `resource [names] [verbs]`. */
export async function rightsOf(kubectl: Kubectl, account: string, namespace: string): Promise<readonly string[]> {
  const list = async (name: string): Promise<readonly string[]> => {
    const as = `--as=system:serviceaccount:logtender:${name}`;
    // As a token of the account would have it.
    const groups = ['serviceaccounts', 'serviceaccounts:logtender', 'authenticated'].map(
      (group) => `--as-group=system:${group}`,
    );
    const text = await kubectl.run(['auth', 'can-i', '--list', '--no-headers', as, ...groups, '-n', namespace]);
    return text
      .trim()
      .split('\n')
      .map((line) => line.trim().replaceAll(/\s{2,}/g, '  '));
  };
  const everybody = new Set(await list('nobody'));
  return (await list(account)).filter((line) => !everybody.has(line)).toSorted();
}
