import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { RotatingFile } from './rotating-file.ts'

test('takes no more than its files, keeps the newest lines whole, and goes on after a restart', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-rotation-'))
  try {
    const file = join(folder, 'log')
    const lines = Array.from({ length: 30 }, (_, index) => `line ${String(index).padStart(2, '0')}\n`)
    for (const half of [lines.slice(0, 14), lines.slice(14)]) {
      using rotating = new RotatingFile(file, { maxBytes: 40, files: 3, durable: true })
      for (const line of half) rotating.write(line)
    }
    assert.deepEqual((await readdir(folder)).sort(), ['log', 'log.1', 'log.2'])
    const kept = await Promise.all(['log.2', 'log.1', 'log'].map(name => readFile(join(folder, name), 'utf8')))
    // Five lines of eight bytes each fit.
    assert.deepEqual(
      kept,
      [lines.slice(15, 20), lines.slice(20, 25), lines.slice(25)].map(part => part.join('')),
    )
    assert.equal((await stat(file)).mode & 0o777, 0o600)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
