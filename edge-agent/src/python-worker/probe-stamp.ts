import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { delimiter, dirname, isAbsolute, join } from 'node:path'
import { agentVersion } from '../version.ts'
import type { InstalledTrainer } from './installed-trainers.ts'
import { commandFolders } from './worker-environment.ts'

type Probed = Pick<InstalledTrainer, 'framework' | 'python' | 'trainer' | 'path' | 'env'>

const mostFolders = 64

/**
 * Tells whether a probe would find what it found before, without starting Python: the interpreter and the folders that it loads packages
 * from, the worker, and the module of the trainer. Undefined where no interpreter is found.
 */
export const probeStamp = async ({ framework, python, trainer, path, env }: Probed): Promise<string | undefined> => {
  const { PATH = commandFolders } = env
  const interpreter = await interpreterOf(python, PATH)
  if (interpreter === undefined) return undefined
  const module = (trainer.split(':', 1)[0] ?? '').split('.')
  const watched = [
    interpreter,
    // Its time changes with every package that is installed or removed.
    ...(await packageFolders(interpreter)),
    ...path.flatMap(folder => [
      folder,
      join(folder, 'tributary_worker', '__main__.py'),
      `${join(folder, ...module)}.py`,
      join(folder, ...module, '__init__.py'),
    ]),
  ]
  const stamps = await Promise.all(watched.map(stampOf))
  const facts = [agentVersion, framework, trainer, path, Object.entries(env).toSorted(), watched, stamps]
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex')
}

const interpreterOf = async (python: string, folders: string): Promise<string | undefined> => {
  const places = isAbsolute(python) ? [python] : folders.split(delimiter).map(folder => join(folder, python))
  for (const place of places) if ((await stampOf(place)) !== null) return place
  return undefined
}

/** `lib/python3.x/site-packages` beside the folder of an interpreter, as virtual environments have it. */
const packageFolders = async (interpreter: string): Promise<string[]> => {
  const library = join(dirname(dirname(interpreter)), 'lib')
  const names = await readdir(library).catch(() => [])
  const versions = names.filter(name => /^python\d/.test(name)).slice(0, mostFolders)
  return versions.flatMap(name => ['site-packages', 'dist-packages'].map(folder => join(library, name, folder)))
}

const stampOf = async (file: string): Promise<string | null> => {
  try {
    const { mtimeMs, size } = await stat(file)
    return `${mtimeMs} ${size}`
  } catch {
    return null
  }
}
