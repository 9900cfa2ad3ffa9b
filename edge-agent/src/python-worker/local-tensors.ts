import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { AttemptRef } from '@tributary/contracts/ids'

/** Tasks whose own values are kept, longest unused out first. */
const mostTasks = 16

/**
 * This device's values of tensors that a task keeps local, in `<folder>/<task>-<round>.safetensors`. A round begins with
 * those of an earlier one, so that a second try at it begins with the same.
 */
export class LocalTensors {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async open(folder: string): Promise<LocalTensors> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    return new LocalTensors(folder)
  }

  /** The file with which a round begins; undefined for the first that this device takes part in. */
  async before({ task, round }: AttemptRef): Promise<string | undefined> {
    const earlier = (await this.#list()).filter(kept => kept.task === task && kept.round < round).at(-1)
    return earlier === undefined ? undefined : join(this.#folder, earlier.name)
  }

  /** Takes a file over as the outcome of a round. Of a task two rounds are kept. */
  async keep({ task, round }: AttemptRef, file: string): Promise<void> {
    await rename(file, join(this.#folder, `${task}-${round}.safetensors`))
    const all = await this.#list()
    const old = all.filter(kept => kept.task === task && kept.round <= round).slice(0, -2)
    // Ids of tasks begin with the time at which they were made.
    const tasks = [...new Set(all.map(kept => kept.task))].sort().slice(0, -mostTasks)
    const superfluous = [...old, ...all.filter(kept => tasks.includes(kept.task) && kept.task !== task)]
    for (const { name } of superfluous) await rm(join(this.#folder, name), { force: true })
  }

  async #list(): Promise<{ name: string; task: string; round: number }[]> {
    const kept = (await readdir(this.#folder)).flatMap(name => {
      const [, task = '', round] = /^([0-9a-f-]{36})-(\d+)\.safetensors$/.exec(name) ?? []
      return task === '' ? [] : [{ name, task, round: Number(round) }]
    })
    return kept.sort((a, b) => a.round - b.round)
  }
}
