import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { groupEnded, processAlive } from './process-group.ts'

const supervisor = `
import { spawnOwned } from '${new URL('./owned-process.ts', import.meta.url).href}'
import { startWatchdog } from '${new URL('./watchdog.ts', import.meta.url).href}'
const watchdog = await startWatchdog()
const start = (name, script) => spawnOwned({
  name, command: '/bin/sh', args: ['-c', script], env: { PATH: '/usr/bin:/bin' }, ready: { line: /ready/ },
  logFile: '/tmp/tributary-watchdog-test-' + process.pid + '-' + name + '.log', watchdog,
})
const polite = await start('polite', 'echo ready; sleep 60 & wait')
const gone = await start('gone', 'echo ready; exec sleep 60')
await gone.stop()
console.log(JSON.stringify([polite.pid, watchdog.pid]))
setInterval(() => {}, 1000)
`

test('a supervisor killed without warning leaves no process, and the watchdog ends too', {
  timeout: 30_000,
}, async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', supervisor], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const [polite = 0, watchdog = 0] = JSON.parse(line) as number[]
  assert.equal(processAlive(polite), true)
  child.kill('SIGKILL')
  assert.equal(await groupEnded(polite, 5000), true)
  assert.equal(await groupEnded(watchdog, 5000), true)
})
