import assert from 'node:assert/strict'
import { readdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { temporaryFolder } from '../testing/federation.ts'
import { ObjectCache, sha256Of } from './object-cache.ts'

const infoOf = (bytes: Uint8Array) => ({ sha256: sha256Of(bytes), bytes: bytes.length })

async function* pieces(bytes: Uint8Array, offset: number, until = bytes.length) {
  for (let at = offset; at < until; at += 4) yield bytes.subarray(at, Math.min(at + 4, until))
}

async function* lost(bytes: Uint8Array, offset: number, until: number) {
  yield* pieces(bytes, offset, until)
  throw new Error('connection lost')
}

suite('pulled objects', () => {
  test('go on where they were cut, also after a restart', async () => {
    await using folder = await temporaryFolder()
    const bytes = Buffer.from('0123456789abcdef')
    const info = infoOf(bytes)
    const cache = await ObjectCache.open(folder.path, 1000)
    await assert.rejects(
      cache.write(info, offset => lost(bytes, offset, 8)),
      /connection lost/,
    )
    const again = await ObjectCache.open(folder.path, 1000)
    assert.equal(await again.resumeOffset(info), 8)
    assert.equal(await again.read(info), undefined)
    const offsets: number[] = []
    assert.equal(
      await again.write(info, offset => {
        offsets.push(offset)
        return pieces(bytes, offset)
      }),
      true,
    )
    assert.deepEqual(offsets, [8])
    assert.deepEqual(await again.read(info), bytes)
    assert.deepEqual(await readdir(folder.path), [info.sha256])
  })

  test('of another hash are thrown away', async () => {
    await using folder = await temporaryFolder()
    const cache = await ObjectCache.open(folder.path, 1000)
    const info = infoOf(Buffer.from('expected'))
    await assert.rejects(
      cache.write(info, () => pieces(Buffer.from('differs!'), 0)),
      { code: 'CHECKSUM_MISMATCH' },
    )
    assert.deepEqual(await readdir(folder.path), [])
  })

  test('never grow beyond what was announced', async () => {
    await using folder = await temporaryFolder()
    const cache = await ObjectCache.open(folder.path, 1000)
    const endless = async function* () {
      for (;;) yield Buffer.alloc(100)
    }
    await assert.rejects(cache.write({ sha256: 'ab'.repeat(32), bytes: 150 }, endless), { code: 'LENGTH_MISMATCH' })
  })

  test('that rotted on disk are pulled again', async () => {
    await using folder = await temporaryFolder()
    const cache = await ObjectCache.open(folder.path, 1000)
    const bytes = Buffer.from('good')
    await cache.write(infoOf(bytes), offset => pieces(bytes, offset))
    await writeFile(join(folder.path, sha256Of(bytes)), 'evil')
    assert.equal(await cache.read(infoOf(bytes)), undefined)
    assert.deepEqual(await readdir(folder.path), [])
  })

  test('make room also where a name in the folder leads nowhere any more', async () => {
    await using folder = await temporaryFolder()
    const cache = await ObjectCache.open(folder.path, 1000)
    // Listed, and missing when looked at: as a file that was removed in between.
    await symlink(join(folder.path, 'gone'), join(folder.path, 'ab'.repeat(32)))
    const bytes = Buffer.from('good')
    assert.equal(await cache.write(infoOf(bytes), offset => pieces(bytes, offset)), true)
  })

  test('make room for new ones, longest unused first', async () => {
    await using folder = await temporaryFolder()
    const cache = await ObjectCache.open(folder.path, 10)
    const put = async (text: string, age: number) => {
      const bytes = Buffer.from(text)
      await cache.write(infoOf(bytes), offset => pieces(bytes, offset))
      await utimes(join(folder.path, sha256Of(bytes)), age, age)
      return infoOf(bytes)
    }
    const old = await put('aaaa', 1000)
    const used = await put('bbbb', 500)
    await cache.read(used)
    const recent = await put('cccc', 2000)
    assert.deepEqual((await readdir(folder.path)).sort(), [used.sha256, recent.sha256].sort())
    assert.equal(await cache.read(old), undefined)
  })
})
