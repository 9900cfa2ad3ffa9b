/**
 * How many predictions a served model answers, and how soon, beside the runtime alone on the same model in the same run:
 *
 *   node bench/inference.ts [seconds of each row, default 3]
 *
 * The model is the 2NN of the demo (784-200-200-10) with random weights. Clients keep one connection each and ask again as soon as they have
 * their answer; they run in this process, on the same cores. `run` is session.run here, without HTTP or process border.
 */
import { Agent, request } from 'node:http'
import { modelOfGraph, startServing } from '@tributary/edge-agent/inference/testing/versions'
import { SeededRandom } from '@tributary/learning/seeded/random'
import { deriveSeed } from '@tributary/learning/seeded/seed'
import { node } from '@tributary/onnx-train/testing/model-of'
import { writeModel } from '@tributary/onnx-train/write-model'
import { bytesOf } from '@tributary/tensors/view'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { median, percentile } from './statistics.ts'

const seconds = Number(process.argv[2] ?? 3)
const clients = 16
const random = new SeededRandom(deriveSeed('bench', 'inference'))
const numbers = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal() * 0.05)

const weights = (name: string, shape: number[]) =>
  [
    name,
    { dtype: 'float32' as const, shape, data: numbers(shape.reduce((product, size) => product * size, 1)) },
  ] as const
const model = modelOfGraph({
  inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 784] }],
  outputs: [{ name: 'scores', dtype: 'float32', shape: ['batch', 10] }],
  constants: new Map([
    weights('w1', [784, 200]),
    weights('b1', [200]),
    weights('w2', [200, 200]),
    weights('b2', [200]),
    weights('w3', [200, 10]),
    weights('b3', [10]),
  ]),
  nodes: [
    node('Gemm', ['x', 'w1', 'b1'], 'h1'),
    node('Relu', ['h1'], 'a1'),
    node('Gemm', ['a1', 'w2', 'b2'], 'h2'),
    node('Relu', ['h2'], 'a2'),
    node('Gemm', ['a2', 'w3', 'b3'], 'scores'),
  ],
})
const row = numbers(784)

type Measured = { readonly perSecond: number; readonly p50: number; readonly p99: number }

/** Asks from so many clients at once until the time is over. */
const measure = async (parallel: number, ask: (client: number) => Promise<void>): Promise<Measured> => {
  const millis: number[] = []
  const until = performance.now() + seconds * 1000
  const client = async (_: unknown, index: number): Promise<void> => {
    while (performance.now() < until) {
      const began = performance.now()
      await ask(index)
      millis.push(performance.now() - began)
    }
  }
  await Promise.all(Array.from({ length: parallel }, client))
  return { perSecond: millis.length / seconds, p50: median(millis), p99: percentile(millis, 0.99) }
}

const agent = new Agent({ keepAlive: true, maxSockets: clients })
const post = (url: string, body: Uint8Array, headers: Record<string, string | number>): Promise<void> =>
  new Promise((resolve, reject) => {
    const asked = request(
      url,
      { method: 'POST', agent, headers: { ...headers, 'content-length': body.length } },
      answer => {
        answer.on('end', () =>
          answer.statusCode === 200 ? resolve() : reject(new Error(`the agent answers ${answer.statusCode}`)),
        )
        answer.on('error', reject).resume()
      },
    )
    asked.on('error', reject).end(body)
  })

const jsonBody = Buffer.from(
  JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 784], data: [...row] }] }),
)
const binaryHead = Buffer.from(
  JSON.stringify({
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 784], parameters: { binary_data_size: row.byteLength } }],
    parameters: { binary_data_output: true },
  }),
)
const binaryBody = Buffer.concat([binaryHead, bytesOf(row)])

const session = await InferenceSession.create(writeModel(model), { intraOpNumThreads: 1, interOpNumThreads: 1 })
await using alone = await startServing({ process: { threads: 1, mostRows: 1, stallMillis: 60_000 } })
await using joining = await startServing()
await alone.release('m', model)
await joining.release('m', model)
const json = (url: string) => () => post(`${url}/v2/models/m/infer`, jsonBody, { 'content-type': 'application/json' })
const binary = (url: string) => () =>
  post(`${url}/v2/models/m/infer`, binaryBody, { 'inference-header-content-length': binaryHead.length })
const run = async (): Promise<void> => {
  await session.run({ x: new Tensor('float32', row, [1, 784]) })
}

const base = await measure(1, run)
const rows: [string, Measured][] = [
  ['session.run alone', base],
  ['JSON, 1 client', await measure(1, json(alone.url))],
  ['binary, 1 client', await measure(1, binary(alone.url))],
  [`JSON, ${clients} clients`, await measure(clients, json(alone.url))],
  [`binary, ${clients} clients`, await measure(clients, binary(alone.url))],
  [`binary, ${clients} clients, joined`, await measure(clients, binary(joining.url))],
]
console.log(
  '2NN, one row a request'.padEnd(34),
  ['/s', 'p50 ms', 'p99 ms', '× run'].map(head => head.padStart(9)).join(''),
)
for (const [name, { perSecond, p50, p99 }] of rows) {
  const cells = [perSecond.toFixed(0), p50.toFixed(2), p99.toFixed(2), (base.perSecond / perSecond).toFixed(2)]
  console.log(name.padEnd(34), cells.map(cell => cell.padStart(9)).join(''))
}
agent.destroy()
await session.release()
