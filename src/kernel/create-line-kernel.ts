/**
 * The form of the byte kernel that this platform runs best. May import: core.
 */
import type { LineKernel, LineRules } from './line-kernel.ts';
import { PlainLineKernel } from './plain-line-kernel.ts';
import { WasmLineKernel } from './wasm-line-kernel.ts';

/** WebAssembly with SIMD where there is such (`--jitless` has none), else plain TypeScript: the same bytes at more CPU. */
export function createLineKernel(rules: LineRules): LineKernel {
  return WasmLineKernel.isSupported() ? new WasmLineKernel(rules) : new PlainLineKernel(rules);
}
