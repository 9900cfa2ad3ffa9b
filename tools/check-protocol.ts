/** Lints the protocol, and compares it with main's: a field that devices rely on never changes its meaning. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const folder = join(import.meta.dirname, '..', 'packages', 'contracts')
const protocolOnMain = async (): Promise<string | undefined> => {
  for (const ref of ['origin/main', 'main']) {
    const found = await run('git', ['cat-file', '-e', `${ref}:packages/contracts/buf.yaml`], { cwd: folder }).then(
      () => true,
      () => false,
    )
    if (found) return ref
  }
  return undefined
}

try {
  await run('buf', ['lint'], { cwd: folder })
  const ref = await protocolOnMain()
  if (ref === undefined) process.stdout.write('no protocol on main to compare with\n')
  else await run('buf', ['breaking', '--against', `../../.git#ref=${ref},subdir=packages/contracts`], { cwd: folder })
} catch (error) {
  const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
  process.stderr.write(`${stdout}${stderr}`)
  process.exitCode = 1
}
