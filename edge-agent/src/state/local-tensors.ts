import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { AttemptRef } from '@tributary/contracts/ids'
import { type Manifest, type ManifestTensor, weightsLayout } from '@tributary/tensors/manifest'
import { renameDurably, writeAtomically } from './atomic-file.ts'

/** Tasks whose own values are kept, the oldest out first. */
const mostTasks = 16

type Kept = { readonly name: string; readonly task: string; readonly round: number; readonly bytes: number }

/** In the state folder of an agent. */
export const localTensorsFolder = (stateDir: string): string => join(stateDir, 'local-tensors')

/** The device has no room for its own values. */
export class LocalTensorsError extends Error {
  override readonly name = 'LocalTensorsError'
}

/**
 * This device's values of tensors that a task keeps local, in `<folder>/<task>-<round>.safetensors`, whatever framework made them. A
 * round begins with those of an earlier one, so that a second try at it begins with the same. They outlive their task and every
 * restart: a version that the task made is personal only with them. Older tasks make room; nothing here ever leaves the device.
 */
export class LocalTensors {
  readonly #folder: string
  readonly #maxBytes: number

  private constructor(folder: string, maxBytes: number) {
    this.#folder = folder
    this.#maxBytes = maxBytes
  }

  /** @param maxBytes of all files together */
  static async open(folder: string, maxBytes: number): Promise<LocalTensors> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    // Of a write that was cut.
    for (const name of await readdir(folder)) if (name.endsWith('.tmp')) await rm(join(folder, name), { force: true })
    return new LocalTensors(folder, maxBytes)
  }

  /** Those of an agent that may run: nothing is made or tidied up. */
  static at(folder: string): LocalTensors {
    return new LocalTensors(folder, Number.POSITIVE_INFINITY)
  }

  /** The file with which a round begins; undefined for the first that this device takes part in. */
  async before({ task, round }: Pick<AttemptRef, 'task' | 'round'>): Promise<string | undefined> {
    const earlier = (await this.#list()).filter(kept => kept.task === task && kept.round < round).at(-1)
    return earlier === undefined ? undefined : join(this.#folder, earlier.name)
  }

  /** The file of the last round that this device took part in. */
  newest(task: string): Promise<string | undefined> {
    return this.before({ task, round: Number.POSITIVE_INFINITY })
  }

  /** Whether two rounds of a task have room here: asked before anything is trained. @throws LocalTensorsError */
  checkRoom(manifest: Manifest): void {
    const bytes = localBytesOf(manifest)
    if (2 * bytes > this.#maxBytes) {
      throw new LocalTensorsError(
        `The task keeps ${bytes} bytes a round on the device, which has room for ${this.#maxBytes} bytes of two rounds.`,
      )
    }
  }

  /** Keeps the outcome of a round: a safetensors file with what is kept local. Of a task two rounds are kept. */
  async keep(ref: Pick<AttemptRef, 'task' | 'round'>, content: Uint8Array): Promise<void> {
    await writeAtomically(this.#fileOf(ref), content)
    await this.#makeRoom(ref)
  }

  /** The same with a file, which is taken over. */
  async keepFile(ref: Pick<AttemptRef, 'task' | 'round'>, file: string): Promise<void> {
    await renameDurably(file, this.#fileOf(ref))
    await this.#makeRoom(ref)
  }

  #fileOf({ task, round }: Pick<AttemptRef, 'task' | 'round'>): string {
    return join(this.#folder, `${task}-${round}.safetensors`)
  }

  async #makeRoom({ task, round }: Pick<AttemptRef, 'task' | 'round'>): Promise<void> {
    const all = await this.#list()
    const own = all.filter(kept => kept.task === task)
    for (const kept of own.filter(kept => kept.round <= round).slice(0, -2)) await this.#remove(kept)
    // Ids of tasks begin with the time at which they were made.
    const others = [...new Set(all.map(kept => kept.task))].filter(other => other !== task).sort()
    const bytesOf = (tasks: readonly string[]) =>
      all.reduce((sum, kept) => (kept.task === task || tasks.includes(kept.task) ? sum + kept.bytes : sum), 0)
    while (others.length >= mostTasks || (others.length > 0 && bytesOf(others) > this.#maxBytes)) {
      const oldest = others.shift()
      for (const kept of all) if (kept.task === oldest) await this.#remove(kept)
    }
  }

  /** Which tasks have values here, of which rounds, the oldest task first. */
  async summaries(): Promise<{ readonly task: string; readonly rounds: readonly number[]; readonly bytes: number }[]> {
    const tasks = Map.groupBy(await this.#list(), kept => kept.task)
    return [...tasks]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([task, kept]) => ({
        task,
        rounds: kept.map(({ round }) => round),
        bytes: kept.reduce((sum, { bytes }) => sum + bytes, 0),
      }))
  }

  /** Removes what the owner wants gone. @param task absent: of every task. @returns whose values were here */
  async forget(task?: string): Promise<string[]> {
    const gone = (await this.#list()).filter(kept => task === undefined || kept.task === task)
    for (const kept of gone) await this.#remove(kept)
    return [...new Set(gone.map(kept => kept.task))]
  }

  async #remove({ name }: Kept): Promise<void> {
    await rm(join(this.#folder, name), { force: true })
  }

  async #list(): Promise<Kept[]> {
    const kept: Kept[] = []
    for (const name of await namesIn(this.#folder)) {
      const [, task = '', round] = /^([0-9a-f-]{36})-(\d+)\.safetensors$/.exec(name) ?? []
      // Whoever forgets it meanwhile is right.
      const bytes = await stat(join(this.#folder, name)).then(
        ({ size }) => size,
        () => undefined,
      )
      if (task !== '' && bytes !== undefined) kept.push({ name, task, round: Number(round), bytes })
    }
    return kept.sort((a, b) => a.round - b.round)
  }
}

const namesIn = async (folder: string): Promise<string[]> => {
  try {
    return await readdir(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

export const isLocal = ({ policy }: ManifestTensor): boolean => policy === 'keep-local'

const localBytesOf = (manifest: Manifest): number => {
  const tensors = manifest.tensors.filter(isLocal)
  return tensors.length === 0 ? 0 : weightsLayout({ ...manifest, tensors }).fileBytes
}
