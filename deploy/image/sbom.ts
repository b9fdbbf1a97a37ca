/**
 * The bill of materials: every package whose bytes are in the image, as SPDX 2.3 JSON.
 *
 * Source of the fields: SPDX Specification 2.3, clauses 6 (document), 7 (package), 11 (relationships). Pure: the document's name carries
 * a hash of what it lists, so the same image has the same document. May import: node:, deploy/image (types).
 */
import { createHash } from 'node:crypto';
import type { Library } from './libraries.ts';

/** The part of package-lock.json that is read. */
export interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly version?: string; readonly license?: string; readonly integrity?: string } | undefined>
  >;
}

export interface Materials {
  readonly version: string;
  readonly nodeVersion: string;
  /** Folders of npm packages with code in a bundle, such as `node_modules/express`. */
  readonly bundled: readonly string[];
  readonly lock: Lock;
  readonly libraries: readonly Library[];
  /** RFC 3339. */
  readonly created: string;
}

interface SpdxPackage {
  readonly SPDXID: string;
  readonly name: string;
  readonly versionInfo: string;
  readonly downloadLocation: string;
  readonly filesAnalyzed: false;
  readonly licenseConcluded: 'NOASSERTION';
  readonly licenseDeclared: string;
  readonly copyrightText: 'NOASSERTION';
  readonly checksums?: readonly { readonly algorithm: string; readonly checksumValue: string }[];
  readonly externalRefs?: readonly Readonly<Record<string, string>>[];
}

/** The document as JSON text. */
export function sbomOf(materials: Materials): string {
  const root = packageOf('logtender', materials.version, { licence: 'Apache-2.0' });
  const rest = [
    packageOf('node', materials.nodeVersion, { licence: 'MIT', url: `pkg:generic/node@${materials.nodeVersion}` }),
    ...materials.bundled.map((folder) => npmPackage(folder, materials.lock)),
    ...libraryPackages(materials.libraries),
  ];
  const packages = [root, ...rest];
  const hash = createHash('sha256').update(JSON.stringify(packages)).digest('hex');
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: `logtender-${materials.version}`,
    documentNamespace: `https://spdx.org/spdxdocs/logtender-${materials.version}-${hash}`,
    creationInfo: { created: materials.created, creators: [`Tool: logtender-image-${materials.version}`] },
    packages,
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: root.SPDXID },
      ...rest.map(({ SPDXID }) => ({
        spdxElementId: root.SPDXID,
        relationshipType: 'CONTAINS',
        relatedSpdxElement: SPDXID,
      })),
    ],
  };
  return `${JSON.stringify(document, null, 1)}\n`;
}

function npmPackage(folder: string, lock: Lock): SpdxPackage {
  const locked = lock.packages[folder];
  const name = folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length);
  if (locked?.version === undefined)
    throw new Error(`list materials: expected ${folder} in package-lock.json, got none; run npm ci`);
  const sha512 = /^sha512-(.+)$/.exec(locked.integrity ?? '')?.[1];
  return packageOf(name, locked.version, {
    licence: locked.license ?? 'NOASSERTION',
    // Package URL specification, type npm: the @ of a scope is escaped.
    url: `pkg:npm/${name.replace('@', '%40')}@${locked.version}`,
    ...(sha512 === undefined ? {} : { sha512: Buffer.from(sha512, 'base64').toString('hex') }),
  });
}

/** One package per origin; a file that no package manager knows stands for itself. */
function libraryPackages(libraries: readonly Library[]): readonly SpdxPackage[] {
  const packages = new Map<string, SpdxPackage>();
  for (const { path, origin } of libraries) {
    const found =
      origin === undefined
        ? packageOf(path, 'NOASSERTION', { licence: 'NOASSERTION' })
        : packageOf(origin.name, origin.version, {
            licence: 'NOASSERTION',
            url: `pkg:deb/${origin.name}@${encodeURIComponent(origin.version)}`,
          });
    packages.set(found.SPDXID, found);
  }
  return [...packages.values()];
}

function packageOf(
  name: string,
  version: string,
  about: { readonly licence: string; readonly url?: string; readonly sha512?: string },
): SpdxPackage {
  return {
    // Letters, digits, dots and hyphens only (clause 7.2).
    SPDXID: `SPDXRef-Package-${`${name}-${version}`.replaceAll(/[^A-Za-z0-9.-]+/g, '-')}`,
    name,
    versionInfo: version,
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    licenseConcluded: 'NOASSERTION',
    licenseDeclared: about.licence,
    copyrightText: 'NOASSERTION',
    ...(about.sha512 === undefined ? {} : { checksums: [{ algorithm: 'SHA512', checksumValue: about.sha512 }] }),
    ...(about.url === undefined
      ? {}
      : {
          externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: about.url }],
        }),
  };
}
