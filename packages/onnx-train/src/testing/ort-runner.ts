import * as ort from 'onnxruntime-node'
import type { Runner } from '../runner.ts'
import type { DType, Tensor, TensorData } from '../tensor.ts'

/** Options of every session in tests: one thread, quiet. */
export const sessionOptions = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 as const }

/** Runs models with onnxruntime-node, a session a call. For tests. */
export const ortRunner: Runner = async (modelBytes, feeds, fetches) => {
  const session = await ort.InferenceSession.create(modelBytes, sessionOptions)
  try {
    return await runSession(session, feeds, fetches)
  } finally {
    await session.release()
  }
}

export const runSession = async (
  session: ort.InferenceSession,
  feeds: ReadonlyMap<string, Tensor>,
  fetches: readonly string[],
): Promise<ReadonlyMap<string, Tensor>> => {
  const inputs = [...feeds].map(([name, { dtype, data, shape }]) => [name, new ort.Tensor(dtype, data, shape)])
  const results = await session.run(Object.fromEntries(inputs), [...fetches])
  return new Map(
    fetches.map((name): [string, Tensor] => {
      const { type, dims, data } = results[name] as ort.Tensor
      return [name, { dtype: type as DType, shape: dims, data: data as TensorData }]
    }),
  )
}
