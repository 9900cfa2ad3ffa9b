import { createHash } from 'node:crypto'
import { type CompiledEvaluation, compileEvaluation } from '@tributary/onnx-train/compile-evaluation'
import { type CompiledTraining, compileTraining } from '@tributary/onnx-train/compile-training'
import { type Parameter, parametersOf } from '@tributary/onnx-train/parameters'
import { readModel } from '@tributary/onnx-train/read-model'
import { collectAfterLarge } from '../collect-garbage.ts'
import { expectWeights } from './flat-weights.ts'
import type { EvaluateMessage, TrainMessage } from './protocol.ts'
import { runOnce, Session } from './runtime.ts'
import type { StepsPerRun } from './steps-per-run.ts'

export type TrainingProgram = AsyncDisposable & {
  readonly kind: 'train'
  readonly compiled: CompiledTraining
  /** Every parameter and running statistic in manifest order, trained or frozen. */
  readonly manifest: readonly Parameter[]
  readonly session: Session
  /** By batch size: what earlier jobs learnt about the speed of this graph here. */
  readonly pace: Map<number, StepsPerRun>
}

export type EvaluationProgram = AsyncDisposable & {
  readonly kind: 'evaluate'
  readonly compiled: CompiledEvaluation
  readonly session: Session
}

/** Larger graphs than ONNX itself can hold are nobody's. */
export const maxGraphBytes = 2 ** 31 - 1

/** Compiled graphs and their sessions, kept from round to round; the one unused for longest makes room. */
export class GraphCache {
  readonly #capacity: number
  readonly #programs = new Map<string, TrainingProgram | EvaluationProgram>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** Throws OnnxModelError, TrainingError WEIGHTS_MISMATCH. */
  async training(message: TrainMessage): Promise<TrainingProgram> {
    const { optimizer, gradientClippingNorm: clippingNorm, proximal } = message.settings
    const { loss, frozen } = message
    const seed = seedOf(message.orders)
    const key = JSON.stringify(['train', message.graphKey, loss, optimizer, clippingNorm, proximal, frozen])
    const known = await this.#use(key)
    if (known?.kind === 'train') return known
    const model = readChecked(message)
    const trainable = { except: frozen }
    const options = { loss, optimizer, clippingNorm, proximal, trainable, seed, form: 'loop' } as const
    const compiled = await compileTraining(model, options, runOnce)
    collectAfterLarge(message.weights.byteLength)
    const session = await Session.open(compiled.model)
    const pace = new Map<number, StepsPerRun>()
    const manifest = parametersOf(model)
    const program: TrainingProgram = { kind: 'train', compiled, manifest, session, pace, ...ownerOf(session) }
    this.#programs.set(key, program)
    return program
  }

  /**
   * Takes back a program after its job. One that draws numbers ends here: the runtime would go on drawing, and the same
   * job would not give the same bytes again.
   */
  async giveBack(program: TrainingProgram): Promise<void> {
    if (!program.compiled.random) return
    for (const [key, known] of this.#programs) if (known === program) this.#programs.delete(key)
    await program[Symbol.asyncDispose]()
  }

  /** Throws OnnxModelError, TrainingError WEIGHTS_MISMATCH. */
  async evaluation(message: EvaluateMessage): Promise<EvaluationProgram> {
    const { loss } = message
    const key = JSON.stringify(['evaluate', message.graphKey, loss])
    const known = await this.#use(key)
    if (known?.kind === 'evaluate') return known
    const compiled = await compileEvaluation(readChecked(message), runOnce, { loss })
    const session = await Session.open(compiled.model)
    const program: EvaluationProgram = { kind: 'evaluate', compiled, session, ...ownerOf(session) }
    this.#programs.set(key, program)
    return program
  }

  /** Moves a program to the young end, or makes room for a new one. */
  async #use(key: string): Promise<TrainingProgram | EvaluationProgram | undefined> {
    const program = this.#programs.get(key)
    if (program !== undefined) {
      this.#programs.delete(key)
      this.#programs.set(key, program)
      return program
    }
    for (const [oldest, stale] of this.#programs) {
      if (this.#programs.size < this.#capacity) break
      this.#programs.delete(oldest)
      await stale[Symbol.asyncDispose]()
    }
    return undefined
  }
}

/** Checks the number of weights before the compiler makes room for as many as the graph declares. */
const readChecked = ({ graph, weights }: TrainMessage | EvaluateMessage) => {
  const model = readModel(graph, { maxBytes: maxGraphBytes })
  expectWeights(weights, parametersOf(model))
  return model
}

/** Orders come from the device's seed of the round, so what follows from them is as reproducible and as varied. */
const seedOf = ([first]: readonly Int32Array[]): number =>
  first === undefined
    ? 0
    : createHash('sha256')
        .update(new Uint8Array(first.buffer, first.byteOffset, first.byteLength))
        .digest()
        .readUInt32LE()

const ownerOf = (session: Session): AsyncDisposable => ({
  [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
})
