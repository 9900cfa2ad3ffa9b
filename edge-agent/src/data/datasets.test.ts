import assert from 'node:assert/strict'
import { once } from 'node:events'
import { watch } from 'node:fs'
import { mkdir, readdir, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { suite, test } from 'node:test'
import { dataFolderWith } from '../testing/data-folder.ts'
import { idxBytes } from '../testing/idx-files.ts'
import { convertInProcess } from './convert/convert-process.ts'
import { Datasets } from './datasets.ts'
import { DatasetDeclaration } from './declarations/dataset-declaration.ts'

const declaration = { name: 'tiny', format: 'idx', images: 'images.idx', labels: 'labels.idx', scale: 255 }

const dataFolder = (datasets: unknown = [declaration], files: Readonly<Record<string, string | Uint8Array>> = {}) =>
  dataFolderWith({
    'datasets.json': JSON.stringify({ datasets }),
    'images.idx': idxBytes([3, 2], Uint8Array.of(0, 51, 102, 153, 204, 255)),
    'labels.idx': idxBytes([3], Uint8Array.of(7, 0, 9)),
    ...files,
  })

const openIn = (folder: { readonly path: string }, options: { maxBytes?: number; cacheBytes?: number } = {}) =>
  Datasets.open(folder.path, { maxBytes: 1024, cacheDir: join(folder.path, 'cache'), ...options })

const faultsOf = async (datasets: Datasets): Promise<string[]> => {
  const faults: string[] = []
  const summaries = await datasets.summaries((name, error) => faults.push(`${name}: ${error.message}`))
  assert.deepEqual(summaries, [])
  return faults
}

suite('data sets of a device', () => {
  test('reads features in their bytes, and labels', async () => {
    await using folder = await dataFolder()
    const datasets = await openIn(folder)
    const { features, labels } = await (await datasets.load('tiny', 'training')).read()
    assert.deepEqual(features, { bytes: Uint8Array.of(0, 51, 102, 153, 204, 255), scale: 255 })
    assert.deepEqual(labels, Int32Array.of(7, 0, 9))
  })

  test('tells names and counts without reading the data', async () => {
    await using folder = await dataFolder()
    const datasets = await openIn(folder)
    assert.deepEqual(await datasets.summaries(assert.fail), [{ name: 'tiny', heldOut: false, examples: 3 }])
  })

  test('gives the same object while the files stay, and reads again when one changes', async () => {
    await using folder = await dataFolder()
    const datasets = await openIn(folder)
    const first = await datasets.load('tiny', 'training')
    assert.equal(await datasets.load('tiny', 'training'), first)
    await utimes(join(folder.path, 'labels.idx'), 1, 1)
    assert.notEqual(await datasets.load('tiny', 'training'), first)
  })

  test('reads nothing outside the data folder', async () => {
    await using outside = await dataFolder()
    await using folder = await dataFolder([
      { ...declaration, name: 'above', images: `../${basename(outside.path)}/images.idx` },
      { ...declaration, name: 'absolute', images: join(outside.path, 'images.idx') },
      { ...declaration, name: 'linked', images: 'link.idx' },
      { ...declaration, name: 'folder', images: 'sub' },
    ])
    await symlink(join(outside.path, 'images.idx'), join(folder.path, 'link.idx'))
    await mkdir(join(folder.path, 'sub'))
    const faults = await faultsOf(await openIn(folder))
    assert.match(faults[0] ?? '', /above: .*outside/)
    assert.match(faults[1] ?? '', /absolute: .*outside/)
    assert.match(faults[2] ?? '', /linked: link\.idx lies outside/)
    assert.match(faults[3] ?? '', /folder: sub is not a regular file/)
  })

  test('one broken data set does not hide the others', async () => {
    await using folder = await dataFolder([declaration, { ...declaration, name: 'broken', images: 'missing.idx' }])
    const faults: string[] = []
    const datasets = await openIn(folder)
    const summaries = await datasets.summaries(name => faults.push(name))
    assert.deepEqual([summaries.map(({ name }) => name), faults], [['tiny'], ['broken']])
  })

  test('refuses labels and images that do not belong together', async () => {
    await using folder = await dataFolder()
    await writeFile(join(folder.path, 'labels.idx'), idxBytes([2], Uint8Array.of(1, 2)))
    const [fault] = await faultsOf(await openIn(folder))
    assert.match(fault ?? '', /images\.idx has 3 examples, labels\.idx has 2/)
  })

  test('what does not fit in memory is read by rows', async () => {
    await using folder = await dataFolder()
    const datasets = await openIn(folder, { maxBytes: 5 })
    const tiny = await datasets.load('tiny', 'training')
    await assert.rejects(tiny.read(), { code: 'TOO_LARGE' })
    await using rows = await tiny.open()
    const { features } = await rows.readRows(Int32Array.of(1, 0), 0, 1)
    assert.deepEqual(features, Float32Array.of(102 / 255, 153 / 255))
  })

  test('keeps test data for tests and training data for training', async () => {
    await using folder = await dataFolder([declaration, { ...declaration, name: 'test', heldOut: true }])
    const datasets = await openIn(folder)
    await assert.rejects(datasets.load('test', 'training'), { code: 'HELD_OUT' })
    await assert.rejects(datasets.load('tiny', 'evaluation'), { code: 'HELD_OUT' })
    await assert.rejects(datasets.load('../secret', 'training'), { code: 'DATASET_UNKNOWN' })
  })

  test('lists every fault of the declarations', async () => {
    await using folder = await dataFolder([
      { ...declaration, name: 'No Slug', scale: 0 },
      { ...declaration, what: 1 },
    ])
    await assert.rejects(openIn(folder), ({ code, message }) => {
      assert.equal(code, 'DATASETS_INVALID')
      for (const place of ['datasets[0].name', 'datasets[0].scale', 'datasets[1]'])
        assert.ok(message.includes(place), message)
      return true
    })
  })

  test('says what is missing when there are no declarations', async () => {
    await using folder = await dataFolderWith({})
    await assert.rejects(openIn(folder), { code: 'DATASETS_MISSING' })
    await writeFile(join(folder.path, 'datasets.json'), '{"datasets": [')
    await assert.rejects(openIn(folder), { code: 'DATASETS_INVALID', message: /not JSON/ })
  })

  test('a seeded share is held out under its own name, and rows that come later move none of those before', async () => {
    const lines = Array.from({ length: 2000 }, (_, row) => `${row},${row % 2}\n`)
    const split = { heldOut: 'table-test', share: 0.25, seed: 7 }
    const table = { name: 'table', format: 'csv', file: 'x.csv', label: 'y', split }
    await using folder = await dataFolder([table], { 'x.csv': `x,y\n${lines.slice(0, 1000).join('')}` })
    const partsOf = async () => {
      const datasets = await openIn(folder, { maxBytes: 2 ** 20 })
      const known = await datasets.summaries(assert.fail)
      const training = await (await datasets.load('table', 'training')).read()
      const heldOut = await (await datasets.load('table-test', 'evaluation')).read()
      assert.deepEqual(
        known.map(({ name, heldOut, examples }) => [name, heldOut, examples]),
        [
          ['table', false, training.examples],
          ['table-test', true, heldOut.examples],
        ],
      )
      assert.deepEqual(await datasets.summaries(assert.fail), known)
      return [training, heldOut].map(({ features }) => [...(features as Float32Array)]) as [number[], number[]]
    }
    const [training, heldOut] = await partsOf()
    assert.deepEqual(
      [...training, ...heldOut].sort((a, b) => a - b),
      Array.from({ length: 1000 }, (_, row) => row),
    )
    // 250 expected, standard deviation 13.7.
    assert.ok(Math.abs(heldOut.length - 250) < 69, `${heldOut.length}`)
    await writeFile(join(folder.path, 'x.csv'), `x,y\n${lines.join('')}`)
    const [, later] = await partsOf()
    assert.deepEqual(
      later.filter(row => row < 1000),
      heldOut,
    )
  })

  test('a column says what is held out, and is no feature', async () => {
    const split = { heldOut: 'held', column: 'part', values: ['test', 'check'] }
    const table = { name: 'table', format: 'csv', file: 'x.csv', label: 'y', split }
    const text = 'x,part,y\n1,train,0\n2,test,1\n3,train,1\n4,check,0\n'
    await using folder = await dataFolder([table], { 'x.csv': text })
    const datasets = await openIn(folder)
    // How many there are of each shows once they were read, which the first look begins.
    assert.deepEqual(await datasets.summaries(assert.fail), [])
    const training = await (await datasets.load('table', 'training')).read()
    const heldOut = await (await datasets.load('held', 'evaluation')).read()
    assert.deepEqual([training.features, training.labels], [Float32Array.of(1, 3), Int32Array.of(0, 1)])
    assert.deepEqual([heldOut.features, heldOut.labels], [Float32Array.of(2, 4), Int32Array.of(1, 0)])
    await assert.rejects(datasets.load('held', 'training'), { code: 'HELD_OUT' })
    assert.deepEqual(
      (await datasets.summaries(assert.fail)).map(({ examples }) => examples),
      [2, 2],
    )
  })

  test('converted data is used again by the next start, and dropped with its declaration', async () => {
    await using folder = await dataFolder()
    const cacheDir = join(folder.path, 'cache')
    const { file } = await (await openIn(folder)).load('tiny', 'training')
    const { mtimeNs, ino } = await stat(file, { bigint: true })
    const again = await (await openIn(folder)).load('tiny', 'training')
    assert.equal(again.file, file)
    assert.equal((await stat(file, { bigint: true })).ino, ino)
    assert.ok(mtimeNs > 0n)
    await writeFile(join(cacheDir, 'tiny.half.rows.tmp'), 'x')
    await writeFile(
      join(folder.path, 'datasets.json'),
      JSON.stringify({ datasets: [{ ...declaration, name: 'other' }] }),
    )
    await openIn(folder)
    assert.deepEqual(await readdir(cacheDir), [])
  })

  test('of a data set the newest conversion alone is kept', async () => {
    await using folder = await dataFolder()
    const datasets = await openIn(folder)
    await datasets.load('tiny', 'training')
    await writeFile(join(folder.path, 'labels.idx'), idxBytes([3], Uint8Array.of(1, 1, 1)))
    const { labels } = await (await datasets.load('tiny', 'training')).read()
    assert.deepEqual(labels, Int32Array.of(1, 1, 1))
    assert.equal((await readdir(join(folder.path, 'cache'))).length, 1)
  })

  test('disk is bounded: other data sets make room, and what never fits is refused', async () => {
    await using folder = await dataFolder([declaration, { ...declaration, name: 'second', scale: 1 }])
    const datasets = await openIn(folder, { cacheBytes: 6000 })
    await datasets.load('tiny', 'training')
    await datasets.load('second', 'training')
    assert.equal((await readdir(join(folder.path, 'cache'))).length, 1)
    const small = await openIn(folder, { cacheBytes: 20 })
    await assert.rejects(small.load('tiny', 'training'), { code: 'TOO_LARGE', message: /DATASET_CACHE_BYTES/ })
    assert.deepEqual(await readdir(join(folder.path, 'cache')), [])
  })

  test('ten gigabytes of nothing are refused in bounded memory', async () => {
    const table = { name: 'table', format: 'csv', file: 'x.csv', label: 'y' }
    const lines = { name: 'lines', format: 'jsonl', file: 'x.jsonl', label: 'y' }
    const parquet = { name: 'parquet', format: 'parquet', file: 'x.parquet', label: 'y' }
    const idx = { ...declaration, name: 'idx', images: 'x.idx', labels: 'y.idx' }
    await using folder = await dataFolder([table, lines, parquet, idx], {
      'x.csv': 'x,y\n',
      'x.jsonl': '',
      'x.parquet': 'PAR1',
      'x.idx': idxBytes([10_000, 1_000_000], new Uint8Array()),
      'y.idx': idxBytes([10_000], new Uint8Array(10_000)),
    })
    for (const file of ['x.csv', 'x.jsonl', 'x.parquet']) await truncate(join(folder.path, file), 10 ** 10)
    await truncate(join(folder.path, 'x.idx'), 10 ** 10 + 12)
    const datasets = await openIn(folder, { cacheBytes: 2 ** 24 })
    const before = process.memoryUsage.rss()
    const faults: string[] = []
    await datasets.summaries((name, error) => faults.push(`${name}: ${error.message}`))
    assert.match(faults.join('\n'), /table: .*16 MiB[\s\S]*lines: .*4 million/)
    for (const name of ['table', 'lines', 'parquet', 'idx'])
      await assert.rejects(datasets.load(name, 'training'), { name: 'DataError' }, name)
    assert.ok(process.memoryUsage.rss() - before < 2 ** 28)
  })

  test('a conversion that is not wanted any more ends, and leaves nothing', async () => {
    await using folder = await dataFolder()
    const datasets = await openIn(folder)
    const controller = new AbortController()
    const loading = datasets.load('tiny', 'training', { signal: controller.signal })
    controller.abort(new Error('cancelled'))
    await assert.rejects(loading, /cancelled/)
    assert.deepEqual(await readdir(join(folder.path, 'cache')), [])
    assert.equal((await datasets.load('tiny', 'training')).examples, 3)
  })

  test('tells schema and histogram only where the owner lets it', async () => {
    const classes = ['cat', 'dog', 'owl']
    const table = { format: 'csv', file: 'x.csv', label: 'kind', classes }
    await using folder = await dataFolder(
      [
        { ...table, name: 'shy', tell: [] },
        { ...table, name: 'shape' },
        { ...table, name: 'open', tell: ['schema', 'names', 'label-histogram'] },
      ],
      { 'x.csv': 'a,kind,b\n1,dog,2\n3,cat,4\n5,dog,6\n' },
    )
    const datasets = await openIn(folder)
    for (const name of ['shy', 'shape', 'open']) await datasets.load(name, 'training')
    const schema = { format: 'csv', shape: [2], dtype: 'f32', label: { kind: 'class', size: 1, classes: 3 } }
    assert.deepEqual(await datasets.describe(assert.fail), [
      { name: 'shy', heldOut: false, examples: 3 },
      { name: 'shape', heldOut: false, examples: 3, schema },
      {
        name: 'open',
        heldOut: false,
        examples: 3,
        schema: { ...schema, columns: ['a', 'b'], label: { ...schema.label, classNames: classes } },
        labelCounts: [1, 2, 0],
      },
    ])
  })

  test('a file that changes while it is read is not used', async () => {
    const rows = Array.from({ length: 100_000 }, (_, row) => `${row},${row % 2}\n`).join('')
    const table = { name: 'table', format: 'csv', file: 'x.csv', label: 'y' }
    await using folder = await dataFolder([table], { 'x.csv': `x,y\n${rows}` })
    const datasets = await openIn(folder)
    const watcher = watch(join(folder.path, 'cache'))
    const begun = once(watcher, 'change', { signal: AbortSignal.timeout(60_000) }).finally(() => watcher.close())
    const loading = datasets.load('table', 'training')
    await begun
    await utimes(join(folder.path, 'x.csv'), 1, 1)
    await assert.rejects(loading, { code: 'FILE_CHANGED', message: /changed while they were read/ })
    assert.equal((await datasets.load('table', 'training')).examples, 100_000)
  })

  test('a process that runs out of memory takes nothing with it', async () => {
    await using folder = await dataFolder()
    const request = {
      declaration: DatasetDeclaration.parse(declaration),
      dataDir: folder.path,
      targets: { all: join(folder.path, 'x.rows'), heldOut: undefined },
      maxBytes: 2 ** 20,
    }
    await assert.rejects(convertInProcess(request, { heapMegabytes: 4 }), {
      code: 'CONVERSION_ENDED',
      message: /"tiny" could not be converted: its process ended/,
    })
    await convertInProcess(request)
  })

  test('what cannot be used is offered no more, and not read again before its files change', async () => {
    const table = { name: 'table', format: 'csv', file: 'x.csv', label: 'y' }
    await using folder = await dataFolder([table], { 'x.csv': 'x,y\n1,0\n?,1\n' })
    const datasets = await openIn(folder)
    assert.equal((await datasets.summaries(assert.fail)).length, 1)
    const error = await datasets.load('table', 'training').catch((cause: unknown) => cause)
    assert.match(String(error), /line 3, column "x"/)
    assert.equal(await datasets.load('table', 'training').catch((cause: unknown) => cause), error)
    assert.match((await faultsOf(datasets))[0] ?? '', /table: x\.csv, line 3, column "x"/)
    await writeFile(join(folder.path, 'x.csv'), 'x,y\n1,0\n2,1\n')
    assert.equal((await datasets.load('table', 'training')).examples, 2)
    assert.equal((await datasets.summaries(assert.fail)).length, 1)
  })

  test('whoever wants to see all that is told has every data set converted for it', async () => {
    const split = { heldOut: 'held', column: 'part', values: ['test'] }
    const table = { name: 'table', format: 'csv', file: 'x.csv', label: 'y', split, tell: ['schema'] }
    await using folder = await dataFolder([table], { 'x.csv': 'x,part,y\n1,train,0.5\n2,test,1\n' })
    const uncounted = await (await openIn(folder)).summaries(assert.fail, { convert: 'uncounted' })
    const counts = [
      { name: 'table', heldOut: false, examples: 1 },
      { name: 'held', heldOut: true, examples: 1 },
    ]
    assert.deepEqual(uncounted, counts)
    const [training] = await (await openIn(folder)).describe(assert.fail, { convert: 'all' })
    const label = { kind: 'real', size: 1 }
    assert.deepEqual(training?.schema, { format: 'csv', shape: [1], dtype: 'f32', label })
  })
})
