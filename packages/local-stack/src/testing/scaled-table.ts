import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SeededRandom } from '@tributary/learning/seeded/random'
import { deriveSeed } from '@tributary/learning/seeded/seed'
import { zeros } from '@tributary/onnx-train/tensor'
import { modelOf, node } from '@tributary/onnx-train/testing/model-of'
import { writeModel } from '@tributary/onnx-train/write-model'

const rows = 250
const columns = ['noise', 'small', 'year'] as const

/** Features of one row; the class is whether the second and the third, each in its own unit, are positive together. */
const rowOf = (random: SeededRandom): { readonly features: readonly number[]; readonly label: number } => {
  const [noise, small, year] = columns.map(() => random.unit() * 2 - 1) as [number, number, number]
  return { features: [noise * 1e6, small * 1e-3, 2000 + 3 * year].map(Math.fround), label: small + year > 0 ? 1 : 0 }
}

/** The rows of a device; every fifth is held out. */
export const tableOf = (device: number): readonly (ReturnType<typeof rowOf> & { readonly heldOut: boolean })[] => {
  const random = new SeededRandom(deriveSeed('table', device))
  return Array.from({ length: rows }, (_, row) => ({ ...rowOf(random), heldOut: row % 5 === 4 }))
}

/**
 * Adds a table to the data of a device, under two names: `table` is normalised by statistics of all devices, `raw` is taken as it is;
 * `table-test` and `raw-test` are held out.
 */
export const declareTable = async (folder: string, device: number): Promise<void> => {
  const lines = tableOf(device).map(
    ({ features, label, heldOut }) => `${features},${label},${heldOut ? 'test' : 'train'}`,
  )
  await writeFile(join(folder, 'table.csv'), `${columns},label,part\n${lines.join('\n')}\n`)
  const file = join(folder, 'datasets.json')
  const { datasets } = JSON.parse(await readFile(file, 'utf8')) as { datasets: { name: string }[] }
  const table = (name: string, normalise: object) => ({
    name,
    format: 'csv',
    file: 'table.csv',
    features: columns,
    label: 'label',
    split: { heldOut: `${name}-test`, column: 'part', values: ['test'] },
    ...normalise,
  })
  const others = datasets.filter(({ name }) => name !== 'table' && name !== 'raw')
  const added = [table('table', { normalise: { by: 'federated' } }), table('raw', {})]
  await writeFile(file, JSON.stringify({ datasets: [...others, ...added] }))
}

/** Softmax regression that begins with zeros: ONNX bytes, with the names of PyTorch's `linear`. */
export const linearModel = (): Uint8Array =>
  writeModel(
    modelOf(
      'float32',
      [columns.length],
      { 'linear.weight': zeros('float32', [2, columns.length]), 'linear.bias': zeros('float32', [2]) },
      [
        node('Gemm', ['x', 'linear.weight', 'linear.bias'], 'logits', { transB: { int: 1 } }),
        node('Softmax', ['logits'], 'probabilities', { axis: { int: 1 } }),
      ],
    ),
  )

/** The same for an owner with PyTorch. */
export const linearInPytorch = `
from torch import nn
from tributary_worker.pytorch import PyTorchTrainer

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(${columns.length}, 2)

    def forward(self, features):
        return self.linear(features)

trainer = PyTorchTrainer(Model)
`
