import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { node } from '@tributary/onnx-train/testing/model-of'
import { post, until, x } from './testing/ask.ts'
import { modelOfGraph, startServing, type TestServing, times } from './testing/versions.ts'

const ask = (serving: TestServing, body: unknown = x([1, 2])) => post(`${serving.url}/v2/models/m/infer`, body)
const codeOf = async (answer: Response) => [answer.status, ((await answer.json()) as { code?: string }).code]
const versionOf = (serving: TestServing) => serving.models.find('m').version
const signal = (serving: TestServing, name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void => {
  process.kill(versionOf(serving).pid as number, name)
}
const isAnswered = async (answer: Promise<Response>): Promise<void> => {
  const { status } = await answer
  assert.equal(status, 200)
}

suite('the process of a version', { timeout: 120_000 }, () => {
  test('requests wait in a queue of bounded length, and what waited runs together', async () => {
    await using serving = await startServing({ maxQueue: 3 })
    await serving.release('m', times(2))
    await isAnswered(ask(serving))
    signal(serving, 'SIGSTOP')
    // Two are with the process, three wait.
    const asked: Promise<Response>[] = []
    for (let count = 1; count <= 5; count++) {
      asked.push(ask(serving, x([count, 0])))
      await until('the request has its place', () => versionOf(serving).waiting === Math.max(0, count - 2))
    }
    const refused = await ask(serving)
    assert.equal(refused.headers.get('retry-after'), '1')
    assert.deepEqual(await codeOf(refused), [503, 'BUSY'])
    signal(serving, 'SIGCONT')
    for (const [index, answer] of asked.entries()) {
      const { outputs } = (await (await answer).json()) as { outputs: { data: number[] }[] }
      assert.deepEqual(outputs[0]?.data, [2 * (index + 1), 0])
    }
    const page = await (await fetch(`${serving.url}/metrics`)).text()
    assert.match(page, /batch_requests_sum\{model="m"\} 6$/m)
    assert.match(page, /batch_requests_count\{model="m"\} 4$/m, 'three requests ran at once')
  })

  test('one that dies costs the requests that it had, and comes back after a pause', async () => {
    await using serving = await startServing()
    await serving.release('m', times(2))
    const { pid } = versionOf(serving)
    signal(serving, 'SIGSTOP')
    const lost = ask(serving)
    await until('the request is with the process', () => versionOf(serving).running === 1)
    signal(serving, 'SIGKILL')
    const answer = await lost
    assert.match(answer.headers.get('retry-after') ?? '', /^\d+$/)
    assert.deepEqual(await codeOf(answer), [503, 'RUNTIME_DOWN'])
    assert.deepEqual((await fetch(`${serving.url}/v2/models/m/ready`)).status, 503)
    await until('it answers again', async () => (await ask(serving)).status === 200)
    assert.notEqual(versionOf(serving).pid, pid)
    assert.deepEqual(serving.deployments.unhealthyVersions, [])
  })

  test('one that dies at every request is not healthy', async () => {
    await using serving = await startServing()
    const { deployment } = await serving.release('m', times(2))
    await until('it is taken out of service', async () => {
      const { version } = serving.models.find('m')
      if (version.loaded) signal(serving, 'SIGKILL')
      await ask(serving)
      return serving.deployments.unhealthyVersions.length > 0
    })
    assert.deepEqual(serving.deployments.unhealthyVersions, [deployment])
  })

  test('a request is given up at its deadline, and one that was given up is not run', async () => {
    await using serving = await startServing({ deadlineMillis: 2000 })
    await serving.release('m', times(2))
    await isAnswered(ask(serving))
    signal(serving, 'SIGSTOP')
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask(serving)))
    assert.deepEqual(await Promise.all(answers.map(codeOf)), Array(5).fill([504, 'DEADLINE']))
    assert.equal(versionOf(serving).waiting, 0)
    signal(serving, 'SIGCONT')
    await until('it answers again', async () => (await ask(serving)).status === 200)
  })

  test('one that does not answer is killed, and the next one answers', async () => {
    await using serving = await startServing({ process: { threads: 1, mostRows: 16, stallMillis: 1000 } })
    await serving.release('m', times(2))
    signal(serving, 'SIGSTOP')
    assert.deepEqual(await codeOf(await ask(serving)), [503, 'RUNTIME_DOWN'])
    await until('it answers again', async () => (await ask(serving)).status === 200)
  })

  test('it ends when nobody asks for long, and starts with the next request', async () => {
    await using serving = await startServing({ idleMillis: 20 })
    await serving.release('m', times(2))
    await until('the process has ended', () => !versionOf(serving).loaded)
    assert.equal((await fetch(`${serving.url}/v2/models/m/ready`)).status, 200)
    await isAnswered(ask(serving))
  })

  test('files that are damaged are told, and are no fault of the version', async () => {
    await using serving = await startServing({ idleMillis: 20 })
    const { deployment, weights, manifest } = await serving.release('m', times(2))
    await until('the process has ended', () => !versionOf(serving).loaded)
    await serving.deployments.spoil(weights, manifest)
    assert.deepEqual(await codeOf(await ask(serving)), [503, 'RUNTIME_DOWN'])
    assert.deepEqual([serving.deployments.damagedVersions, serving.deployments.unhealthyVersions], [[deployment], []])
  })

  test('a model that is withdrawn finishes what it has, and is not found any more', async () => {
    await using serving = await startServing()
    const { model } = await serving.release('m', times(2))
    const { pid } = versionOf(serving)
    signal(serving, 'SIGSTOP')
    const asked = ask(serving)
    await until('the request is with the process', () => versionOf(serving).running === 1)
    serving.deployments.withdraw(model)
    assert.deepEqual(await codeOf(await ask(serving)), [404, 'NOT_FOUND'])
    process.kill(pid as number, 'SIGCONT')
    await isAnswered(asked)
    await until('the process has ended', () => !isAlive(pid as number))
  })

  test('what the runtime refuses of a request says nothing about the version, as long as it runs its sample', async () => {
    await using serving = await startServing()
    const table = modelOfGraph({
      inputs: [{ name: 'pick', dtype: 'int64', shape: ['batch'] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 2] }],
      constants: new Map([['w', { dtype: 'float32' as const, shape: [3, 2], data: new Float32Array(6) }]]),
      nodes: [node('Gather', ['w', 'pick'], 'y')],
    })
    await serving.release('m', table)
    const pick = (index: number) =>
      ask(serving, { inputs: [{ name: 'pick', datatype: 'INT64', shape: [1], data: [index] }] })
    for (let count = 0; count < 8; count++) {
      assert.deepEqual(await codeOf(await pick(7)), [422, 'INPUTS_REFUSED'])
      assert.equal((await ask(serving, '{')).status, 400)
      assert.equal((await ask(serving, x([1, 2]))).status, 422)
    }
    assert.deepEqual(serving.deployments.unhealthyVersions, [])
    await isAnswered(pick(2))
  })

  test('numbers that are not finite are counted against the version, unless they came in', async () => {
    await using serving = await startServing()
    // √(3 − x): finite for the sample, which is from 0 to 1.
    const root = modelOfGraph({
      inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 2] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 2] }],
      constants: new Map([
        ['w', { dtype: 'float32' as const, shape: [2, 2], data: Float32Array.of(1, 0, 0, 1) }],
        ['three', { dtype: 'float32' as const, shape: [], data: Float32Array.of(3) }],
      ]),
      nodes: [node('MatMul', ['x', 'w'], 'z'), node('Sub', ['three', 'z'], 'd'), node('Sqrt', ['d'], 'y')],
    })
    const { deployment } = await serving.release('m', root)
    const head = JSON.stringify({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } }],
      parameters: { binary_data_output: true },
    })
    const binary = Buffer.concat([Buffer.from(head), Buffer.from(Float32Array.of(Number.NaN, 0).buffer)])
    const headers = { 'inference-header-content-length': String(head.length) }
    for (let count = 0; count < 8; count++) {
      await isAnswered(post(`${serving.url}/v2/models/m/infer`, binary, headers))
    }
    assert.deepEqual(serving.deployments.unhealthyVersions, [])
    for (let count = 0; count < 5; count++) {
      assert.deepEqual(await codeOf(await ask(serving, x([4, 0]))), [500, 'NOT_FINITE'])
    }
    assert.deepEqual(serving.deployments.unhealthyVersions, [deployment])
  })
})

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
