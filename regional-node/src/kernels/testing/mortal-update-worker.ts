/**
 * The update worker on a file system that kills threads: where a file `<path>.kill` holds "<offset> <times>", a read of `<path>` at
 * that offset or behind it ends the thread, so many times.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const { openSync, readSync } = fs
const paths = new Map<number, string>()

const opening = (path: fs.PathLike, flags: fs.OpenMode, mode?: fs.Mode): number => {
  const file = openSync(path, flags, mode)
  paths.set(file, String(path))
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

Object.assign(fs, { openSync: opening, readSync: reading })
syncBuiltinESMExports()
await import('../update-worker.ts')
