/**
 * Which lines follow each other in the stack traces of each language, as rules of a state machine.
 *
 * Invariant: what a line does depends on the state alone, and every record begins in the same state: a file that is read again from the
 * beginning of a record gives the same records. The languages' states follow the printed forms of their runtimes; the machine of
 * GoogleCloudPlatform/fluent-plugin-detect-exceptions (Apache-2.0) was the model, its test inputs are among ours.
 * May import: config (types).
 */
import type { MultilinePreset } from '../config/record-rules.ts';

/** In state `from`, a line that matches `pattern` belongs to the record and leads to state `to`. */
export interface TraceRule {
  readonly from: string;
  readonly pattern: string;
  readonly to: string;
}

/** The state before a record's first line. */
export const START = 'start';
/** The record ends with this line. */
export const DONE = 'done';

/** `from` may name several states. */
function rules(...table: readonly (readonly [from: string, pattern: string, to: string])[]): readonly TraceRule[] {
  return table.flatMap(([from, pattern, to]) => from.split(' ').map((state) => ({ from: state, pattern, to })));
}

/** `java.lang.IllegalStateException: text`, `Error` alone; with anything before it. */
const NAMED = '(?:Exception|Error|Throwable|V8 errors stack trace)(?:[:\\r]|$)';

const JAVA = rules(
  ['start java_name', NAMED, 'java'],
  ['java', '^[\\t ]*nested exception is:[\\t ]*\\r?$', 'java_name'],
  ['java', '^\\r?$', 'java'],
  ['java java_frames', '^[\\t ]+(?:eval )?at ', 'java_frames'],
  ['java java_frames', '^[\\t ]*(?:Caused by|Suppressed): ', 'java'],
  ['java java_frames', '^[\\t ]*\\.\\.\\. \\d+ (?:more|common frames omitted)\\r?$', 'java_frames'],
);

const DOTNET = rules(
  ['start', '(?:Exception|Error)(?:: |\\r?$)', 'dotnet'],
  ['dotnet dotnet_frames', '^[\\t ]+at ', 'dotnet_frames'],
  ['dotnet dotnet_frames', '^[\\t ]*---> ', 'dotnet'],
  ['dotnet dotnet_frames', '^[\\t ]*--- End of ', 'dotnet_frames'],
);

const NODE = rules(
  ['start', '^(?:file://)?/\\S+:\\d+\\r?$', 'node_source'],
  ['node_source', '.', 'node_mark'],
  ['node_mark', '^[\\t ]*\\^+[\\t ]*\\r?$', 'node_gap'],
  ['node_gap', '^\\r?$', 'node_name'],
  ['start node_name', NAMED, 'node'],
  ['node node_frames', '^[\\t ]+at .* \\{\\r?$', 'node_members'],
  ['node node_frames', '^[\\t ]+at ', 'node_frames'],
  ['node node_frames node_members', '^[\\t ]+\\[cause\\]: ', 'node'],
  ['node_members', '^\\}\\r?$', DONE],
  ['node_members', '^[\\t ]', 'node_members'],
);

const PYTHON = rules(
  ['start', '^(?:[\\t ]*\\+ Exception Group )?Traceback \\(most recent call last\\):\\r?$', 'python'],
  ['python python_code', '^[\\t ]+File ', 'python_code'],
  ['python python_code', '^[\\t ]+\\S', 'python'],
  ['python python_code', '^(?:[^\\s.():]+\\.)*[^\\s.():]+(?::|\\r?$)', 'python_end'],
  ['python_end', '^\\r?$', 'python_gap'],
  [
    'python_gap',
    '^(?:During handling of the above exception|The above exception was the direct cause)',
    'python_cause',
  ],
  ['python_cause', '^\\r?$', 'python_cause'],
  ['python_cause', '^Traceback \\(most recent call last\\):\\r?$', 'python'],
);

const GO = rules(
  ['start', 'http: panic serving ', 'go_goroutine'],
  ['start', '(?:\\bpanic|^fatal error): ', 'go_panic'],
  ['go_panic', '^[\\t ]+panic: ', 'go_panic'],
  ['go_panic', '^\\[signal ', 'go_panic'],
  ['go_panic go_call', '^\\r?$', 'go_goroutine'],
  ['go_panic go_goroutine', '^goroutine \\d+ .*\\[[^\\]]+\\]:\\r?$', 'go_call'],
  ['go_call', '^(?:created by |\\.\\.\\.|(?:[^\\s.:]+\\.)*[^\\s.():]+\\(|\\S+\\()', 'go_place'],
  ['go_place', '^\\s', 'go_call'],
);

const RUBY = rules(
  ['start', 'Error \\(.*\\):\\r?$', 'ruby_rails'],
  ['ruby_rails', '^[\\t ]*\\r?$', 'ruby_rails'],
  ['ruby_rails ruby', "^[\\t ]+.*?\\.rb:\\d+:in [`']", 'ruby'],
  ['start', "\\.rb:\\d+:in [`'].*\\([\\w:]+\\)\\r?$", 'ruby'],
  ['ruby', '^[\\t ]+(?:\\d+: )?from ', 'ruby'],
);

const PHP = rules(
  ['start', "(?:PHP (?:Notice|Parse error|Fatal error|Warning|Deprecated):|exception '[^']+' with message ')", 'php'],
  ['start', '(?:Fatal error: +)?Uncaught [\\w\\\\]+: ', 'php'],
  ['php', '^Stack trace:', 'php_frames'],
  ['php_frames', '^#\\d', 'php_frames'],
  ['php_frames', '^\\r?$', 'php'],
  ['php_frames', '^Next [\\w\\\\]+: ', 'php'],
  ['php_frames', '^\\s+thrown in ', DONE],
);

const RUST = rules(
  ['start', "^thread '[^']*'.* panicked at .*:\\d+:\\d+:\\r?$", 'rust_text'],
  ['start', "^thread '[^']*'.* panicked at ", 'rust'],
  ['rust_text', '', 'rust'],
  ['rust rust_frames', '^note: ', 'rust_frames'],
  ['rust rust_frames', '^stack backtrace:\\r?$', 'rust_frames'],
  ['rust_frames', '^[\\t ]+(?:\\d+: |at )', 'rust_frames'],
);

const NO_FRAME = '^(?:[^#]|$)';
/** What is thrown may print up to six lines before the first frame. */
const DART = rules(
  ['start', '^Unhandled exception:\\r?$', 'dart_1'],
  ['dart_2 dart_3 dart_4 dart_5 dart_6 dart_7 dart', '^#\\d+\\s+.+\\(.+\\)\\r?$', 'dart'],
  ['dart', '^<asynchronous suspension>\\r?$', 'dart'],
  ['dart_1', NO_FRAME, 'dart_2'],
  ['dart_2', NO_FRAME, 'dart_3'],
  ['dart_3', NO_FRAME, 'dart_4'],
  ['dart_4', NO_FRAME, 'dart_5'],
  ['dart_5', NO_FRAME, 'dart_6'],
  ['dart_6', NO_FRAME, 'dart_7'],
);

export const TRACE_RULES: Readonly<Record<MultilinePreset, readonly TraceRule[]>> = {
  java: JAVA,
  python: PYTHON,
  go: GO,
  ruby: RUBY,
  node: NODE,
  dotnet: DOTNET,
  php: PHP,
  rust: RUST,
  dart: DART,
};
