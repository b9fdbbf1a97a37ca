/**
 * The text of an element in an answer of S3.
 */

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
/** The last one of Unicode. */
const CODE_POINT_MAX = 0x10ffff;

/** Character references and the five predefined entities become what they stand for (XML 1.0, sections 4.1 and 4.6); others stay. */
export function unescapedXml(text: string): string {
  return text.replaceAll(
    /&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi,
    (whole, hex?: string, decimal?: string, name?: string) => {
      if (name !== undefined) return ENTITIES[name] ?? whole;
      const codePoint = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
      return codePoint <= CODE_POINT_MAX ? String.fromCodePoint(codePoint) : whole;
    },
  );
}
