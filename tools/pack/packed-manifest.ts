/** What a workspace's package.json says for npm, beside what it says for the repository. */
export type Workspace = {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly packed: {
    /** Names of what is not part of the tarball itself; versions as in `dependencies`. */
    readonly dependencies: readonly string[]
    readonly files: readonly string[]
    readonly exports: unknown
    readonly bin?: Readonly<Record<string, string>>
    readonly engines: Readonly<Record<string, string>>
  }
}

/** Says things only to those who work in the repository. */
const ofTheRepository = new Set(['private', 'scripts', 'devDependencies', 'packed'])

/**
 * The package.json of a tarball: what Node runs instead of what the repository runs, since Node takes no TypeScript under
 * node_modules. Throws where a dependency has no exact version.
 */
export const packedManifest = ({ packed, dependencies = {}, ...rest }: Workspace): Record<string, unknown> => {
  const kept = Object.entries(rest).filter(([key]) => !ofTheRepository.has(key))
  const outside = packed.dependencies.map(name => {
    const version = dependencies[name]
    if (version === undefined || !/^\d+\.\d+\.\d+$/.test(version))
      throw new Error(`package.json: "packed" needs an exact version of ${name} in "dependencies".`)
    return [name, version] as const
  })
  return { ...Object.fromEntries(kept), ...packed, dependencies: Object.fromEntries(outside) }
}
