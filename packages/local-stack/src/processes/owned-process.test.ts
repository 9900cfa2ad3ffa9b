import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type OwnedProcessOptions, spawnOwned } from './owned-process.ts'
import { ProcessStartError } from './process-errors.ts'
import { groupEnded, processAlive } from './process-group.ts'

suite('an owned process', { timeout: 30_000 }, () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp('/tmp/tributary-owned-')
  })
  after(() => rm(folder, { recursive: true }))

  const shell = (name: string, script: string, options: Partial<OwnedProcessOptions> = {}) =>
    spawnOwned({
      name,
      command: '/bin/sh',
      args: ['-c', script],
      env: { PATH: '/usr/bin:/bin' },
      logFile: join(folder, `${name}.log`),
      ready: { line: /^ready/ },
      ...options,
    })

  test('is there once its line was seen, and its words are in the log', async () => {
    await using child = await shell('line', 'echo hello; echo ready; exec sleep 60')
    assert.ok(child.pid && processAlive(child.pid))
    assert.equal(await readFile(child.logFile, 'utf8'), 'hello\nready\n')
  })

  test('that ends before it is ready is an error that quotes the log', async () => {
    await assert.rejects(shell('early', 'echo no such thing >&2; exit 7'), (error: ProcessStartError) => {
      assert.ok(error instanceof ProcessStartError)
      assert.match(error.message, /early did not start: it ended with exit code 7.*no such thing/s)
      return true
    })
  })

  test('that never gets ready is ended at the deadline', async () => {
    const pidFile = join(folder, 'pid')
    await assert.rejects(
      shell('slow', `echo $$ > ${pidFile}; exec sleep 60`, { readyDeadlineSeconds: 0.3 }),
      /not ready after 0.3 s/,
    )
    assert.equal(processAlive(Number(await readFile(pidFile, 'utf8'))), false)
  })

  test('that cannot be found is an error', async () => {
    await assert.rejects(shell('missing', '', { command: '/nowhere/at/all' }), /ENOENT/)
  })

  test('takes its children with it, even those that ignore the signal', async () => {
    const child = await shell('group', "(trap '' TERM; echo ready; sleep 60) & wait", { graceSeconds: 0.2 })
    const pid = child.pid ?? 0
    await child.stop()
    // The system's first process takes a moment to collect the dead.
    assert.equal(await groupEnded(pid, 5000), true)
    await child.stop()
  })

  test('gets the signal that it wants', async () => {
    const proof = join(folder, 'proof')
    const child = await shell('signal', `trap 'touch ${proof}; exit 0' INT; echo ready; while :; do sleep 0.05; done`, {
      stopSignal: 'SIGINT',
    })
    await child.stop()
    assert.equal(existsSync(proof), true)
    assert.deepEqual(await child.ended, { code: 0, signal: null })
  })

  test('is started again after a failure, and not after a success', async () => {
    const count = join(folder, 'count')
    const messages: string[] = []
    const child = await shell('again', `echo x >> ${count}; echo ready; sleep 0.05; [ $(wc -l < ${count}) -ge 3 ]`, {
      restart: 'on-failure',
      onUnexpectedExit: (_, message) => messages.push(message),
    })
    assert.deepEqual(await child.ended, { code: 0, signal: null })
    assert.equal(child.starts, 3)
    assert.match(messages[0] ?? '', /again ended with exit code 1/)
  })

  test('is interrupted by an abort during its start', async () => {
    const controller = new AbortController()
    const starting = shell('abort', 'exec sleep 60', { signal: controller.signal })
    controller.abort()
    await assert.rejects(starting, /interrupted/)
  })
})
