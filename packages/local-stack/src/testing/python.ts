import { access, mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { runCommand } from '../processes/run-command.ts'
import { readStackEnvironment } from '../settings/config.ts'
import { userFolders } from '../settings/folders.ts'

/** For whoever reads what the platform made. */
const readers = ['numpy==2.3.5', 'safetensors==0.7.0', 'onnxruntime==1.23.2'] as const

const run = (command: string, args: readonly string[], deadlineSeconds: number, input?: string): Promise<string> =>
  runCommand(command, args, {
    env: { ...(process.env as Record<string, string>) },
    deadlineSeconds,
    ...(input === undefined ? {} : { input }),
  })

/** Whether there is a Python that can make virtual environments. */
export const hasPython = async (): Promise<boolean> =>
  run('python3', ['-c', 'import venv, ensurepip, sys; assert sys.version_info >= (3, 10)'], 20).then(
    () => true,
    () => false,
  )

export type PythonBase = {
  /** A Python whose own packages are there too. */
  readonly base: string
  /** Tells it from others in the cache. */
  readonly label: string
}

/** Where `ensurePython` makes it. */
export const pythonFolder = (packages: readonly string[], base?: PythonBase): string => {
  const { cache } = userFolders(readStackEnvironment())
  const names = [...(base === undefined ? [] : [base.label.replaceAll(/[^\w.]+/g, '-')]), ...packages]
  return join(cache, `python-${names.map(name => name.replace('==', '-')).join('-')}`)
}

/** A Python with these packages (NumPy, safetensors and onnxruntime unless others are named) in the user's cache; made once. */
export const ensurePython = async (packages: readonly string[] = readers, base?: PythonBase): Promise<string> => {
  const folder = pythonFolder(packages, base)
  const python = join(folder, 'bin', 'python')
  if (
    await access(python).then(
      () => true,
      () => false,
    )
  )
    return python
  await mkdir(dirname(folder), { recursive: true })
  const unfinished = `${folder}.${process.pid}`
  await run(
    base?.base ?? 'python3',
    ['-m', 'venv', ...(base === undefined ? [] : ['--system-site-packages']), unfinished],
    120,
  )
  await run(
    join(unfinished, 'bin', 'python'),
    ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages],
    600,
  )
  await rename(unfinished, folder).catch(() => rm(unfinished, { recursive: true, force: true }))
  return python
}

/** Runs a program text and parses the JSON that it prints. */
export const runPython = async (python: string, program: string, args: readonly string[]): Promise<unknown> =>
  JSON.parse(await run(python, ['-c', program, ...args], 300))
