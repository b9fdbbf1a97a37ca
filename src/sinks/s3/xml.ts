/**
 * The text of an element in an answer of S3. May import: nothing.
 */

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);

/** Character references and the five predefined entities become what they stand for (XML 1.0, sections 4.1 and 4.6); others stay. */
export function unescapedXml(text: string): string {
  return text.replaceAll(
    /&(?:#x([0-9a-fA-F]+)|#(\d+)|(\w+));/g,
    (whole, hex?: string, decimal?: string, name?: string) => {
      if (name !== undefined) return ENTITIES.get(name) ?? whole;
      const codePoint = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
      return isCharacter(codePoint) ? String.fromCodePoint(codePoint) : whole;
    },
  );
}

/** Of Unicode, but for NUL and the halves of a surrogate pair, which no XML may hold (XML 1.0, section 2.2). */
function isCharacter(codePoint: number): boolean {
  return codePoint > 0 && codePoint <= 0x10_ff_ff && (codePoint < 0xd8_00 || codePoint > 0xdf_ff);
}
