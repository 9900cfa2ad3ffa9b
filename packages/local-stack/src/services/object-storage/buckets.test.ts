import assert from 'node:assert/strict'
import { mkdtemp, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Buckets } from './buckets.ts'

test('an upload in parts that nobody went on with for a week is gone at the next start, a younger one is not', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-buckets-'))
  try {
    const { uploads } = (await Buckets.open(folder, ['models'])).get('models')
    const upload = { key: 'a', headers: {}, fullObject: false }
    const [old, young] = [await uploads.create(upload), await uploads.create(upload)]
    const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000)
    for (const [id, days] of [
      [old, 8],
      [young, 6],
    ] as const) {
      await utimes(join(folder, 'models', 'uploads', id), daysAgo(days), daysAgo(days))
    }
    const again = (await Buckets.open(folder, [])).get('models').uploads
    await assert.rejects(again.get(old, 'a'), { code: 'NoSuchUpload' })
    assert.deepEqual(await again.get(young, 'a'), upload)
  } finally {
    await rm(folder, { recursive: true })
  }
})
