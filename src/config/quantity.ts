/**
 * Kubernetes quantities (`5m`, `48Mi`), and the largest that are built in.
 *
 * Invariants: reckoned in whole thousandths, to which the API server rounds resources up before it stores them, so that two texts of one
 * quantity are one number. Source: API reference, "Quantity"; kubernetes/kubernetes, pkg/apis/core/v1, SetDefaults_ResourceList;
 * apimachinery, pkg/api/resource, CanonicalizeBytes. May import: nothing.
 */

/** The form of a quantity without sign; more characters than anybody needs are none. */
export const QUANTITY = /^(?=.{1,64}$)(\d+(?:\.\d*)?|\.\d+)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d{1,2})?$/;

const EXPONENT = /^[eE][+\-\d]/;
const DECIMAL = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
/** Place of the unit one among the decimal suffixes. */
const ONE = DECIMAL.indexOf('');
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
/** What the API server makes of anything larger: 2^63 - 1. */
const THOUSANDTHS_MOST = (2n ** 63n - 1n) * 1000n;

/** The most of CPU and memory that a sidecar gets without being asked to: in a Guaranteed pod, with an AWS sink. */
export const CPU_BUILT_IN_MOST = '50m';
export const MEMORY_BUILT_IN_MOST = '64Mi';

/** A quantity above zero as a number, rounded up to thousandths; undefined for anything else. */
export function quantityNumber(text: string): number | undefined {
  const thousandths = thousandthsOf(text);
  return thousandths === undefined ? undefined : Number(thousandths) / 1000;
}

/** The text that the API server gives back for it (`0.1`: `100m`, `1024Mi`: `1Gi`); what is none stays as it is. */
export function quantityText(text: string): string {
  const thousandths = thousandthsOf(text);
  const suffix = QUANTITY.exec(text)?.[2] ?? '';
  // The form with an exponent stays a form with an exponent, and nobody writes it.
  if (thousandths === undefined || EXPONENT.test(suffix)) return text;
  const isBinary = suffix.endsWith('i') && thousandths >= 1024n * 1000n && thousandths % 1000n === 0n;
  return isBinary ? shortest(thousandths / 1000n, 1024n, BINARY) : shortest(thousandths, 1000n, DECIMAL.slice(ONE - 1));
}

function thousandthsOf(text: string): bigint | undefined {
  const match = QUANTITY.exec(text);
  if (match === null) return undefined;
  const [whole = '', fraction = ''] = (match[1] ?? '').split('.');
  const suffix = match[2] ?? '';
  const binary = suffix === '' ? -1 : BINARY.indexOf(suffix);
  const exponent = binary === -1 ? exponentOf(suffix) : 0;
  const numerator = BigInt(whole + fraction) * (binary === -1 ? 1n : 1024n ** BigInt(binary));
  // As thousandths: three places to the left, and back what the fraction was taken in by.
  const places = exponent + 3 - fraction.length;
  const scaled = places >= 0 ? numerator * 10n ** BigInt(places) : roundedUp(numerator, 10n ** BigInt(-places));
  if (scaled === 0n) return undefined;
  return scaled < THOUSANDTHS_MOST ? scaled : THOUSANDTHS_MOST;
}

function exponentOf(suffix: string): number {
  return EXPONENT.test(suffix) ? Number(suffix.slice(1)) : 3 * (DECIMAL.indexOf(suffix) - ONE);
}

function roundedUp(numerator: bigint, denominator: bigint): bigint {
  return (numerator + denominator - 1n) / denominator;
}

/** The number with the largest suffix that leaves no fraction. */
function shortest(number: bigint, base: bigint, suffixes: readonly string[]): string {
  let rest = number;
  let place = 0;
  while (rest % base === 0n && place < suffixes.length - 1) {
    rest /= base;
    place += 1;
  }
  return `${rest}${suffixes[place]}`;
}
