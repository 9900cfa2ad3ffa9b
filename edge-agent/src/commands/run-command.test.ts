import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fromBinary } from '@bufbuild/protobuf'
import { extractWeights } from '@tributary/onnx-train/extract-weights'
import { ModelProtoSchema } from '@tributary/onnx-train/gen/onnx_pb'
import { modelFromGraph } from '@tributary/onnx-train/graph-to-proto'
import { mcmahan2nn } from '@tributary/onnx-train/models/mcmahan'
import { readModel } from '@tributary/onnx-train/read-model'
import { modelOf, node, randomTensor } from '@tributary/onnx-train/testing/model-of'
import { writeModel } from '@tributary/onnx-train/write-model'
import { temporaryFolder } from '../testing/federation.ts'
import { writeStripes } from '../testing/idx-files.ts'
import { runCommand } from './run-command.ts'

suite('the onnx-train command', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  before(async () => {
    folder = await temporaryFolder()
    await writeFile(`${folder.path}/model.onnx`, mcmahan2nn(1))
    await writeFile(`${folder.path}/broken.onnx`, 'no model')
    await writeStripes(folder.path, 40)
  })
  after(() => folder[Symbol.asyncDispose]())

  const run = async (...line: string[]): Promise<{ code: number; out: string; err: string }> => {
    const written: { out: string[]; err: string[] } = { out: [], err: [] }
    const output = {
      out: (text: string) => void written.out.push(text),
      err: (text: string) => void written.err.push(text),
      columns: undefined,
    }
    const code = await runCommand(line, { folder: folder.path, output, signal: new AbortController().signal })
    return { code, out: written.out.join(''), err: written.err.join('') }
  }

  test('inspect says what trains', async () => {
    const { code, out } = await run('inspect', 'model.onnx', '--freeze', 'hidden*')
    assert.equal(code, 0)
    assert.match(out, /199210 values, 2010 of them train/)
    assert.match(out, /hidden1\.weight +float32 +\[200, 784\] +156800 +frozen/)
    assert.match(out, /Relu +2 +no gradient needed/)
    assert.match(out, /It trains\. An example is float32 \[784\], its label classes 0 to 9/)
  })

  test('compile writes a graph and a description of all its inputs and outputs', async () => {
    const { code } = await run(
      'compile',
      'model.onnx',
      '--optimizer',
      'adam',
      '--only',
      'classifier.*',
      '--out',
      'step.onnx',
    )
    assert.equal(code, 0)
    const graph = readFileGraph(await readFile(`${folder.path}/step.onnx`))
    const description = JSON.parse(await readFile(`${folder.path}/step.onnx.json`, 'utf8'))
    const named = (ports: { name: string }[]): string[] => ports.map(({ name }) => name)
    assert.deepEqual(named(description.inputs), named(graph.input))
    assert.deepEqual(named(description.outputs), named(graph.output))
    assert.equal(description.state.length, 5)
  })

  test('train learns what the data shows and writes a model of new weights', async () => {
    const line = ['--epochs', '3', '--batch-size', '10', '--optimizer', 'momentum', '--learning-rate', '0.05']
    const { code, out, err } = await run('train', 'model.onnx', '--data', '.', ...line, '--out', 'trained.onnx')
    assert.equal(code, 0)
    assert.match(out, /trained on 40 examples of stripes: 12 steps/)
    assert.match(err, /step 12 of 12/)
    const weightsOf = async (name: string): Promise<string[]> => {
      const model = readModel(await readFile(`${folder.path}/${name}`), { maxBytes: 1e7 })
      return extractWeights(model).tensors.map(({ bytes }) => Buffer.from(bytes).toString('base64'))
    }
    const [start, trained] = [await weightsOf('model.onnx'), await weightsOf('trained.onnx')]
    assert.equal(trained.length, start.length)
    assert.ok(trained.every((bytes, index) => bytes !== start[index]))
  })

  test('train reads a table, holds rows out and says how well they are met', async () => {
    const rows = Array.from(
      { length: 60 },
      (_, row) => `${row % 7},${row % 2 === 0 ? 1 : -1},${row % 2 === 0 ? 'even' : 'odd'}`,
    )
    await writeFile(`${folder.path}/table.csv`, `noise,sign,parity\r\n${rows.join('\r\n')}`)
    const start = { w: randomTensor('float32', [2, 2], 1), b: randomTensor('float32', [2], 2) }
    const model = modelOf('float32', [2], start, [node('MatMul', ['x', 'w'], 'm'), node('Add', ['m', 'b'], 'y')])
    await writeFile(`${folder.path}/tabular.onnx`, writeModel(model))
    const table = ['train', 'tabular.onnx', '--data', 'table.csv', '--label', 'parity']
    const learning = ['--epochs', '30', '--optimizer', 'adam', '--learning-rate', '0.05', '--hold-out', '0.25']
    const { code, out } = await run(...table, '--classes', 'odd,even', ...learning)
    assert.equal(code, 0)
    assert.match(out, /trained on 45 examples of table\.csv: 60 steps/)
    assert.match(out, /after: loss .* accuracy 100\.00 %, f1Macro 1\.000, auc 1\.000 on 15 examples held out/)
    const unnamed = await run(...table)
    assert.equal(unnamed.code, 1)
    assert.match(unnamed.err, /table\.csv, line 2, column "parity": "even" is no number.*declare all classes/)
  })

  test('train reads JSON lines, and a folder whose data set is split by a column', async () => {
    const rows = Array.from({ length: 40 }, (_, row) => ({ x: [row % 7, row % 2 ? 1 : -1], parity: row % 2 }))
    await writeFile(`${folder.path}/table.jsonl`, rows.map(row => JSON.stringify(row)).join('\n'))
    const start = { w: randomTensor('float32', [2, 2], 1), b: randomTensor('float32', [2], 2) }
    const model = modelOf('float32', [2], start, [node('MatMul', ['x', 'w'], 'm'), node('Add', ['m', 'b'], 'y')])
    await writeFile(`${folder.path}/lines.onnx`, writeModel(model))
    const lines = await run('train', 'lines.onnx', '--data', 'table.jsonl', '--label', 'parity')
    assert.match(lines.out, /trained on 40 examples of table\.jsonl/)
    await mkdir(`${folder.path}/split`)
    const table = rows.map(({ x, parity }, row) => `${x.join()},${parity},${row < 8 ? 'test' : 'train'}`)
    await writeFile(`${folder.path}/split/t.csv`, `a,b,parity,part\n${table.join('\n')}`)
    const split = { heldOut: 'held', column: 'part', values: ['test'] }
    const declaration = { name: 'split', format: 'csv', file: 't.csv', label: 'parity', split }
    await writeFile(`${folder.path}/split/datasets.json`, JSON.stringify({ datasets: [declaration] }))
    const { code, out } = await run('train', 'lines.onnx', '--data', 'split')
    assert.equal(code, 0)
    assert.match(out, /trained on 32 examples of split/)
    assert.match(out, /on held|8 examples/)
  })

  test('of several inputs one gets the examples and the others are filled, of several outputs one is met', async () => {
    const graph = {
      name: 'masked',
      inputs: [
        { name: 'values', dtype: 'float32' as const, shape: ['batch', 4] },
        { name: 'mask', dtype: 'float32' as const, shape: ['batch', 4] },
      ],
      outputs: [
        { name: 'logits', dtype: 'float32' as const, shape: ['batch', 3] },
        { name: 'masked', dtype: 'float32' as const, shape: ['batch', 4] },
      ],
      constants: new Map([['w', randomTensor('float32', [4, 3], 1)]]),
      nodes: [node('Mul', ['values', 'mask'], 'masked'), node('MatMul', ['masked', 'w'], 'logits')],
    }
    await writeFile(`${folder.path}/masked.onnx`, writeModel(modelFromGraph(graph, 17)))
    const undecided = await run('inspect', 'masked.onnx')
    assert.equal(undecided.code, 1)
    assert.match(undecided.out, /cannot be trained so: .*--output name|--input name/)
    const missing = await run('inspect', 'masked.onnx', '--output', 'logits', '--input', 'values')
    assert.match(missing.err, /2 inputs \(values, mask\), of which 2 hold no constant/)
    const { code, out } = await run('inspect', 'masked.onnx', '--output', 'logits', '--input', 'mask=1')
    assert.equal(code, 0)
    assert.match(out, /It trains\. An example is float32 \[4\], its label classes 0 to 2/)
  })

  const wrong: [string, string[], number, RegExp][] = [
    ['no command', [], 2, /no command; use inspect, compile or train/],
    ['an unknown command', ['teach', 'model.onnx'], 2, /no command "teach"/],
    ['no model', ['inspect'], 2, /inspect needs the file of a model/],
    ['two models', ['inspect', 'model.onnx', 'model.onnx'], 2, /one model, not 2/],
    ['an unknown option', ['inspect', 'model.onnx', '--fast'], 2, /--fast/],
    ['an option of another command', ['inspect', 'model.onnx', '--data', '.'], 2, /inspect does not take --data/],
    ['an option of another optimiser', ['inspect', 'model.onnx', '--beta1', '0.9'], 2, /sgd does not take --beta1/],
    ['an option of another loss', ['inspect', 'model.onnx', '--huber-delta', '1'], 2, /does not take --huber-delta/],
    ['no number', ['inspect', 'model.onnx', '--clip', 'much'], 2, /--clip takes a number, not "much"/],
    ['an option out of range', ['inspect', 'model.onnx', '--clip', '-1'], 2, /clipping norm is -1/],
    ['an unknown loss', ['inspect', 'model.onnx', '--loss', 'hinge'], 2, /--loss is one of softmax-cross-entropy/],
    ['no place for the graph', ['compile', 'model.onnx'], 2, /needs --out/],
    ['no data', ['train', 'model.onnx'], 2, /needs --data/],
    [
      'two inputs of data',
      ['inspect', 'model.onnx', '--input', 'a', '--input', 'b'],
      2,
      /names one input for the data/,
    ],
    ['an input filled with a word', ['inspect', 'model.onnx', '--input', 'a=b'], 2, /"b" is no number/],
    ['an unknown input', ['inspect', 'model.onnx', '--input', 'mask=1'], 1, /no input "mask"\. Its inputs are image/],
    ['a table that is not there', ['train', 'model.onnx', '--data', 'no.csv'], 2, /no\.csv: there is no such file/],
    ['a file without its labels', ['train', 'model.onnx', '--data', 'images.idx'], 2, /needs --labels/],
    [
      'labels that are not there',
      ['train', 'model.onnx', '--data', 'images.idx', '--labels', 'no.idx'],
      2,
      /no\.idx cannot be read: ENOENT/,
    ],
    [
      'all held out',
      ['train', 'model.onnx', '--data', 'images.idx', '--labels', 'labels.idx', '--hold-out', '0.99'],
      2,
      /leaves none of the 40 examples/,
    ],
    ['a file that is not there', ['inspect', 'none.onnx'], 2, /none\.onnx cannot be read: there is no such file/],
    ['a file that is no model', ['inspect', 'broken.onnx'], 1, /not an ONNX model/],
    ['a folder without data sets', ['train', 'model.onnx', '--data', 'nowhere'], 1, /datasets\.json cannot be read/],
    ['an unknown data set', ['train', 'model.onnx', '--data', '.', '--dataset', 'dots'], 1, /No data set "dots"/],
    [
      'a step that is too long',
      ['train', 'model.onnx', '--data', '.', '--learning-rate', '1e30'],
      1,
      /diverged by step/,
    ],
  ]
  for (const [what, line, expected, message] of wrong) {
    test(`${what} is one line and exit code ${expected}`, async () => {
      const { code, err } = await run(...line)
      assert.equal(code, expected)
      const said = err.split('\n').filter(text => text.startsWith('onnx-train: '))
      assert.equal(said.length, 1)
      assert.match(said[0] ?? '', message)
    })
  }

  test('the process ends with the exit code of the command', async () => {
    const main = fileURLToPath(new URL('./onnx-train.main.ts', import.meta.url))
    const codeOf = async (...line: string[]): Promise<unknown> => {
      const child = spawn(process.execPath, [main, ...line], { stdio: 'ignore', env: { INIT_CWD: folder.path } })
      return (await once(child, 'exit'))[0]
    }
    assert.equal(await codeOf('--help'), 0)
    assert.equal(await codeOf('inspect', 'broken.onnx'), 1)
    assert.equal(await codeOf('inspect'), 2)
  })
})

const readFileGraph = (bytes: Uint8Array): { input: { name: string }[]; output: { name: string }[] } => {
  const { graph } = fromBinary(ModelProtoSchema, bytes)
  return { input: graph?.input ?? [], output: graph?.output ?? [] }
}
