/**
 * The update worker on a file system that kills threads: where a file `<path>.kill` holds "<offset> <times>", a read of `<path>` at
 * that offset or behind it ends the thread, so many times. Where there is a file `<path>.tear`, the thread ends, once, in the middle
 * of adding the first slice of `<path>`.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { ADDING_WORD } from '../jobs.ts'

const { openSync, readSync } = fs
const { store } = Atomics
const paths = new Map<number, string>()
let lastPath = ''

const opening = (path: fs.PathLike, flags: fs.OpenMode, mode?: fs.Mode): number => {
  const file = openSync(path, flags, mode)
  lastPath = String(path)
  paths.set(file, lastPath)
  return file
}

const reading = (
  file: number,
  into: NodeJS.ArrayBufferView,
  offset: number,
  length: number,
  position: number,
): number => {
  const order = `${paths.get(file)}.kill`
  if (fs.existsSync(order)) {
    const [from = 0, times = 0] = fs.readFileSync(order, 'utf8').split(' ').map(Number)
    if (position >= from && times > 0) {
      fs.writeFileSync(order, `${from} ${times - 1}`)
      // Of the thread only.
      process.exit(7)
    }
  }
  return readSync(file, into, offset, length, position)
}

const storing = (array: Int32Array, index: number, value: number): number => {
  const stored = store(array, index, value)
  if (index === ADDING_WORD && value === 1 && fs.existsSync(`${lastPath}.tear`)) {
    fs.rmSync(`${lastPath}.tear`)
    process.exit(7)
  }
  return stored
}

Object.assign(Atomics, { store: storing })
Object.assign(fs, { openSync: opening, readSync: reading })
syncBuiltinESMExports()
await import('../update-worker.ts')
