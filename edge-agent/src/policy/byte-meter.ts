import { open } from 'node:fs/promises'
import * as z from 'zod'
import { writeAtomically } from '../state/atomic-file.ts'

export type Direction = 'down' | 'up'
export type DayBytes = { readonly down: number; readonly up: number }

const count = z.int().min(0)
const Page = z.object({ day: z.iso.date(), down: count, up: count })
/** A crash forgets less than this much. */
const unwrittenBytes = 2 ** 20
const maxFileBytes = 4096

/**
 * Bytes of models and updates that passed today, by the calendar of this device; what was counted outlives the agent. A file that is
 * damaged begins at 0.
 */
export class ByteMeter implements AsyncDisposable {
  readonly #file: string
  readonly #now: () => Date
  #page: z.infer<typeof Page>
  #unwritten = 0
  #writing: Promise<void> = Promise.resolve()

  private constructor(file: string, page: z.infer<typeof Page>, now: () => Date) {
    this.#file = file
    this.#page = page
    this.#now = now
  }

  static async open(file: string, now: () => Date = () => new Date()): Promise<ByteMeter> {
    return new ByteMeter(file, (await readPage(file)) ?? { day: dayOf(now()), down: 0, up: 0 }, now)
  }

  readonly add = (direction: Direction, bytes: number): void => {
    this.#turn()
    this.#page[direction] += bytes
    this.#unwritten += bytes
    if (this.#unwritten >= unwrittenBytes) void this.flush()
  }

  get today(): DayBytes {
    this.#turn()
    const { down, up } = this.#page
    return { down, up }
  }

  /** Writes what is not written yet. Never rejects: a full disk does not stop what is counted. */
  flush(): Promise<void> {
    if (this.#unwritten > 0) {
      this.#unwritten = 0
      const text = JSON.stringify(this.#page)
      this.#writing = this.#writing.then(() => writeAtomically(this.#file, text).catch(() => {}))
    }
    return this.#writing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.flush()
  }

  #turn(): void {
    const day = dayOf(this.#now())
    if (day !== this.#page.day) this.#page = { day, down: 0, up: 0 }
  }
}

const dayOf = (date: Date): string => {
  const two = (number: number): string => String(number).padStart(2, '0')
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
}

const readPage = async (file: string): Promise<z.infer<typeof Page> | undefined> => {
  try {
    await using handle = await open(file, 'r')
    if ((await handle.stat()).size > maxFileBytes) return undefined
    return Page.parse(JSON.parse(await handle.readFile('utf8')))
  } catch {
    return undefined
  }
}
