import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { LogCorruptError } from '../log/log-corrupt-error.ts'
import type { FileRange } from '../log/sealed-file.ts'
import { sha256Of } from '../testing/sample-round.ts'
import { ObjectMissingError, type ObjectStore } from './object-store.ts'

/** What every object store does. */
export const objectStoreCases = (name: string, open: () => Promise<{ store: ObjectStore } & AsyncDisposable>): void => {
  const signal = AbortSignal.timeout(60_000)
  const withFile = async (bytes: Uint8Array, use: (file: FileRange, store: ObjectStore) => Promise<void>) => {
    const folder = await mkdtemp(join(tmpdir(), 'tributary-store-'))
    try {
      await using opened = await open()
      await writeFile(join(folder, 'file'), bytes)
      await use({ path: join(folder, 'file'), offset: 0, bytes: bytes.byteLength }, opened.store)
    } finally {
      await rm(folder, { recursive: true })
    }
  }
  const readAll = async (store: ObjectStore, key: string) => {
    const parts: Uint8Array[] = []
    for await (const part of await store.read(key, signal)) parts.push(part)
    return Buffer.concat(parts)
  }

  for (const bytes of [0, 1000, 20 * 1024 * 1024 + 1]) {
    test(`${name} gives back the ${bytes} bytes that it was given`, async () => {
      const content = Buffer.alloc(bytes, 'tributary')
      await withFile(content, async (file, store) => {
        const object = { objectKey: `sums/a/${bytes}.safetensors`, sha256: sha256Of(content), bytes }
        await store.write(file, object, signal)
        assert.ok((await readAll(store, object.objectKey)).equals(content))
        await store.write(file, object, signal)
        assert.equal((await readAll(store, object.objectKey)).byteLength, bytes)
      })
    })
  }

  for (const bytes of [5, 20 * 1024 * 1024 + 1]) {
    test(`${name} refuses ${bytes} bytes that do not have their sha256`, async () => {
      const damaged = Buffer.alloc(bytes, 'tributary')
      const sha256 = sha256Of(damaged)
      damaged[bytes - 1] = 0
      await withFile(damaged, async (file, store) => {
        const object = { objectKey: 'sums/a/wrong.safetensors', sha256, bytes }
        await assert.rejects(store.write(file, object, signal), LogCorruptError)
        await assert.rejects(store.read(object.objectKey, signal), ObjectMissingError)
      })
    })
  }

  test(`${name} says that an object is missing`, async () => {
    await withFile(Buffer.alloc(0), async (_, store) => {
      await assert.rejects(store.read('models/none', signal), ObjectMissingError)
    })
  })
}
