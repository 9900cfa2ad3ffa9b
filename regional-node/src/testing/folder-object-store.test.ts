import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { objectStoreCases } from '../storage/object-store.cases.ts'
import { FolderObjectStore } from './folder-object-store.ts'

objectStoreCases('FolderObjectStore', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-objects-'))
  return {
    store: new FolderObjectStore(folder),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
})
