import assert from 'node:assert/strict'
import { mkdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { suite, test } from 'node:test'
import { temporaryFolder } from '../testing/federation.ts'
import { idxBytes } from '../testing/idx-files.ts'
import { Datasets } from './datasets.ts'

const options = { maxBytes: 1024 }
const declaration = { name: 'tiny', format: 'idx', images: 'images.idx', labels: 'labels.idx', scale: 255 }

const dataFolder = async (datasets: unknown = [declaration]) => {
  const folder = await temporaryFolder()
  await writeFile(join(folder.path, 'datasets.json'), JSON.stringify({ datasets }))
  await writeFile(join(folder.path, 'images.idx'), idxBytes([3, 2], Uint8Array.of(0, 51, 102, 153, 204, 255)))
  await writeFile(join(folder.path, 'labels.idx'), idxBytes([3], Uint8Array.of(7, 0, 9)))
  return folder
}

const faultsOf = async (datasets: Datasets): Promise<string[]> => {
  const faults: string[] = []
  const summaries = await datasets.summaries((name, error) => faults.push(`${name}: ${error.message}`))
  assert.deepEqual(summaries, [])
  return faults
}

suite('data sets of a device', () => {
  test('reads features in their bytes, and labels', async () => {
    await using folder = await dataFolder()
    const datasets = await Datasets.open(folder.path, options)
    const { features, labels } = await (await datasets.load('tiny', 'training')).read()
    assert.deepEqual(features, { bytes: Uint8Array.of(0, 51, 102, 153, 204, 255), scale: 255 })
    assert.deepEqual(labels, Int32Array.of(7, 0, 9))
  })

  test('tells names and counts without reading the data', async () => {
    await using folder = await dataFolder()
    const datasets = await Datasets.open(folder.path, options)
    assert.deepEqual(await datasets.summaries(assert.fail), [{ name: 'tiny', heldOut: false, examples: 3 }])
  })

  test('gives the same object while the files stay, and reads again when one changes', async () => {
    await using folder = await dataFolder()
    const datasets = await Datasets.open(folder.path, options)
    const first = await datasets.load('tiny', 'training')
    assert.equal(await datasets.load('tiny', 'training'), first)
    await utimes(join(folder.path, 'labels.idx'), 1, 1)
    await assert.rejects(first.read(), { code: 'FILE_CHANGED' })
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
    const faults = await faultsOf(await Datasets.open(folder.path, options))
    assert.match(faults[0] ?? '', /above: .*outside/)
    assert.match(faults[1] ?? '', /absolute: .*outside/)
    assert.match(faults[2] ?? '', /linked: link\.idx lies outside/)
    assert.match(faults[3] ?? '', /folder: sub is not a regular file/)
  })

  test('one broken data set does not hide the others', async () => {
    await using folder = await dataFolder([declaration, { ...declaration, name: 'broken', images: 'missing.idx' }])
    const faults: string[] = []
    const datasets = await Datasets.open(folder.path, options)
    const summaries = await datasets.summaries(name => faults.push(name))
    assert.deepEqual([summaries.map(({ name }) => name), faults], [['tiny'], ['broken']])
  })

  test('refuses labels and images that do not belong together', async () => {
    await using folder = await dataFolder()
    await writeFile(join(folder.path, 'labels.idx'), idxBytes([2], Uint8Array.of(1, 2)))
    const [fault] = await faultsOf(await Datasets.open(folder.path, options))
    assert.match(fault ?? '', /images\.idx has 3 examples, labels\.idx has 2/)
  })

  test('refuses to hold more than it may, before reading', async () => {
    await using folder = await dataFolder()
    const datasets = await Datasets.open(folder.path, { ...options, maxBytes: 5 })
    await assert.rejects(datasets.load('tiny', 'training'), { code: 'TOO_LARGE' })
  })

  test('keeps test data for tests and training data for training', async () => {
    await using folder = await dataFolder([declaration, { ...declaration, name: 'test', heldOut: true }])
    const datasets = await Datasets.open(folder.path, options)
    await assert.rejects(datasets.load('test', 'training'), { code: 'HELD_OUT' })
    await assert.rejects(datasets.load('tiny', 'evaluation'), { code: 'HELD_OUT' })
    await assert.rejects(datasets.load('../secret', 'training'), { code: 'DATASET_UNKNOWN' })
  })

  test('lists every fault of the declarations', async () => {
    await using folder = await dataFolder([
      { ...declaration, name: 'No Slug', scale: 0 },
      { ...declaration, what: 1 },
    ])
    await assert.rejects(Datasets.open(folder.path, options), ({ code, message }) => {
      assert.equal(code, 'DATASETS_INVALID')
      for (const place of ['datasets[0].name', 'datasets[0].scale', 'datasets[1]'])
        assert.ok(message.includes(place), message)
      return true
    })
  })

  test('says what is missing when there are no declarations', async () => {
    await using folder = await temporaryFolder()
    await assert.rejects(Datasets.open(folder.path, options), { code: 'DATASETS_MISSING' })
    await writeFile(join(folder.path, 'datasets.json'), '{"datasets": [')
    await assert.rejects(Datasets.open(folder.path, options), { code: 'DATASETS_INVALID', message: /not JSON/ })
  })
})
