import assert from 'node:assert/strict'
import { cp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ensurePython, hasPython } from '@tributary/local-stack/testing/python'
import { temporaryFolder } from '../testing/federation.ts'
import { runProgram } from '../testing/run-program.ts'
import { withPython } from '../testing/with-python.ts'

const source = fileURLToPath(new URL('../../python', import.meta.url))
const kept = (path: string): boolean => !/\/(?:__pycache__|build|[^/]*\.egg-info)(?:\/|$)/.test(path)
const filesIn = async (folder: string): Promise<string[]> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  return files
    .filter(kept)
    .map(path => path.slice(folder.length))
    .sort()
}

test(
  'pip installs the Python package whole, with its types, and its command says what works here',
  withPython(
    'NumPy',
    async () => ((await hasPython()) ? ensurePython() : undefined),
    async python => {
      await using folder = await temporaryFolder()
      const [copy, target] = [join(folder.path, 'python'), join(folder.path, 'installed')]
      // A build leaves files beside what it builds.
      await cp(source, copy, { recursive: true, filter: kept })
      const pip = [
        '-m',
        'pip',
        'install',
        '--quiet',
        '--disable-pip-version-check',
        '--no-deps',
        '--root-user-action=ignore',
      ]
      const env = { PATH: '/usr/bin:/bin', PYTHONPATH: target, PYTHONDONTWRITEBYTECODE: '1' }
      const installed = await runProgram(python, [...pip, '--no-compile', '--target', target, copy], {
        ...(process.env as Record<string, string>),
        PYTHONDONTWRITEBYTECODE: '1',
      })
      assert.equal(installed.code, 0, installed.output)
      const files = await filesIn(join(target, 'tributary_worker'))
      assert.deepEqual(files, await filesIn(join(source, 'src', 'tributary_worker')))
      assert.ok(files.includes('/py.typed'))
      const command = join(target, 'bin', 'tributary-worker')
      const probed = await runProgram(command, ['probe', 'numpy'], env)
      assert.equal(probed.code, 0, probed.output)
      assert.match(probed.output, /^\{.*"framework": ?"numpy".*\}\n$/)
      assert.equal((await runProgram(command, [], env)).code, 2)
    },
  ),
)
