import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { openPolicy, Policy } from './policy.ts'

export const policyFileName = 'policy.json'
const maxFileBytes = 256 * 1024

/** The owner's policy, or why there is none to go by. */
export type PolicyState = { readonly policy: Policy; readonly exists: boolean } | { readonly fault: string }

/** `policy.json` of the data folder, read again whenever it changes. Nothing that comes from elsewhere writes it. */
export class PolicyFile {
  readonly #file: string
  #stamp: string | undefined
  #state: PolicyState = { policy: openPolicy, exists: false }

  constructor(dataDir: string) {
    this.#file = join(dataDir, policyFileName)
  }

  /** The policy as the file has it now. A file that cannot be understood is a fault, never a policy of less. */
  async read(): Promise<PolicyState> {
    const stamp = await this.#look()
    if (stamp !== this.#stamp) {
      this.#state = await this.#load()
      this.#stamp = stamp
    }
    return this.#state
  }

  async #look(): Promise<string> {
    try {
      const { mtimeMs, size, ino } = await stat(this.#file)
      return `${ino} ${size} ${mtimeMs}`
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? 'unknown'
    }
  }

  async #load(): Promise<PolicyState> {
    let text: string
    try {
      await using handle = await open(this.#file, 'r')
      if ((await handle.stat()).size > maxFileBytes) return this.#fault('has more than 256 KiB')
      text = await handle.readFile('utf8')
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') return { policy: openPolicy, exists: false }
      return this.#fault(`cannot be read (${code ?? message})`)
    }
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch (error) {
      return this.#fault(`is not JSON: ${(error as Error).message}`)
    }
    const parsed = Policy.safeParse(json)
    if (parsed.success) return { policy: parsed.data, exists: true }
    return this.#fault(`is not usable:\n${z.prettifyError(parsed.error).slice(0, 2000)}`)
  }

  #fault(what: string): PolicyState {
    return { fault: `${this.#file} ${what}\nEverything is refused until it is mended.` }
  }
}
