import { hash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { OnnxModelError } from '@tributary/onnx-train/onnx-model-error'
import { SafetensorsError } from '@tributary/tensors/safetensors/safetensors-error'
import { allFinite } from '../finite.ts'
import type { InferenceTensor } from '../tensor.ts'
import { joinRows, rowsOf } from './join-rows.ts'
import { joinsFrom } from './joins-from.ts'
import { ModelFailure } from './model-failure.ts'
import { ModelSession } from './model-session.ts'
import { predictingModel } from './predicting-model.ts'
import type { ModelFile, ModelReport, ModelRequest } from './protocol.ts'
import { plainSample } from './samples.ts'

type Of<Kind, Union> = Extract<Union, { kind: Kind }>

/** The process's side: one model, one request after the other, each answered once. `close` gives the model back. */
export const serveModel = (post: (report: ModelReport) => void) => {
  let session: ModelSession | undefined

  const open = async ({ id, files, threads, mostRows }: Of<'open', ModelRequest>): Promise<ModelReport> => {
    const [graph, weights] = await Promise.all([readChecked(files.graph), readChecked(files.weights)])
    session = await ModelSession.open(predictingModel(graph, weights), threads)
    const sample = await trySample(session)
    return { kind: 'opened', id, description: session.describe(await joinsFrom(session, mostRows)), sample }
  }

  const run = async ({ id, parts, outputs, pad }: Of<'run', ModelRequest>): Promise<ModelReport> => {
    if (session === undefined) throw new ModelFailure('RUN_FAILED', 'No model is loaded.')
    const started = performance.now()
    const results = await runOrBlame(session, joinRows(pad ? [...parts, ...parts] : parts), outputs)
    const found = pad ? results.map(tensor => rowsOf(tensor, 0, (tensor.shape[0] ?? 0) / 2)) : results
    const seconds = (performance.now() - started) / 1000
    return { kind: 'ran', id, outputs: found, finite: allFinite(found), seconds }
  }

  const handle = async (request: ModelRequest): Promise<void> => {
    try {
      post(await (request.kind === 'open' ? open(request) : run(request)))
    } catch (error) {
      post({ kind: 'failed', id: request.id, ...failureOf(error) })
    }
  }

  let last = Promise.resolve()
  return {
    take: (request: ModelRequest): void => {
      last = last.then(() => handle(request))
    },
    close: (): void => {
      last = last.then(async () => {
        await session?.[Symbol.asyncDispose]()
        session = undefined
      })
    },
  }
}

/** A run that fails where the plain sample does not says nothing about the version: whoever asks can send anything. */
const runOrBlame = async (
  session: ModelSession,
  inputs: readonly InferenceTensor[],
  outputs: readonly string[],
): Promise<InferenceTensor[]> => {
  try {
    return await session.run(inputs, outputs)
  } catch (error) {
    const sample = await trySample(session)
    if (!('finite' in sample) || !sample.finite) throw error
    const message = error instanceof Error ? error.message : String(error)
    throw new ModelFailure('INPUTS_REFUSED', message, { cause: error })
  }
}

const trySample = async (session: ModelSession): Promise<Of<'opened', ModelReport>['sample']> => {
  try {
    const results = await session.run(
      plainSample(session.inputs),
      session.outputs.map(({ name }) => name),
    )
    return { finite: results.length > 0 && allFinite(results) }
  } catch (error) {
    if (error instanceof ModelFailure) return { refusal: error.message }
    throw error
  }
}

const readChecked = async ({ path, sha256 }: ModelFile): Promise<Uint8Array> => {
  const bytes = await readFile(path).catch(cause => {
    throw new ModelFailure('FILES_DAMAGED', 'A file of the version cannot be read.', { cause })
  })
  if (hash('sha256', bytes, 'hex') === sha256) return bytes
  throw new ModelFailure('FILES_DAMAGED', `A file of the version has not its sha256 ${sha256} any more.`)
}

const failureOf = (error: unknown): Pick<Of<'failed', ModelReport>, 'code' | 'message'> => {
  if (error instanceof ModelFailure) return { code: error.code, message: error.message }
  const message = error instanceof Error ? error.message : String(error)
  const ofTheModel = error instanceof OnnxModelError || error instanceof SafetensorsError
  return { code: ofTheModel ? 'MODEL_UNSUPPORTED' : 'RUN_FAILED', message }
}
