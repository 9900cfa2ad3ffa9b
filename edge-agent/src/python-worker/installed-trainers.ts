import { open } from 'node:fs/promises'
import { isAbsolute, join, resolve } from 'node:path'
import { Slug } from '@tributary/contracts/ids'
import * as z from 'zod'

export const trainersFile = 'trainers.json'
const maxBytes = 1024 * 1024
const mebibyte = 2 ** 20

const InstalledTrainer = z.strictObject({
  /** What a task calls it. */
  name: Slug,
  framework: z.enum(['pytorch', 'keras', 'sklearn']),
  /** The interpreter that has the framework and `tributary-worker`: a path, or a command on PATH. */
  python: z.string().min(1).max(4096).default('python3'),
  /** `module:attribute`: a trainer, or what makes one. */
  trainer: z.string().regex(/^[A-Za-z_][\w.]*:[A-Za-z_]\w*$/, 'not module:attribute'),
  /** Folders in which Python finds the module; relative ones start in the data folder. */
  path: z.array(z.string().min(1).max(4096)).max(32).default([]),
  /** Of all processes of a job together, without the files that they map. */
  memoryMegabytes: z
    .int()
    .min(64)
    .max(2 ** 24)
    .default(4096),
  timeSeconds: z
    .int()
    .min(1)
    .max(7 * 86_400)
    .default(3600),
  /** A job without progress for so long is given up. */
  stallSeconds: z.int().min(1).max(86_400).default(300),
  /** Threads of the framework. @default as many as there are cores */
  threads: z.int().min(1).max(1024).optional(),
  /** Whether the end of the log may go to the operator when a job fails. */
  sendLog: z.boolean().default(true),
  /** Further variables of the environment; it inherits none of the agent's. */
  env: z.record(z.string().regex(/^[A-Za-z_]\w{0,255}$/), z.string().max(4096)).default({}),
})

const Trainers = z.strictObject({
  trainers: z
    .array(InstalledTrainer)
    .max(64)
    .refine(list => new Set(list.map(({ name }) => name)).size === list.length, 'two trainers have the same name'),
})

/** Training code that the owner of the device installed, as the agent starts it. */
export type InstalledTrainer = z.output<typeof InstalledTrainer> & { readonly memoryBytes: number }

/** `trainers.json` is not usable. */
export class TrainersFileError extends Error {
  override readonly name = 'TrainersFileError'
}

/** Reads `trainers.json` of the data folder; without that file there are none. Throws TrainersFileError with every fault. */
export const readTrainers = async (dataDir: string): Promise<ReadonlyMap<string, InstalledTrainer>> => {
  const file = join(dataDir, trainersFile)
  const text = await readText(file)
  if (text === undefined) return new Map()
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new TrainersFileError(`${file} is not JSON: ${(cause as Error).message}`)
  }
  const parsed = Trainers.safeParse(json)
  if (!parsed.success) {
    throw new TrainersFileError(`${file} is not usable:\n${z.prettifyError(parsed.error).slice(0, 4000)}`)
  }
  return new Map(
    parsed.data.trainers.map(trainer => [
      trainer.name,
      {
        ...trainer,
        python: trainer.python.includes('/') ? resolve(dataDir, trainer.python) : trainer.python,
        path: trainer.path.map(folder => (isAbsolute(folder) ? folder : resolve(dataDir, folder))),
        memoryBytes: trainer.memoryMegabytes * mebibyte,
      },
    ]),
  )
}

const readText = async (file: string): Promise<string | undefined> => {
  try {
    await using handle = await open(file, 'r')
    const { size } = await handle.stat()
    if (size > maxBytes) throw new TrainersFileError(`${file} has ${size} bytes; at most 1 MiB is read.`)
    return await handle.readFile('utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    if (cause instanceof TrainersFileError) throw cause
    throw new TrainersFileError(`${file} cannot be read. Check who may read it.`, { cause })
  }
}
