import { mostEvaluationSums } from '@tributary/learning/evaluation/sums'
import * as z from 'zod'

const Count = z.int().nonnegative()
const Seconds = z.number().nonnegative()
const Version = z.string().max(100)

const fitsInt64 = (text: string): boolean => BigInt.asIntN(64, BigInt(text)) === BigInt(text)

/** What a worker writes, one JSON object a line. Training code could write there too, so nothing of it is taken on trust. */
export const WorkerLine = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('started'), worker: Version }),
  z.object({ kind: z.literal('progress'), steps: Count, totalSteps: Count, loss: z.number().nullable() }),
  z.object({
    kind: z.literal('trained'),
    /** Of one local epoch. */
    examples: Count,
    steps: Count,
    meanLoss: z.number().nullable(),
    seconds: Seconds,
  }),
  z.object({
    kind: z.literal('evaluated'),
    examples: Count,
    correct: Count.nullable(),
    /** Null where it is no number. */
    lossSum: z.number().nullable(),
    /** Additive integers by name, each of which fits int64. */
    sums: z
      .record(
        z.string().regex(/^[a-z][a-z0-9_]{0,47}$/),
        z
          .string()
          .regex(/^-?\d{1,19}$/)
          .refine(fitsInt64),
      )
      .refine(sums => Object.keys(sums).length <= mostEvaluationSums)
      .default({}),
    seconds: Seconds,
  }),
  z.object({ kind: z.literal('probed'), worker: Version, python: Version, framework: Version, version: Version }),
  z.object({
    kind: z.literal('failed'),
    code: z.enum([
      'MODEL_MISMATCH',
      'DATA_MISMATCH',
      'SETTINGS_INVALID',
      'TRAINER_MISSING',
      'TRAINER_FAILED',
      'DIVERGED',
      'MEMORY_LIMIT',
    ]),
    message: z.string().max(2000),
    step: Count.optional(),
  }),
])
export type WorkerLine = z.infer<typeof WorkerLine>
/** The last line of a worker that did its work. */
export type WorkerOutcome = Extract<WorkerLine, { kind: 'trained' | 'evaluated' | 'probed' }>

/** Room for the counts of an evaluation. */
const mostLineBytes = 128 * 1024
const mostBytes = 64 * 1024 * 1024

/** Cuts what comes from a worker into lines and checks each; holds one unfinished line at most. */
export class LineReader {
  #rest = Buffer.alloc(0)
  #received = 0

  /** The lines that a chunk completes. @throws Error that says what is wrong with them */
  read(chunk: Buffer): WorkerLine[] {
    this.#received += chunk.length
    if (this.#received > mostBytes) throw new Error(`it wrote more than ${mostBytes} bytes`)
    const lines: WorkerLine[] = []
    let text = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    for (let end = text.indexOf(0x0a); end !== -1; end = text.indexOf(0x0a)) {
      if (end > mostLineBytes) throw new Error(`it wrote a line of ${end} bytes`)
      lines.push(parse(text.toString('utf8', 0, end)))
      text = text.subarray(end + 1)
    }
    if (text.length > mostLineBytes) throw new Error(`it wrote a line of more than ${mostLineBytes} bytes`)
    this.#rest = Buffer.from(text)
    return lines
  }
}

const parse = (text: string): WorkerLine => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new Error('it wrote a line that is not JSON')
  }
  const line = WorkerLine.safeParse(json)
  if (line.success) return line.data
  throw new Error(`it wrote a line that says nothing the agent knows: ${z.prettifyError(line.error).slice(0, 300)}`)
}
