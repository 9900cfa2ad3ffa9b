import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { startServing, type TestServing, times } from '../../../inference/testing/versions.ts'
import { runAgentCommand } from '../run-agent-command.ts'

type Response = { readonly model_name: string; readonly model_version: string; readonly outputs: { data: number[] }[] }

/** Two rows of two float32 as NumPy saves them. */
const npy = (): Buffer => {
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }".padEnd(117).concat('\n')
  return Buffer.concat([
    Buffer.from('\x93NUMPY\x01\x00', 'latin1'),
    Buffer.from(Uint16Array.of(header.length).buffer),
    Buffer.from(header),
    Buffer.from(Float32Array.of(1, 2, 3, 4).buffer),
  ])
}

suite('predict', () => {
  let serving: TestServing
  let folder: string
  let stateDir: string
  let nobody: string
  before(async () => {
    const closed = createServer().listen(0, '127.0.0.1')
    await once(closed, 'listening')
    nobody = `http://127.0.0.1:${(closed.address() as AddressInfo).port}`
    closed.close()
    serving = await startServing()
    folder = await mkdtemp(join(tmpdir(), 'tributary-predict-'))
    stateDir = join(folder, 'state')
    await serving.release('triple', times(3))
    const objects = join(stateDir, 'deployments', 'objects')
    await mkdir(objects, { recursive: true })
    const { deployments } = serving
    for (const name of await readdir(deployments.folder)) {
      await copyFile(join(deployments.folder, name), join(objects, name))
    }
    const page = { serving: [...deployments.serving.values()], former: [], failed: [], gone: [] }
    await writeFile(join(stateDir, 'deployments', 'deployments.json'), JSON.stringify(page))
    await writeFile(join(folder, 'rows.json'), '[[1, 2], [3, 4]]')
    await writeFile(join(folder, 'row.json'), '[1, 2]')
    await writeFile(join(folder, 'rows.csv'), 'width,height\r\n1,2\r\n3,4\r\n')
    await writeFile(join(folder, 'rows.npy'), npy())
    await writeFile(
      join(folder, 'request.json'),
      JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [5, 6] }] }),
    )
  })
  after(async () => {
    await serving[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  const predict = async (line: string, environment: Record<string, string> = {}) => {
    let out = ''
    let err = ''
    const output = {
      out: (text: string) => {
        out += text
      },
      err: (text: string) => {
        err += text
      },
      columns: undefined,
    }
    const signal = AbortSignal.timeout(60_000)
    const words = ['predict', ...line.split(' ').filter(word => word !== '')]
    return { code: await runAgentCommand(words, { folder, environment, output, signal }), out, err }
  }
  const dataOf = (out: string): number[] | undefined => (JSON.parse(out) as Response).outputs[0]?.data

  test('asks the agent that serves, whatever form the rows have', async () => {
    const environment = { INFERENCE_LISTEN: `127.0.0.1:${serving.port}` }
    for (const file of ['rows.json', 'rows.csv', 'rows.npy']) {
      const { code, out, err } = await predict(`--model triple --input ${file}`, environment)
      assert.deepEqual([code, err, dataOf(out)], [0, '', [3, 6, 9, 12]], file)
    }
    assert.deepEqual(dataOf((await predict('--input row.json', environment)).out), [3, 6])
    assert.deepEqual(dataOf((await predict('--input request.json', environment)).out), [15, 18])
  })

  test('uses the deployed files where nobody listens', async () => {
    const { code, out, err } = await predict(`--input rows.json --url ${nobody} --state-dir state`)
    assert.deepEqual([code, err], [0, ''])
    const response = JSON.parse(out) as Response
    assert.deepEqual([response.model_name, response.model_version], ['triple', '1'])
    assert.deepEqual(response.outputs[0]?.data, [3, 6, 9, 12])
  })

  test('says in one line what is wrong and what to do', async () => {
    await writeFile(join(folder, 'wrong.csv'), '1,2\n3,four\n')
    await writeFile(join(folder, 'ragged.json'), '[[1, 2], [3]]')
    await writeFile(join(folder, 'wide.json'), '[[1, 2, 3]]')
    const files = '--state-dir state'
    for (const [line, code, message] of [
      ['', 2, /needs --input\. See tributary-agent predict --help/],
      ['--input rows.json', 2, /give --url or --state-dir/],
      [`--input rows.json --speed 9 ${files}`, 2, /Unknown option '--speed'/],
      [`--input gone.json ${files}`, 1, /gone\.json cannot be read: ENOENT/],
      [`--input wrong.csv ${files}`, 1, /wrong\.csv, line 2, column 2: "four" is no number/],
      [`--input ragged.json ${files}`, 1, /not equally long; one has 1 elements, others 2/],
      [`--input wide.json ${files}`, 1, /Input "x" has the shape \[1,3\], the model takes \[-1,2\]/],
      [`--input rows.json --model quadruple ${files}`, 1, /No model "quadruple" is deployed/],
      ['--input rows.json --state-dir elsewhere', 1, /No model is deployed on this device yet/],
      [`--input rows.json --url ${nobody}`, 1, /Nobody listens at http:/],
    ] as const) {
      const { code: given, err, out } = await predict(line)
      assert.deepEqual([given, out], [code, ''], line)
      assert.match(err, message)
      assert.equal(err.trim().split('\n').length, 1, err)
    }
  })

  test('shows what there is to ask for', async () => {
    const { code, out } = await predict('--help')
    assert.equal(code, 0)
    assert.match(out, /--model name/)
  })
})
