import type { Readable } from 'node:stream'
import { TrainingError } from './training-error.ts'

const tailLength = 4_000

/** The last words of a process: all that a fatal error leaves. */
export class TextTail {
  #text = ''

  constructor(stream: Readable) {
    stream.setEncoding('utf8')
    stream.on('data', (chunk: string) => {
      this.#text = (this.#text + chunk).slice(-tailLength)
    })
  }

  get text(): string {
    return this.#text.trim()
  }
}

/** Why a process that nobody ended is gone. */
export const endOf = (code: number | null, signal: NodeJS.Signals | null, stderr: string): TrainingError => {
  // Nobody else sends it to a process like this.
  if (signal === 'SIGKILL') return crashed('was ended by SIGKILL: most likely this device is out of memory')
  return crashed(`ended with ${signal ?? `exit code ${code}`}`, stderr === '' ? undefined : new Error(stderr))
}

export const crashed = (what: string, cause?: unknown): TrainingError =>
  new TrainingError('CRASHED', `The training process ${what}. The job can be tried again.`, { cause })

export const stalled = (seconds: number): TrainingError =>
  new TrainingError(
    'STALLED',
    `The training process showed no sign of life for ${seconds} s. Train a smaller model here.`,
  )

export const overLimit = (bytes: number, most: number): TrainingError => {
  const megabytes = (count: number): number => Math.round(count / 1_000_000)
  return new TrainingError(
    'MEMORY_LIMIT',
    `The training process took ${megabytes(bytes)} MB, more than the ${megabytes(most)} MB of memoryMegabytes in the owner's policy.`,
  )
}
