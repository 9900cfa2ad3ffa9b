import { objectStoreCases } from '../storage/object-store.cases.ts'
import { MemoryObjectStore } from './memory-object-store.ts'

objectStoreCases('MemoryObjectStore', async () => ({
  store: new MemoryObjectStore(),
  [Symbol.asyncDispose]: async () => {},
}))
