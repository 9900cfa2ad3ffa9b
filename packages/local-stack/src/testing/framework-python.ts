import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../processes/run-command.ts'
import { lockCache } from '../settings/cache-lock.ts'
import { readStackEnvironment } from '../settings/config.ts'
import { userFolders } from '../settings/folders.ts'
import { ensurePython, pythonFolder } from './python.ts'

/** TensorFlow and Keras with scikit-learn: 1.6 GB, half a minute. */
const tensorflow = ['tensorflow-cpu==2.21.0', 'scikit-learn==1.9.1', 'numpy==2.3.5', 'safetensors==0.7.0'] as const

/** From this on the caches belong to one maker at a time. */
const lockSeconds = 600

/**
 * A Python with PyTorch: whichever of the machine has it (`.ci/frameworks` installs Debian's), with what tests need beside it.
 * Undefined where there is none.
 */
export const pytorchPython = async (): Promise<string | undefined> => {
  for (const python of ['/usr/bin/python3', 'python3']) {
    const version = await command(python, ['-c', 'import torch, sys; print(torch.__version__, sys.prefix)'], 120).catch(
      () => undefined,
    )
    if (version !== undefined)
      return locked(() => ensurePython(['safetensors==0.7.0'], { base: python, label: `torch-${version.trim()}` }))
  }
  return undefined
}

/**
 * A Python with TensorFlow, Keras and scikit-learn, made in the user's cache under CI and for whoever sets
 * TRIBUTARY_FRAMEWORKS. Undefined for others until it is there.
 */
export const tensorflowPython = async (): Promise<string | undefined> => {
  const wanted = process.env.CI !== undefined || process.env.TRIBUTARY_FRAMEWORKS !== undefined
  const there = await stat(join(pythonFolder(tensorflow), 'bin', 'python')).catch(() => undefined)
  if (there === undefined && !wanted) return undefined
  return locked(() => ensurePython(tensorflow))
}

const locked = async <Result>(make: () => Promise<Result>): Promise<Result> => {
  const { cache } = userFolders(readStackEnvironment())
  await mkdir(cache, { recursive: true })
  await using _lock = await lockCache(
    join(cache, 'python-frameworks.lock'),
    lockSeconds,
    AbortSignal.timeout(lockSeconds * 1000),
  )
  return await make()
}

const command = (name: string, args: readonly string[], deadlineSeconds: number): Promise<string> =>
  runCommand(name, args, { env: { ...(process.env as Record<string, string>) }, deadlineSeconds })
