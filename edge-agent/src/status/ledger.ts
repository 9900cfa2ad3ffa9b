import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import * as z from 'zod'
import { RotatingFile } from '../state/rotating-file.ts'

const fileName = 'sent.jsonl'
const maxBytes = 2 ** 20
const files = 8
const maxLineBytes = 16 * 1024

/** Something that left this device. */
export const LedgerEntry = z.object({
  time: z.iso.datetime(),
  /** `update`: what was learnt; `evaluation`: how well a version does here; `failure`: why work was not done; `datasets`: names and counts of data sets; `descriptions`: what else is told of them; `personalisation`: how fitting came out. */
  kind: z.enum(['update', 'evaluation', 'failure', 'datasets', 'descriptions', 'personalisation']),
  task: z.string().optional(),
  round: z.int().optional(),
  attempt: z.int().optional(),
  evaluation: z.string().optional(),
  bytes: z.int().optional(),
  sha256: z.string().optional(),
  examples: z.int().optional(),
  /** Names of the metrics that went with it. */
  metrics: z.array(z.string()).optional(),
  /** The node's answer, or why there was none; or the code of a failure. */
  verdict: z.string().optional(),
  /** What was told in words, or the names of data sets with their counts. */
  detail: z.string().optional(),
})
export type LedgerEntry = z.infer<typeof LedgerEntry>

/**
 * What has ever been sent, in `<state>/sent.jsonl`: a line for each, on disk before the agent goes on, the oldest dropped beyond 8 MiB.
 * A ledger that cannot be written is said in the log and stops nothing.
 */
export class Ledger implements Disposable {
  readonly #file: RotatingFile
  readonly #log: Pick<Logger, 'error'>

  constructor(stateDir: string, log: Pick<Logger, 'error'>) {
    this.#file = new RotatingFile(join(stateDir, fileName), { maxBytes, files, durable: true })
    this.#log = log
  }

  record(entry: Omit<LedgerEntry, 'time'>): void {
    try {
      this.#file.write(`${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`)
    } catch (error) {
      this.#log.error({ err: error, entry }, 'the ledger of what was sent cannot be written')
    }
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]()
  }
}

/** Entries of the ledger, oldest first; lines that a crash tore are left out. */
export async function* readLedger(stateDir: string): AsyncGenerator<LedgerEntry> {
  const file = join(stateDir, fileName)
  for (let age = files - 1; age >= 0; age -= 1) yield* readLines(age === 0 ? file : `${file}.${age}`)
}

async function* readLines(file: string): AsyncGenerator<LedgerEntry> {
  let handle: Awaited<ReturnType<typeof open>>
  try {
    handle = await open(file, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  await using _owned = handle
  for await (const line of handle.readLines({ autoClose: false })) {
    const entry = line.length > maxLineBytes ? undefined : LedgerEntry.safeParse(parseJson(line)).data
    if (entry !== undefined) yield entry
  }
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
