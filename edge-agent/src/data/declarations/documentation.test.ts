import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { suite, test } from 'node:test'
import { DatasetDeclaration } from './dataset-declaration.ts'

suite('docs/datasets.md', () => {
  test('shows declarations that are valid, of every format', async () => {
    const text = await readFile(new URL('../../../../docs/datasets.md', import.meta.url), 'utf8')
    const shown = [...text.matchAll(/```json\n([\s\S]*?)```/g)].flatMap(([, json]) => {
      const value = JSON.parse(json ?? '') as { datasets?: unknown[] }
      return value.datasets ?? [value]
    })
    const formats = new Set(shown.map(declaration => DatasetDeclaration.parse(declaration).format))
    assert.deepEqual([...formats].sort(), ['csv', 'idx', 'images', 'jsonl', 'npy', 'npz', 'parquet', 'text'])
  })
})
