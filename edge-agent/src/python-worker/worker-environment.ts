import { delimiter } from 'node:path'
import type { InstalledTrainer } from './installed-trainers.ts'

/** Where commands are found. */
export const commandFolders = '/usr/local/bin:/usr/bin:/bin'

/**
 * The whole environment of a worker. Nothing of the agent's is in it: no paths of keys, no endpoints. What libraries write
 * into a home goes into a folder that ends with the job.
 */
export const workerEnvironment = (
  { path, threads, env }: Pick<InstalledTrainer, 'path' | 'threads' | 'env'>,
  folder: string,
): Record<string, string> => ({
  PATH: commandFolders,
  HOME: folder,
  TMPDIR: folder,
  LANG: 'C.UTF-8',
  PYTHONUNBUFFERED: '1',
  PYTHONDONTWRITEBYTECODE: '1',
  PYTHONPATH: path.join(delimiter),
  KERAS_BACKEND: 'tensorflow',
  TF_CPP_MIN_LOG_LEVEL: '2',
  ...(threads === undefined
    ? {}
    : {
        OMP_NUM_THREADS: `${threads}`,
        OPENBLAS_NUM_THREADS: `${threads}`,
        MKL_NUM_THREADS: `${threads}`,
        TF_NUM_INTRAOP_THREADS: `${threads}`,
      }),
  ...env,
})
