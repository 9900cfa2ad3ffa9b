import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { shiftedClock } from './shifted-clock.ts'

const days = 24 * 3_600_000
const thread = 'import { parentPort } from "node:worker_threads"; parentPort.postMessage(Date.now())'
// Tells, whenever it is asked, what it takes for the time: by each way, and in a thread.
const program = `
  const { Worker } = require('node:worker_threads')
  require('node:readline').createInterface({ input: process.stdin }).on('line', () => {
    new Worker(new URL('data:text/javascript,${encodeURIComponent(thread)}')).once('message', inThread => {
      const times = [Date.now(), new Date().getTime(), Date.parse(Date()), new Date(86400000).getTime(), inThread]
      console.log(JSON.stringify({ times, isDate: new Date() instanceof Date }))
    })
  })`

test('a process and its threads have the clock that the file says, and follow its steps', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-clock-'))
  const clock = shiftedClock(join(folder, 'shift'))
  const child = spawn(process.execPath, [...clock.args, '-e', program], { stdio: ['pipe', 'pipe', 'inherit'] })
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const ask = async (): Promise<{ times: number[]; isDate: boolean }> => {
      child.stdin.write('\n')
      return JSON.parse(`${(await lines.next()).value}`)
    }
    for (const shift of [0, 3 * days, -3 * days]) {
      await clock.shift(shift)
      const deadline = performance.now() + 30_000
      for (;;) {
        const { times, isDate } = await ask()
        const [first = 0, second = 0, text = 0, given, inThread = 0] = times
        const wrong = first - Date.now() - shift
        assert.ok(performance.now() < deadline, `wrong by ${wrong} ms`)
        if (Math.abs(wrong) > days) continue
        assert.deepEqual([isDate, given], [true, 86_400_000])
        for (const other of [second, text, inThread]) assert.ok(Math.abs(other - first) < days)
        break
      }
    }
  } finally {
    child.kill('SIGKILL')
    await once(child, 'close')
    await rm(folder, { recursive: true })
  }
})
