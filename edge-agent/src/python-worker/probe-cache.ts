import { open } from 'node:fs/promises'
import * as z from 'zod'
import { writeAtomically } from '../state/atomic-file.ts'

/** As many as there may be trainers. */
const capacity = 64
const maxFileBytes = 64 * 1024

const Text = z.string().max(200)
const Found = z.object({ stamp: z.string().regex(/^[0-9a-f]{64}$/), python: Text, version: Text })
const Page = z.array(z.object({ trainer: z.string().max(64), found: Found })).max(capacity)

/** What a probe found, and what it was found of. */
type FoundTrainer = z.infer<typeof Found>

/**
 * Trainers that were found to work, in a file, so that not every start of the agent loads every framework. Only what works is kept: what
 * does not may be mended in a way that no stamp shows. A file that is damaged is an empty one.
 */
export class ProbeCache {
  readonly #file: string
  readonly #found: Map<string, FoundTrainer>

  private constructor(file: string, found: Map<string, FoundTrainer>) {
    this.#file = file
    this.#found = found
  }

  static async open(file: string): Promise<ProbeCache> {
    return new ProbeCache(file, new Map((await readPage(file)).map(({ trainer, found }) => [trainer, found])))
  }

  /** What was found of a trainer, where it was found of the same. */
  get(trainer: string, stamp: string | undefined): FoundTrainer | undefined {
    const found = this.#found.get(trainer)
    return stamp !== undefined && found?.stamp === stamp ? found : undefined
  }

  /** Resolves when it is on disk; a full disk costs a probe at the next start. */
  async put(trainer: string, found: FoundTrainer): Promise<void> {
    this.#found.delete(trainer)
    this.#found.set(trainer, found)
    await this.#write()
  }

  async forget(trainer: string): Promise<void> {
    if (this.#found.delete(trainer)) await this.#write()
  }

  async #write(): Promise<void> {
    const page = [...this.#found].slice(-capacity).map(([trainer, found]) => ({ trainer, found }))
    await writeAtomically(this.#file, JSON.stringify(page)).catch(() => {})
  }
}

const readPage = async (file: string): Promise<z.infer<typeof Page>> => {
  try {
    await using handle = await open(file, 'r')
    if ((await handle.stat()).size > maxFileBytes) return []
    return Page.parse(JSON.parse(await handle.readFile('utf8')))
  } catch {
    return []
  }
}
