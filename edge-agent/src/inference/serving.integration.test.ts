import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { clone } from '@bufbuild/protobuf'
import { TensorProto_DataType as DataType, ModelProtoSchema } from '@tributary/onnx-train/gen/onnx_pb'
import { node } from '@tributary/onnx-train/testing/model-of'
import { post, x } from './testing/ask.ts'
import { modelOfGraph, startServing, type TestServing, times } from './testing/versions.ts'

/** Two inputs of different datatypes, three outputs. */
const several = () =>
  modelOfGraph({
    inputs: [
      { name: 'a', dtype: 'float32', shape: ['batch', 2] },
      { name: 'pick', dtype: 'int64', shape: ['batch', 1] },
      { name: 'keep', dtype: 'bool', shape: ['batch', 2] },
    ],
    outputs: [
      { name: 'sum', dtype: 'float32', shape: ['batch', 2] },
      { name: 'next', dtype: 'int64', shape: ['batch', 1] },
      { name: 'kept', dtype: 'bool', shape: ['batch', 2] },
    ],
    constants: new Map([
      ['w', { dtype: 'float32' as const, shape: [3, 2], data: Float32Array.of(1, 2, 10, 20, 100, 200) }],
      ['one', { dtype: 'int64' as const, shape: [1], data: BigInt64Array.of(1n) }],
      ['axes', { dtype: 'int64' as const, shape: [1], data: BigInt64Array.of(1n) }],
    ]),
    nodes: [
      node('Gather', ['w', 'pick'], 'rows'),
      node('Squeeze', ['rows', 'axes'], 'row'),
      node('Add', ['a', 'row'], 'sum'),
      node('Add', ['pick', 'one'], 'next'),
      node('Not', ['keep'], 'kept'),
    ],
  })

/** Sums inputs of three datatypes that no weight has, as FP32 and as FP16. */
const small = () => {
  const shape = ['batch', 2]
  const model = modelOfGraph({
    inputs: ['h', 'i', 'b'].map(name => ({ name, dtype: 'float32', shape })),
    outputs: ['sum', 'half'].map(name => ({ name, dtype: 'float32', shape })),
    constants: new Map([['w', { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, 0, 0, 1) }]]),
    nodes: [
      ...['h', 'i', 'b'].map(name => node('Cast', [name], `${name}32`, { to: { int: DataType.FLOAT } })),
      node('Sum', ['h32', 'i32', 'b32'], 'total'),
      node('MatMul', ['total', 'w'], 'sum'),
      node('Cast', ['sum'], 'half', { to: { int: DataType.FLOAT16 } }),
    ],
  })
  const graph = clone(ModelProtoSchema, model)
  const [h, i, b] = graph.graph?.input ?? []
  const [, half] = graph.graph?.output ?? []
  const types = [
    [h, DataType.FLOAT16],
    [i, DataType.INT16],
    [b, DataType.INT8],
    [half, DataType.FLOAT16],
  ] as const
  for (const [port, type] of types) {
    if (port?.type?.value.case === 'tensorType') port.type.value.value.elemType = type
  }
  return [model, graph] as const
}

