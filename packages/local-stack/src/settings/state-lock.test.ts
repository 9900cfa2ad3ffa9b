import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { lockState, StackRunningError } from './state-lock.ts'

suite('the lock of a state folder', { timeout: 30_000 }, () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp('/tmp/tributary-lock-')
  })
  after(() => rm(folder, { recursive: true }))

  test('names the process that holds it', async () => {
    await using _lock = await lockState(folder, 0)
    await assert.rejects(
      lockState(folder, 0),
      (error: StackRunningError) => error instanceof StackRunningError && error.pid === process.pid,
    )
  })

  test('is free after its end, and is taken over from a process that is gone', async () => {
    const module = JSON.stringify(new URL('./state-lock.ts', import.meta.url).href)
    const script = `const { lockState } = await import(${module}); await lockState(${JSON.stringify(folder)}, 0); process.kill(process.pid, 'SIGKILL')`
    await once(spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' }), 'exit')
    assert.deepEqual(await readdir(folder), ['lock'])
    {
      await using _lock = await lockState(folder, 0)
    }
    assert.deepEqual(await readdir(folder), [])
  })

  test('is taken over when it was cut while it was written', async () => {
    await writeFile(join(folder, 'lock'), '{"pid":')
    await using _lock = await lockState(folder, 0)
    assert.deepEqual(await readdir(folder), ['lock'])
  })

  test('is given to one only of many that find it stale', async () => {
    for (let round = 0; round < 20; round += 1) {
      await writeFile(
        join(folder, 'lock'),
        JSON.stringify({ holder: { pid: process.pid, born: 'long ago' }, watchdog: { pid: 0, born: '' } }),
      )
      const tries = await Promise.allSettled(Array.from({ length: 10 }, () => lockState(folder, 0)))
      const won = tries.filter(result => result.status === 'fulfilled')
      assert.equal(won.length, 1)
      await won[0]?.value[Symbol.asyncDispose]()
    }
  })
})
