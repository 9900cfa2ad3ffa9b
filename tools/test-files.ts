import { glob } from 'node:fs/promises'
import { join } from 'node:path'

export type TestKind = 'unit' | 'integration' | 'end-to-end'

const root = join(import.meta.dirname, '..')
const suffixes = { integration: '.integration.test.ts', 'end-to-end': '.end-to-end.test.ts' } as const

const kindOf = (file: string): TestKind => {
  if (file.endsWith(suffixes.integration)) return 'integration'
  return file.endsWith(suffixes['end-to-end']) ? 'end-to-end' : 'unit'
}

/** Test files of one kind, told by their names; sorted, relative to the repository. */
export const testFiles = async (kind: TestKind): Promise<readonly string[]> => {
  const found: string[] = []
  for await (const file of glob('{packages/*,functions,regional-node,edge-agent,cli,infra,bench,tools}/**/*.test.ts', {
    cwd: root,
    exclude: name => name.includes('node_modules') || name.endsWith('/dist'),
  })) {
    if (kindOf(file) === kind) found.push(file)
  }
  return found.sort()
}