suite('deployed models over HTTP', () => {
  let serving: TestServing
  before(async () => {
    serving = await startServing()
    await serving.release('double', times(2))
    await serving.release('several', several())
  })
  after(() => serving[Symbol.asyncDispose]())

  test('metadata and readiness are those of the Open Inference Protocol', async () => {
    const get = async (path: string) => (await fetch(`${serving.url}${path}`)).json()
    assert.deepEqual(await get('/v2/health/live'), { live: true })
    assert.deepEqual(await get('/v2/health/ready'), { ready: true })
    assert.deepEqual(((await get('/v2')) as { extensions: string[] }).extensions, ['binary_tensor_data'])
    assert.deepEqual(await get('/v2/models/double/versions/1/ready'), { name: 'double', ready: true })
    assert.deepEqual(await get('/v2/models/double'), {
      name: 'double',
      versions: ['1'],
      platform: 'onnxruntime_onnx',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }],
    })
  })

  test('JSON tensors, flat and nested, are answered with JSON tensors', async () => {
    const flat = await post(`${serving.url}/v2/models/double/infer`, { id: 'seven', ...x([1, 2], [3.5, -4]) })
    assert.equal(flat.status, 200)
    assert.deepEqual(await flat.json(), {
      model_name: 'double',
      model_version: '1',
      id: 'seven',
      outputs: [{ name: 'y', datatype: 'FP32', shape: [2, 2], data: [2, 4, 7, -8] }],
    })
    const nested = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [[0.25, 0.5]] }] }
    const answer = (await (await post(`${serving.url}/v2/models/double/versions/1/infer`, nested)).json()) as {
      outputs: { data: number[] }[]
    }
    assert.deepEqual(answer.outputs[0]?.data, [0.5, 1])
  })

  test('several inputs and outputs of several datatypes, in any order, some of them asked for', async () => {
    const inputs = [
      { name: 'keep', datatype: 'BOOL', shape: [1, 2], data: [true, false] },
      { name: 'pick', datatype: 'INT64', shape: [1, 1], data: [2] },
      { name: 'a', datatype: 'FP32', shape: [1, 2], data: [0.5, 0.25] },
    ]
    const answer = await post(`${serving.url}/v2/models/several/infer`, { inputs })
    assert.deepEqual(((await answer.json()) as { outputs: unknown }).outputs, [
      { name: 'sum', datatype: 'FP32', shape: [1, 2], data: [100.5, 200.25] },
      { name: 'next', datatype: 'INT64', shape: [1, 1], data: [3] },
      { name: 'kept', datatype: 'BOOL', shape: [1, 2], data: [false, true] },
    ])
    const one = await post(`${serving.url}/v2/models/several/infer`, { inputs, outputs: [{ name: 'next' }] })
    assert.deepEqual(
      ((await one.json()) as { outputs: { name: string }[] }).outputs.map(({ name }) => name),
      ['next'],
    )
  })

  test('binary tensors travel after the JSON, both ways', async () => {
    const values = Float32Array.of(1, 2, 3, 4)
    const head = Buffer.from(
      JSON.stringify({
        inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 2], parameters: { binary_data_size: 16 } }],
        parameters: { binary_data_output: true },
      }),
    )
    const answer = await post(
      `${serving.url}/v2/models/double/infer`,
      Buffer.concat([head, Buffer.from(values.buffer)]),
      {
        'inference-header-content-length': String(head.length),
      },
    )
    assert.equal(answer.headers.get('content-type'), 'application/octet-stream')
    const length = Number(answer.headers.get('inference-header-content-length'))
    const bytes = Buffer.from(await answer.arrayBuffer())
    assert.deepEqual(JSON.parse(bytes.subarray(0, length).toString()).outputs, [
      { name: 'y', datatype: 'FP32', shape: [2, 2], parameters: { binary_data_size: 16 } },
    ])
    assert.deepEqual(new Float32Array(new Uint8Array(bytes.subarray(length)).buffer), Float32Array.of(2, 4, 6, 8))
  })

  test('half precision and small integers travel as bytes and as JSON', async () => {
    await serving.release('small', ...small())
    const url = `${serving.url}/v2/models/small/infer`
    const tensor = (name: string, datatype: string, data: number[]) => ({ name, datatype, shape: [1, 2], data })
    const inputs = [tensor('h', 'FP16', [0.5, -2]), tensor('i', 'INT16', [300, -7]), tensor('b', 'INT8', [1, -128])]
    const outputs = async (request: object) =>
      ((await (await post(url, request)).json()) as { outputs: unknown }).outputs
    const sums = [0.5 + 300 + 1, -2 - 7 - 128]
    assert.deepEqual(await outputs({ inputs, outputs: [{ name: 'sum' }, { name: 'half' }] }), [
      tensor('sum', 'FP32', sums),
      tensor('half', 'FP16', [301.5, -137]),
    ])
    const half = { name: 'half', parameters: { binary_data: true } }
    const answer = await post(url, { inputs, outputs: [half] })
    const bytes = Buffer.from(await answer.arrayBuffer())
    const length = Number(answer.headers.get('inference-header-content-length'))
    // 301.5 is 1.177734375 · 2⁸, −137 is −1.0703125 · 2⁷.
    assert.deepEqual([...bytes.subarray(length)], [0xb6, 0x5c, 0x48, 0xd8])
  })

  test('what does not fit is refused by name, with a code and what to do', async () => {
    const refusals: [unknown, number, string][] = [
      ['{"inputs":', 400, 'MALFORMED'],
      ['[]', 400, 'MALFORMED'],
      [{ inputs: [] }, 422, 'INPUT_MISSING'],
      [{ inputs: [{ name: 'x', datatype: 'BYTES', shape: [1, 2], data: ['a', 'b'] }] }, 422, 'DATATYPE_UNSUPPORTED'],
      [{ inputs: [{ name: 'x', datatype: 'FP64', shape: [1, 2], data: [1, 2] }] }, 422, 'DATATYPE_MISMATCH'],
      [{ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, null] }] }, 422, 'DATATYPE_MISMATCH'],
      [{ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 1e39] }] }, 422, 'DATATYPE_MISMATCH'],
      [{ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 3], data: [1, 2, 3] }] }, 422, 'SHAPE_MISMATCH'],
      [{ inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 2], data: [1, 2, 3] }] }, 422, 'SHAPE_MISMATCH'],
      [{ inputs: [{ name: 'x', datatype: 'FP32', shape: [2 ** 40, 2 ** 40], data: [1] }] }, 422, 'SHAPE_MISMATCH'],
      [{ inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2], data: [] }] }, 400, 'MALFORMED'],
      [{ ...x([1, 2]), outputs: [{ name: 'z' }] }, 422, 'OUTPUT_UNKNOWN'],
      [{ inputs: [...x([1, 2]).inputs, ...x([1, 2]).inputs] }, 400, 'MALFORMED'],
      ['{"__proto__":{"inputs":[]}}', 400, 'MALFORMED'],
    ]
    for (const [body, status, code] of refusals) {
      const answer = await post(`${serving.url}/v2/models/double/infer`, body)
      const problem = (await answer.json()) as { error: string; code: string }
      assert.deepEqual([answer.status, problem.code], [status, code], JSON.stringify(body))
      assert.ok(problem.error.length > 10)
    }
  })

  test('addresses and methods that there are not are refused', async () => {
    const statuses = async (...asked: [string, string][]) =>
      Promise.all(asked.map(async ([method, path]) => (await fetch(`${serving.url}${path}`, { method })).status))
    assert.deepEqual(
      await statuses(
        ['GET', '/'],
        ['GET', '/v2/models/none'],
        ['GET', '/v2/models/double/versions/9'],
        ['GET', '/v2/models/double/infer'],
        ['DELETE', '/v2'],
        ['GET', '/v2/models/%ff'],
        ['GET', '/v2/models/..%2f..%2fetc'],
      ),
      [404, 404, 404, 405, 405, 400, 404],
    )
  })

  test('numbers of requests, batches and the version are told to Prometheus', async () => {
    const page = await (await fetch(`${serving.url}/metrics`)).text()
    assert.match(page, /^tributary_inference_requests_total\{model="double"\} \d+$/m)
    assert.match(page, /^tributary_inference_failures_total\{model="double",code="SHAPE_MISMATCH"\} 3$/m)
    assert.match(page, /^tributary_inference_version\{model="several"\} 2$/m)
    assert.match(page, /^tributary_inference_batch_requests_bucket\{model="double",le="1"\} \d+$/m)
  })
})

test('four clients in a loop meet twenty swaps, and no request fails', { timeout: 120_000 }, async () => {
  await using serving = await startServing()
  await serving.release('model', times(1))
  let done = false
  let answered = 0
  const versions = new Set<string>()
  const client = async (): Promise<void> => {
    while (!done) {
      const answer = await post(`${serving.url}/v2/models/model/infer`, x([1, 3]))
      assert.equal(answer.status, 200, await answer.clone().text())
      const { model_version: version, outputs } = (await answer.json()) as {
        model_version: string
        outputs: { data: number[] }[]
      }
      // Version k computes k · x: the answer is the one of the version that it names.
      assert.deepEqual(outputs[0]?.data, [Number(version), 3 * Number(version)])
      versions.add(version)
      answered += 1
    }
  }
  const clients = Promise.all([client(), client(), client(), client()])
  for (let swap = 2; swap <= 21; swap++) await serving.release('model', times(swap))
  done = true
  await clients
  assert.ok(versions.size > 15 && answered > versions.size, `${versions.size} versions, ${answered} answers`)
})
