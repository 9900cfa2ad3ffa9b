import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { copyFile, mkdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { launch } from '@tributary/local-stack/testing/launch'
import { agentEnvironment } from './testing/agent-environment.ts'
import { TestAuthority } from './testing/certificates.ts'
import { publishBundle, temporaryFolder, trainingWork } from './testing/federation.ts'
import { TestNode } from './testing/test-node.ts'

const program = fileURLToPath(new URL('./commands/agent/agent.main.ts', import.meta.url))
const photograph = fileURLToPath(new URL('./data/fixtures/colour.jpg', import.meta.url))
const tenGigabytes = 10e9
/** Far below what any of the large files has; the agent alone takes some 150 MB from source. */
const mostResident = 500e6

const names = ['wrong-csv', 'broken-image', 'empty-file', 'huge-npy', 'huge-csv'] as const

/** Files that are wrong, each in its way, beside the data set that is well. The large ones are holes in the disk. */
const writeBrokenData = async (folder: string): Promise<void> => {
  const file = (name: string): string => join(folder, name)
  await writeFile(file('wrong.csv'), 'age,pulse,ill\n41,70,0\n42,71,1\n43,fast,1\n')
  await mkdir(file('images'))
  for (const name of ['good', 'torn']) {
    await mkdir(file(`images/${name}`))
    await copyFile(photograph, file(`images/${name}/one.jpg`))
  }
  await truncate(file('images/torn/one.jpg'), 200)
  await writeFile(file('empty.csv'), '')
  const width = 784
  const rows = Math.floor(tenGigabytes / (4 * width))
  await writeNpy(file('x.npy'), '<f4', [rows, width], rows * width * 4)
  await writeNpy(file('y.npy'), '|i1', [rows], rows)
  await writeFile(file('huge.csv'), 'age,ill\n41,0\n')
  await truncate(file('huge.csv'), tenGigabytes)
  const declared = JSON.parse(await readFile(file('datasets.json'), 'utf8')) as { datasets: object[] }
  const csv = { format: 'csv', label: 'ill', labelKind: 'class' }
  declared.datasets.push(
    { name: 'wrong-csv', ...csv, file: 'wrong.csv' },
    {
      name: 'broken-image',
      format: 'images',
      folder: 'images',
      classes: ['good', 'torn'],
      height: 28,
      width: 28,
      channels: 1,
    },
    { name: 'empty-file', ...csv, file: 'empty.csv' },
    { name: 'huge-npy', format: 'npy', features: 'x.npy', labels: 'y.npy' },
    { name: 'huge-csv', ...csv, file: 'huge.csv' },
  )
  await writeFile(file('datasets.json'), JSON.stringify(declared))
}

/** An array of zeros as NumPy saves it, version 1.0; its content is a hole. */
const writeNpy = async (path: string, descr: string, shape: readonly number[], bytes: number): Promise<void> => {
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(', ')},), }`
  const header = `${text.padEnd(117)}\n`
  await writeFile(path, Buffer.concat([Buffer.from('\x93NUMPY\x01\x00v\x00', 'latin1'), Buffer.from(header)]))
  await truncate(path, 128 + bytes)
}

/** Most memory that a process had so far, bytes. */
const mostResidentOf = (pid: number): number =>
  1024 * Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

test('data that is wrong, broken, empty or of 10 GB is refused with its code, row and column, in bounded memory, and the rest is trained on', {
  timeout: 240_000,
  skip: process.platform !== 'linux' && 'memory is read from /proc',
}, async () => {
  await using folder = await temporaryFolder()
  const authority = await TestAuthority.create()
  await using node = await TestNode.start(authority)
  const environment = await agentEnvironment(authority, folder.path, node.endpoint)
  await writeBrokenData(environment.DATA_DIR ?? '')
  publishBundle(node)
  // What is larger than this is refused, and never written.
  const bounds = { DATASET_CACHE_BYTES: String(100e6), LOG_LEVEL: 'info' }
  await using agent = launch([program, 'run'], { ...environment, ...bounds })
  const found = new Map<string, string>()
  for (const [index, dataset] of names.entries()) {
    const work = trainingWork({ round: index + 1, dataset })
    work.token = dataset
    node.training = work
    const declared = () => node.checkIns.flatMap(({ failed }) => failed).find(({ token }) => token === dataset)
    await node.until(dataset, () => declared() !== undefined, 60)
    found.set(dataset, `${declared()?.code} ${declared()?.detail}`)
  }
  assert.deepEqual(Object.fromEntries(found), {
    'wrong-csv': 'DATASET_UNUSABLE CSV_MALFORMED at line 4, column 2',
    'broken-image': 'DATASET_UNUSABLE IMAGE_BROKEN',
    'empty-file': 'DATASET_UNUSABLE CSV_MALFORMED',
    'huge-npy': 'DATASET_UNUSABLE TOO_LARGE',
    'huge-csv': 'DATASET_UNUSABLE CSV_MALFORMED',
  })
  // The owner is told the file and the name of the column too.
  for (const place of [
    /wrong\.csv, line 4, column \\"pulse\\"/,
    /images\/torn\/one\.jpg/,
    /empty\.csv is empty/,
    /huge\.csv/,
  ])
    await agent.untilLine(place)
  node.training = trainingWork({ round: 10 })
  await node.until('an update', () => [...node.uploads.values()].some(({ accepted }) => accepted), 60)
  const peak = mostResidentOf(agent.child.pid as number)
  assert.ok(peak < mostResident, `${peak} bytes`)
})
